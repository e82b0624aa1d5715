import { createHash } from 'node:crypto';
import type { Named } from './identifiers.ts';

/*
 * Names that this product gives for a while. Each follows from the index's own, so that a worker killed at any point
 * leaves nothing that the next one cannot find.
 */

/** What all of them begin with: no index of these is anybody's to keep. */
export const OWN_PREFIX = 'pg_deploy_step_';

/** What is about to be dropped; where it is several, this is what their names begin with. */
export function deadName(index: Named): string {
  return `${OWN_PREFIX}dead_${digest([index.schema, index.name])}`;
}

/**
 * What is built to take the place of a drifted index. Its definition is in the name: what an earlier registry wanted and
 * its deploy did not live to swap in must not be taken for what this one wants.
 */
export function replacementName(index: Named & { unique: boolean; definition: string }): string {
  return `${replacementPrefix(index)}_${digest([index.unique, index.definition])}`;
}

/** What the names of all replacements of an index begin with. */
export function replacementPrefix(index: Named): string {
  return `${OWN_PREFIX}new_${digest([index.schema, index.name])}`;
}

function digest(parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);
}

import { createHash } from 'node:crypto';
import type { Named } from './identifiers.ts';

/*
 * Temporary names of indexes. Each follows from the index's own name: whenever an attempt is killed, the next one finds what
 * it left.
 */

/** Prefix of all temporary names. An index with this prefix can be dropped unless a session holds its advisory lock. */
export const OWN_PREFIX = 'pg_deploy_step_';

/** Name of an index that is to be dropped. If there are several, their names begin with it. */
export function deadName(index: Named): string {
  return `${OWN_PREFIX}dead_${digest([index.schema, index.name])}`;
}

/**
 * Name of the replacement of a drifted index. The name depends on the definition: a replacement that an interrupted deploy
 * of an earlier registry left must not be taken for the one that this registry defines.
 */
export function replacementName(index: Named & { unique: boolean; definition: string }): string {
  return `${replacementPrefix(index)}_${digest([index.unique, index.definition])}`;
}

/** Prefix of the names of all replacements of an index. */
export function replacementPrefix(index: Named): string {
  return `${OWN_PREFIX}new_${digest([index.schema, index.name])}`;
}

function digest(parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);
}

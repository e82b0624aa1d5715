import { createHash } from 'node:crypto';

/*
 * Names that this product gives for a while. Each follows from the index's own, so that a worker killed at any point
 * leaves nothing that the next one cannot find.
 */

/** What all of them begin with: no index of these is anybody's to keep. */
export const OWN_PREFIX = 'pg_deploy_step_';

interface Named {
  schema: string;
  name: string;
}

/** What is about to be dropped. */
export function deadName(index: Named): string {
  return `${OWN_PREFIX}dead_${digest(index)}`;
}

/** What is built to take the place of a drifted index. */
export function replacementName(index: Named): string {
  return `${OWN_PREFIX}new_${digest(index)}`;
}

function digest(index: Named): string {
  return createHash('sha256')
    .update(JSON.stringify([index.schema, index.name]))
    .digest('hex')
    .slice(0, 16);
}

import { indexKey } from '../../lambdas/postgres/identifiers.ts';
import { OWN_PREFIX } from '../../lambdas/postgres/index-names.ts';
import type { LiveIndex } from '../../lambdas/postgres/live-indexes.ts';
import { humanSize } from '../../lambdas/shared/human-units.ts';
import { indexId } from '../../lambdas/shared/registry.ts';
import { dropStatement } from './drop-index.ts';
import { type Confidence, type Finding, finding } from './finding.ts';
import type { LiveDatabase } from './live-database.ts';
import { reindexStatement } from './missing-indexes.ts';
import { RegisteredState } from './registry-state.ts';

/** How REINDEX CONCURRENTLY names the index that it builds, and the one that it has replaced. */
const REINDEX_LEFTOVER = /_cc(new|old)\d*$/;

/**
 * Finds indexes that an interrupted build has left: no query uses them, and writes may still maintain them. Not those that a
 * session works on, nor those of partitioned tables that wait for the indexes of their partitions.
 */
export function invalidIndexes(live: LiveDatabase): Finding[] {
  const registered = new RegisteredState(live.registry);
  return live.indexes.flatMap((index): Finding[] => {
    const worker = live.workers.get(index.oid);
    if (index.valid || index.partitioned || worker === 'builder') return [];
    const leftover =
      !index.attached && (REINDEX_LEFTOVER.test(index.name) || index.name.startsWith(OWN_PREFIX));
    const alternative =
      registered.entryOf(index) === undefined
        ? ' If nobody needs it, drop it instead.'
        : ' The next deploy repairs it too.';
    const confidence: Confidence = worker === 'perhaps' ? 'unknown' : 'high';
    return [
      finding({
        kind: 'invalid',
        ...{ schema: index.schema, table: index.table, index: index.name },
        columns: live.texts.get(index.oid)?.keys ?? index.keys.flatMap((key) => key ?? []),
        evidence:
          `Its build failed or was interrupted, so no query uses it${index.ready ? ', but every write updates it' : ''}.` +
          (index.bytes === 0 ? '' : ` It has ${humanSize(index.bytes)}.`) +
          (worker === 'perhaps'
            ? ' A session builds an index on this table. This role may not see which one.'
            : '') +
          (leftover ? ` ${originOf(live, index)}` : alternative),
        fix: isDropped(index, leftover) ? dropStatement(index) : reindexStatement(index),
        confidence,
        weight: index.bytes,
      }),
    ];
  });
}

/** Which statement has left an index. */
function originOf(live: LiveDatabase, index: LiveIndex): string {
  if (index.name.startsWith(OWN_PREFIX))
    return 'An interrupted deploy has left it. The next deploy drops it too.';
  const replaced = { schema: index.schema, name: index.name.replace(REINDEX_LEFTOVER, '') };
  const isThere = live.indexes.some((other) => other.valid && indexKey(other) === indexKey(replaced));
  return `REINDEX CONCURRENTLY has left it${isThere ? `, and ${indexId(replaced)} is valid` : ''}.`;
}

function isDropped(index: LiveIndex, leftover: boolean): boolean {
  // What depends on an index, and the index of a partition, is rebuilt in place.
  return leftover && index.constraint === null && !index.replicaIdentity;
}

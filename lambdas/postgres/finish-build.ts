import type { Log } from '../shared/logger.ts';
import type { BuildIndexResult } from '../shared/payloads.ts';
import type { BuildTarget } from './build-target.ts';
import type { CatalogEntry } from './catalog.ts';
import type { Client } from './client.ts';
import { analyzeTable, dropLeftovers, swapIndex } from './index-ddl.ts';
import { type Attempt, noteAttempt } from './ledger.ts';
import { attachPartitionIndex } from './partition-tree.ts';
import { LOCK_NOT_AVAILABLE, sqlstateOf } from './sqlstate.ts';

/**
 * Does what is left to do with an index that is valid (statistics, attaching, swapping) and writes the end down. Every
 * step may be done twice. The caller holds the index's advisory lock.
 * @throws lock_not_available: another attempt finds the index built and goes on here
 */
export async function finishBuild(
  client: Client,
  deploy: string,
  target: BuildTarget,
  found: CatalogEntry,
  last: Pick<Attempt, 'attempt' | 'repairs'> | undefined,
  log: Log,
): Promise<BuildIndexResult> {
  if (last !== undefined && target.expression) await analyze(client, target, log);
  if (target.finish.kind === 'attach') {
    await attachPartitionIndex(client, target.entry, target.finish.parent, target);
  }
  if (target.finish.kind === 'swap') await swapIndex(client, target);
  await dropLeftovers(client, target);
  // Without an attempt of this deploy it was another session's work.
  if (last === undefined) return { state: 'done', status: 'present', waitSeconds: 1 };
  const status = last.repairs ? 'repaired' : 'built';
  await noteAttempt(client, deploy, target.item, last.attempt, { status, bytes: found.bytes });
  log.info('The index is valid.', { index: target.item, attempt: last.attempt, status, bytes: found.bytes });
  return { state: 'done', status, waitSeconds: 1 };
}

/** A table that is locked again just now is no reason to call a valid index failed. */
async function analyze(client: Client, target: BuildTarget, log: Log): Promise<void> {
  try {
    await analyzeTable(client, target);
  } catch (error) {
    if (sqlstateOf(error) !== LOCK_NOT_AVAILABLE) throw error;
    log.warn('The table is locked, so that the index has no statistics yet: ANALYZE it.', {
      index: target.item,
    });
  }
}

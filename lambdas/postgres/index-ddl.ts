import { setTimeout as sleep } from 'node:timers/promises';
import { LockNotAvailable } from '../shared/errors.ts';
import { indexLock, tryLock } from './advisory-lock.ts';
import type { BuildTarget } from './build-target.ts';
import { isChanging, namesBeginningWith, readCatalogEntry, readRelationKind } from './catalog.ts';
import type { Client } from './client.ts';
import { type Named, qualified, quotedTable, quoteIdentifier } from './identifiers.ts';
import { deadName, replacementPrefix } from './index-names.ts';
import { renameReindexLeftovers } from './reindex-leftovers.ts';
import { LOCK_NOT_AVAILABLE } from './sqlstate.ts';
import { withTableLock } from './table-lock.ts';

/** Lock timeout of short transactions: longer than deadlock_timeout, so that autovacuum yields, and short for other sessions. */
const SHORT_LOCK_TIMEOUT_SECONDS = 3;

/** How long to wait for a DROP INDEX CONCURRENTLY before the client disconnects from it. */
const DROP_WAIT_SECONDS = 5;

/** Pause before the next check of a commit, in milliseconds. */
const COMMIT_PAUSE_MS = 50;

/** A drop continues in its session, whose connection must not be used again. It has the base's name, so that it is retried. */
export class StillDropping extends LockNotAvailable {}

/** The statement that builds a target. */
export function buildStatement(target: BuildTarget): string {
  if (target.attached) return `reindex index concurrently ${qualified(target)}`;
  const unique = target.unique ? 'unique ' : '';
  return `create ${unique}index concurrently if not exists ${quoteIdentifier(target.name)} on ${quotedTable(target)} ${target.definition}`;
}

/** Collects statistics: an indexed expression has none until its table is analyzed. @throws lock_not_available after 3 s */
export async function analyzeTable(client: Client, target: BuildTarget): Promise<void> {
  await withTableLock(client, target, SHORT_LOCK_TIMEOUT_SECONDS, async () => {
    await client.query(`analyze ${quotedTable(target)}`);
  });
}

/**
 * Removes an invalid index. A check followed by a drop could remove an index that another build completed in between.
 * Therefore the index is checked again and renamed under the table's lock, which no build holds then, and only the dead
 * name is dropped. A build that is about to commit has released the lock already, so its commit is waited for. The dead name
 * follows from the index's name: if this function is killed, the next attempt finds it.
 * @returns whether there was an invalid index
 * @throws lock_not_available after 3 s
 */
export async function removeInvalidIndex(client: Client, target: BuildTarget): Promise<boolean> {
  await dropDeadIndex(client, target);
  // An attached index is rebuilt in place. An interrupted REINDEX CONCURRENTLY leaves other invalid indexes beside it.
  if (target.attached) {
    await renameReindexLeftovers(client, target, SHORT_LOCK_TIMEOUT_SECONDS);
    await dropDeadIndex(client, target);
    return false;
  }
  if (!(await isInvalid(client, target))) return false;
  const renamed = await withTableLock(client, target, SHORT_LOCK_TIMEOUT_SECONDS, async () => {
    await refuseWhileChanging(client, target);
    if (!(await isInvalid(client, target))) return false;
    await rename(client, target, deadName(finalIndexOf(target)));
    return true;
  });
  if (renamed) await dropDeadIndex(client, target);
  return renamed;
}

/**
 * Swaps in the replacement of a drifted index in one transaction, so that the table is never without the index, and drops
 * the old index.
 * @throws lock_not_available after 3 s
 */
export async function swapIndex(client: Client, target: BuildTarget): Promise<void> {
  await dropDeadIndex(client, target);
  await withTableLock(client, target, SHORT_LOCK_TIMEOUT_SECONDS, async () => {
    await rename(client, finalIndexOf(target), deadName(finalIndexOf(target)));
    await rename(client, target, target.finalName);
  });
  await dropDeadIndex(client, target);
}

async function rename(client: Client, index: Named, newName: string): Promise<void> {
  await client.query(`alter index ${qualified(index)} rename to ${quoteIdentifier(newName)}`);
}

/** @throws lock_not_available, which withTableLock retries, while another session's build commits */
async function refuseWhileChanging(client: Client, target: BuildTarget): Promise<void> {
  if (!(await isChanging(client, target))) return;
  await sleep(COMMIT_PAUSE_MS);
  throw new LockNotAvailable(
    `Index ${target.item}: another session has built it and has not committed yet. The next attempt checks it again.`,
    { sqlstate: LOCK_NOT_AVAILABLE },
  );
}

async function isInvalid(client: Client, target: BuildTarget): Promise<boolean> {
  const found = await readCatalogEntry(client, target);
  return found?.kind === 'index' && found.table === target.table && !found.valid;
}

/** Drops indexes that an interrupted attempt renamed and did not drop, or built as a replacement and did not swap in. */
export async function dropLeftovers(client: Client, target: BuildTarget): Promise<void> {
  await dropDeadIndex(client, target);
  for (const name of await namesBeginningWith(
    client,
    target.schema,
    replacementPrefix(finalIndexOf(target)),
  )) {
    const index = { schema: target.schema, name };
    // A deploy with another registry may be building this replacement: its session holds the lock.
    if (name === target.name || !(await tryLock(client, indexLock(index)))) continue;
    await dropConcurrently(client, index);
  }
}

async function dropDeadIndex(client: Client, target: BuildTarget): Promise<void> {
  for (const name of await namesBeginningWith(client, target.schema, deadName(finalIndexOf(target)))) {
    await dropConcurrently(client, { schema: target.schema, name });
  }
}

/**
 * Drops an index. A lock timeout could stop the drop halfway, so lock_timeout must be 0 (see session-settings.ts). The drop
 * waits for every transaction that uses the table. If that takes too long, the drop continues without its client.
 * @throws StillDropping after 5 s
 */
async function dropConcurrently(client: Client, index: Named): Promise<void> {
  if ((await readRelationKind(client, index)) === undefined) return;
  const drop = client.query(`drop index concurrently if exists ${qualified(index)}`);
  // If this function does not wait for the drop, its promise rejects when the connection closes.
  drop.catch(() => {});
  const ended = drop.then(() => true);
  if (await Promise.race([ended, sleep(DROP_WAIT_SECONDS * 1000, false, { ref: false })])) return;
  throw new StillDropping(
    `DROP INDEX ${index.name} is waiting for transactions that use its table. It continues in its own session.`,
    { sqlstate: LOCK_NOT_AVAILABLE },
  );
}

function finalIndexOf(target: BuildTarget): Named {
  return { schema: target.schema, name: target.finalName };
}

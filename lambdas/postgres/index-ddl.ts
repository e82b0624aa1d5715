import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { BuildFailed, BuildInterrupted, LockNotAvailable } from '../shared/errors.ts';
import { acquire, indexLock } from './advisory-lock.ts';
import type { BuildTarget } from './build-target.ts';
import { indexesBeginningWith, isChanging, readCatalogEntry, readRelationKind } from './catalog.ts';
import type { Client } from './client.ts';
import { isHeld, lockForMarks, planRelease, releaseDeadIndex } from './dead-index.ts';
import { type Named, qualified, quotedTable, quoteIdentifier, type Table } from './identifiers.ts';
import { readDefinition } from './index-definition.ts';
import { deadName, replacementPrefix } from './index-names.ts';
import { joinObstacles, type Obstacle, readProperties } from './index-properties.ts';
import { renameReindexLeftovers } from './reindex-leftovers.ts';
import { carryOver, carrySettings, describeUnrepairable, rename, whyNotReplaceable } from './replacement.ts';
import { queryInConfiguredSearchPath, schemasBeforePath } from './search-path.ts';
import { DEPENDENT_OBJECTS_STILL_EXIST, LOCK_NOT_AVAILABLE, sqlstateOf } from './sqlstate.ts';
import { withLockTimeout, withTableLock } from './table-lock.ts';

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
    // Before version 17, functions of the expression look up names in the search path.
    await queryInConfiguredSearchPath(
      client,
      `analyze ${quotedTable(target)}`,
      schemasBeforePath(target.entry),
    );
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
  await dropDeadIndexes(client, target);
  // An attached index is rebuilt in place. An interrupted REINDEX CONCURRENTLY leaves other invalid indexes beside it.
  if (target.attached) {
    await renameReindexLeftovers(client, target, SHORT_LOCK_TIMEOUT_SECONDS);
    await dropDeadIndexes(client, target);
    return false;
  }
  if (!(await isInvalid(client, target))) return false;
  const renamed = await withTableLock(client, target, SHORT_LOCK_TIMEOUT_SECONDS, async () => {
    await refuseWhileChanging(client, target);
    if (!(await isInvalid(client, target))) return false;
    await refuseIfHeld(client, target);
    await rename(client, target, await freeName(client, target, deadName(finalIndexOf(target))));
    return true;
  });
  if (renamed) await dropDeadIndexes(client, target);
  return renamed;
}

/**
 * Gives the replacement of an index the settings of that index, before the replacement is swapped in and analyzed: a
 * statistics target has an effect on ANALYZE only.
 * @throws lock_not_available after 3 s
 */
export async function prepareReplacement(client: Client, target: BuildTarget): Promise<void> {
  await withTableLock(client, target, SHORT_LOCK_TIMEOUT_SECONDS, async () => {
    const old = await readProperties(client, finalIndexOf(target));
    const replacement = await readProperties(client, target);
    if (old !== undefined && replacement !== undefined) await carrySettings(client, old, replacement);
  });
}

/**
 * Swaps in the replacement of an index in one transaction, so that the table is never without the index, and drops the old
 * index. It checks again under the table's lock what depends on the old index: other sessions may have changed that.
 * @returns why the old index is kept. Null: it was replaced
 * @throws lock_not_available after 3 s: the next attempt swaps the replacement in
 */
export async function swapIndex(client: Client, target: BuildTarget): Promise<Obstacle | null> {
  await dropDeadIndexes(client, target);
  const final = finalIndexOf(target);
  const obstacle = await withTableLock(client, target, SHORT_LOCK_TIMEOUT_SECONDS, async () => {
    await refuseWhileChanging(client, { ...target, ...final });
    const found = await readProperties(client, final);
    // If another table's index has the name by now, the rename below fails and changes nothing.
    const old = found?.table === target.table ? found : undefined;
    const replacement = await readProperties(client, target);
    const definition = await readDefinition(client, target);
    if (replacement?.valid !== true || definition === undefined) {
      throw new BuildInterrupted(
        `Index ${target.item}: another session changed or dropped ${target.name}, which was to replace it.`,
      );
    }
    if (old !== undefined) {
      const whyNot = await whyNotReplaceable(client, target.entry, definition, old);
      if (whyNot !== null) return whyNot;
      await lockForMarks(client, old);
      // Another dead index can exist that could not be dropped.
      await rename(client, final, await freeName(client, target, `${deadName(final)}_${old.oid}`));
    }
    await rename(client, target, final.name);
    if (old !== undefined) await carryOver(client, old, { ...replacement, name: final.name });
    return null;
  });
  return obstacle ?? (await dropDeadIndexes(client, target));
}

/**
 * Renames an index to its dead name, so that a drop that is interrupted is found again. The caller holds the table's lock in a
 * transaction, and has made sure that nothing depends on the index.
 */
export async function renameToDead(client: Client, target: BuildTarget): Promise<void> {
  await rename(client, target, await freeName(client, target, deadName(finalIndexOf(target))));
}

/** @throws BuildFailed when something depends on an invalid index, which therefore cannot be dropped */
async function refuseIfHeld(client: Client, target: BuildTarget): Promise<void> {
  const obstacle = joinObstacles((await readProperties(client, target))?.obstacles ?? []);
  if (obstacle === null) return;
  throw new BuildFailed(describeUnrepairable(target, obstacle), { sqlstate: DEPENDENT_OBJECTS_STILL_EXIST });
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

/**
 * Drops indexes that an interrupted attempt renamed and did not drop, or built as a replacement and did not swap in.
 * @returns why an index that had a dead name got its name back. Null: none did
 */
export async function dropLeftovers(client: Client, target: BuildTarget): Promise<Obstacle | null> {
  const obstacle = await dropDeadIndexes(client, target);
  for (const name of await indexesBeginningWith(client, target, replacementPrefix(finalIndexOf(target)))) {
    const index = { schema: target.schema, name };
    // A deploy with another registry may be building this replacement: its session holds the lock.
    if (name === target.name || (await acquire(client, [indexLock(index)])).kind === 'busy') continue;
    await dropUnused(client, index);
  }
  // After a repair that failed, the invalid index itself still exists. After one that succeeded, the index is valid.
  if (target.finish.kind === 'swap' && target.finish.repairs)
    await removeInvalidIndex(client, { ...target, ...finalIndexOf(target), finish: { kind: 'nothing' } });
  return obstacle;
}

/** Drops the replacement that cannot be swapped in. */
export async function dropReplacement(client: Client, target: BuildTarget): Promise<void> {
  await dropUnused(client, target);
}

/** Drops an index unless something depends on it, such as a foreign key that was added meanwhile. */
async function dropUnused(client: Client, index: Named): Promise<void> {
  const properties = await withLockTimeout(client, SHORT_LOCK_TIMEOUT_SECONDS, () =>
    readProperties(client, index),
  );
  if (properties === undefined || isHeld(properties)) return;
  try {
    await dropConcurrently(client, index);
  } catch (error) {
    if (sqlstateOf(error) !== DEPENDENT_OBJECTS_STILL_EXIST) throw error;
    throw new LockNotAvailable(
      `Index ${index.name} could not be dropped, because another session has just made something depend on it. The next attempt checks it again.`,
      { sqlstate: LOCK_NOT_AVAILABLE, cause: error },
    );
  }
}

/** @returns why a dead index got its name back. Null: none did */
async function dropDeadIndexes(client: Client, target: BuildTarget): Promise<Obstacle | null> {
  const final = finalIndexOf(target);
  const names = () => indexesBeginningWith(client, target, deadName(final));
  const entry = { ...target.entry, ...final };
  let obstacle: Obstacle | null = null;
  for (const name of await names()) {
    const plan = await withLockTimeout(client, SHORT_LOCK_TIMEOUT_SECONDS, () =>
      planRelease(client, entry, name),
    );
    if (plan.kind === 'drop') continue;
    obstacle ??= await withTableLock(client, target, SHORT_LOCK_TIMEOUT_SECONDS, () =>
      releaseDeadIndex(client, entry, name),
    );
  }
  for (const name of await names()) await dropUnused(client, { schema: target.schema, name });
  return obstacle;
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

/**
 * A name that no relation of the schema has. Another role can have created one with the name of a dead index.
 * @param name the beginning of the name
 */
async function freeName(client: Client, { schema }: Table, name: string): Promise<string> {
  const isTaken = (await readRelationKind(client, { schema, name })) !== undefined;
  return isTaken ? `${name}_${randomBytes(4).toString('hex')}` : name;
}

function finalIndexOf(target: BuildTarget): Named {
  return { schema: target.schema, name: target.finalName };
}

import { setTimeout as sleep } from 'node:timers/promises';
import { acquire, indexLock, tableLock } from '../postgres/advisory-lock.ts';
import { type Build, type BuildTarget, entryTarget, findTarget, isBuilt } from '../postgres/build-target.ts';
import { readCatalogEntry } from '../postgres/catalog.ts';
import { type Client, type Database, withClient } from '../postgres/client.ts';
import { finishBuild, recordGone } from '../postgres/finish-build.ts';
import { isTableGone, TABLE_GONE } from '../postgres/gone-tables.ts';
import { dropLeftovers, removeInvalidIndex, StillDropping } from '../postgres/index-ddl.ts';
import { ensureLedger, lastAttempt, recordAttempt, recordFailure, startAttempt } from '../postgres/ledger.ts';
import { describeBlockersOfFailure, locksOf } from '../postgres/lock-failure.ts';
import { describeHolder, warnOfHolders } from '../postgres/lock-holders.ts';
import { readPartitionTree } from '../postgres/partition-tree.ts';
import { otherBuilders } from '../postgres/running-builds.ts';
import {
  describeDatabaseError,
  isConnectionError,
  LOCK_NOT_AVAILABLE,
  sqlstateOf,
  toDeployStepError,
} from '../postgres/sqlstate.ts';
import { parseItem } from '../shared/build-item.ts';
import type { BuildIndexResult, SettleIndexEvent } from '../shared/build-payloads.ts';
import { describeCaught } from '../shared/caught-error.ts';
import { LockNotAvailable } from '../shared/errors.ts';
import type { Log } from '../shared/logger.ts';
import { type CompiledRegistry, tableId } from '../shared/registry.ts';
import { listed } from '../shared/text.ts';

interface SettleIndexIo {
  registry: CompiledRegistry;
  database: Database;
  log: Log;
}

/**
 * Settles an index whose attempts are used up: records that it failed and removes what the last attempt left, unless the
 * index is valid after all.
 * @throws ConnectionLost, LockNotAvailable: another attempt to settle it can succeed
 */
export async function settleIndex(event: SettleIndexEvent, io: SettleIndexIo): Promise<BuildIndexResult> {
  return await withClient(io.database, `settle ${event.index}`, async (client) => {
    try {
      await ensureLedger(client);
      if (parseItem(io.registry, event.index).index.retired !== undefined)
        return await settleRetired(client, event, io);
      const found = await findTarget(client, io.registry, event.index);
      const target = found ?? targetWithoutTable(io.registry, event.index);
      const build: Build = { client, deploy: event.deploy, target, log: io.log };
      const last = await lastAttempt(build);
      const gone = await whatIsGone(client, io.registry, { item: event.index, found });
      if (gone !== null) {
        await recordGone(build, last, gone);
        return { state: 'done', status: 'present', waitSeconds: 1 };
      }
      const acquired = await acquire(client, [indexLock(target)]);
      const locked = acquired.kind === 'acquired';
      if (locked) warnOfHolders(acquired.despite, { index: target.item, log: io.log });
      const entry = await readCatalogEntry(client, target);
      let failure: string | undefined;
      if (locked && isBuilt(target, entry)) {
        await lockIdleTable(build);
        try {
          return await finishBuild(build, entry, last);
        } catch (error) {
          // An index whose constraint could not be added has failed. It stays, so that the next deploy only adds the constraint.
          if (target.finish.kind !== 'constraint' || isConnectionError(error)) throw error;
          failure = toDeployStepError(error, `Index ${event.index}`).message;
        }
      }
      const message = failure ?? last?.message ?? describeCaught(event.error);
      io.log.error('The index failed.', { index: target.item, critical: target.critical, reason: message });
      try {
        await recordFailure(build, { message });
      } finally {
        // Also when the ledger does not accept the row. Without the lock, another session works on the index.
        if (locked) await removeLeftovers(build, io.database);
      }
      return { state: 'done', status: 'failed', waitSeconds: 1 };
    } catch (error) {
      throw toDeployStepError(error, `Index ${event.index}`);
    }
  });
}

/** A retired index whose drop has failed is kept: the deploy needs nothing of it. */
async function settleRetired(
  client: Client,
  event: SettleIndexEvent,
  { registry, log }: SettleIndexIo,
): Promise<BuildIndexResult> {
  const { index } = parseItem(registry, event.index);
  const build: Build = { client, deploy: event.deploy, target: entryTarget(index, event.index), log };
  const last = await lastAttempt(build);
  const attempt = last?.attempt || (await startAttempt(build, false));
  const isDropped = (await readCatalogEntry(client, index))?.table !== index.table;
  const message = `The drop failed: ${describeCaught(event.error)} The next deploy tries again.`;
  const status = isDropped ? 'retired' : 'kept';
  log.warn('The drop of a retired index failed.', { index: event.index, status, reason: message });
  // An index that is dropped has the statement that brings it back as its message.
  await recordAttempt(build, attempt, isDropped ? { status } : { status, message });
  return { state: 'done', status, waitSeconds: 1 };
}

/** Tries to lock the table, 3 s each: many, because after this function only the next deploy removes the invalid index. */
const TRIES = 20;

/** An error is only logged: the failure is already recorded, and the next deploy repairs the index. */
async function removeLeftovers(build: Build, database: Database, tries = TRIES): Promise<void> {
  const { client, target, log } = build;
  try {
    await lockIdleTable(build);
    await removeInvalidIndex(client, target);
    await dropLeftovers(client, target);
  } catch (error) {
    // Only PostgreSQL's lock timeout has the SQLSTATE. lockIdleTable has already waited long enough.
    const isLockTimeout = sqlstateOf(error) === LOCK_NOT_AVAILABLE && !(error instanceof StillDropping);
    if (isLockTimeout && tries > 1) return await removeLeftovers(build, database, tries - 1);
    log.warn(
      'The invalid index is not removed yet. Either a drop that is still running removes it, or the next deploy does.',
      {
        index: target.item,
        reason: describeDatabaseError(error),
        blockedBy: await blockedBy(build, database, error),
      },
    );
  }
}

/** What blocks the removal of an invalid index. Undefined: unknown. Only the log shows it, so an error here is ignored. */
async function blockedBy(build: Build, database: Database, error: unknown): Promise<string | undefined> {
  const failed = { session: build.client, error, locks: locksOf(build.target) };
  const describe = async (client: Client) => await describeBlockersOfFailure(client, failed);
  const isBusy = error instanceof StillDropping;
  const described = isBusy
    ? withClient(database, `check ${build.target.item}`, describe)
    : describe(build.client);
  return (await described.catch(() => '')) || undefined;
}

/** Says what an item needs and what does not exist any more. Null: nothing. */
async function whatIsGone(
  client: Client,
  registry: CompiledRegistry,
  { item, found }: { item: string; found: BuildTarget | undefined },
): Promise<string | null> {
  const { index, partition } = parseItem(registry, item);
  if (await isTableGone(client, index)) return TABLE_GONE;
  if (partition === null || found !== undefined) return null;
  const tree = await readPartitionTree(client, index);
  return tree.some((node) => tableId(node) === partition) ? null : 'The partition was dropped or detached.';
}

/** How long to wait for another session's build on the table, in seconds: half of the function's timeout. */
const TABLE_WAIT_SECONDS = 300;

/**
 * Acquires the table's advisory lock once no other session builds on the table: a build and this function would deadlock.
 * @throws LockNotAvailable after 300 s
 */
async function lockIdleTable({ client, target }: Build): Promise<void> {
  const deadline = Date.now() + TABLE_WAIT_SECONDS * 1000;
  for (;;) {
    const acquired = await acquire(client, [tableLock(target)]);
    const builders = await otherBuilders(client, target);
    if (acquired.kind === 'acquired' && builders.length === 0) return;
    if (Date.now() > deadline) {
      const holder = acquired.kind === 'busy' ? acquired.holder : null;
      const by = holder === null ? builders.map((pid) => `pid ${pid}`) : [describeHolder(holder)];
      throw new LockNotAvailable(
        `Index ${target.item}: another session has been building on table ${tableId(target)} for ${TABLE_WAIT_SECONDS} s: ${listed(by)}.`,
      );
    }
    await sleep(1000);
  }
}

/** The target of an item whose partition no longer exists: its row in the ledger must still be completed. */
function targetWithoutTable(registry: CompiledRegistry, item: string): BuildTarget {
  const { index } = parseItem(registry, item);
  return { ...entryTarget(index, item), attached: true };
}

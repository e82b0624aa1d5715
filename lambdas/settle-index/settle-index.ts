import { setTimeout as sleep } from 'node:timers/promises';
import { indexLock, tableLock, tryLock } from '../postgres/advisory-lock.ts';
import { otherBuilders } from '../postgres/build-progress.ts';
import { type BuildTarget, entryTarget, findTarget, isBuilt } from '../postgres/build-target.ts';
import { readCatalogEntry } from '../postgres/catalog.ts';
import { type Client, type Database, withClient } from '../postgres/client.ts';
import { finishBuild } from '../postgres/finish-build.ts';
import {
  dropLeftovers,
  prepareBuildSession,
  removeInvalidIndex,
  StillDropping,
} from '../postgres/index-ddl.ts';
import { type Attempt, ensureLedger, lastAttempt, noteAttempt, startAttempt } from '../postgres/ledger.ts';
import { readPartitionTree } from '../postgres/partition-tree.ts';
import {
  describeDatabaseError,
  LOCK_NOT_AVAILABLE,
  sqlstateOf,
  toDeployStepError,
} from '../postgres/sqlstate.ts';
import { parseItem } from '../shared/build-item.ts';
import { describeCaught } from '../shared/caught-error.ts';
import { LockNotAvailable } from '../shared/errors.ts';
import type { Log } from '../shared/logger.ts';
import type { BuildIndexResult, SettleIndexEvent } from '../shared/payloads.ts';
import { type CompiledRegistry, tableId } from '../shared/registry.ts';

export interface SettleIndexIo {
  registry: CompiledRegistry;
  database: Database;
  log: Log;
}

/**
 * Ends an index whose attempts are used up: removes what the last one left behind and writes the failure down, unless
 * the index turns out to be valid after all.
 * @throws ConnectionLost, LockNotAvailable: another attempt at settling may pass.
 */
export async function settleIndex(event: SettleIndexEvent, io: SettleIndexIo): Promise<BuildIndexResult> {
  return await withClient(io.database, `settle ${event.index}`, async (client) => {
    try {
      await prepareBuildSession(client);
      await ensureLedger(client);
      const found = await findTarget(client, io.registry, event.index);
      const target = found ?? withoutTable(io.registry, event.index);
      const last = await lastAttempt(client, event.deploy, target.item);
      if (found === undefined && (await isGone(client, io.registry, event.index)))
        return await settleGone(client, event.deploy, target, last, io.log);
      const mine = await tryLock(client, indexLock(target));
      const entry = await readCatalogEntry(client, target);
      if (mine && isBuilt(target, entry)) {
        if (!(await lockIdleTable(client, target))) throw new LockNotAvailable(busy(target));
        return await finishBuild(client, event.deploy, target, entry, last, io.log);
      }
      const number = last?.attempt ?? (await startAttempt(client, event.deploy, target, false));
      const message = last?.message ?? describeCaught(event.error);
      await noteAttempt(client, event.deploy, target.item, number, { status: 'failed', message });
      io.log.error('The index is given up.', {
        index: target.item,
        critical: target.critical,
        reason: message,
      });
      if (mine) await removeLeftovers(client, target, io.log);
      return { state: 'done', status: 'failed', waitSeconds: 1 };
    } catch (error) {
      throw toDeployStepError(error, `Index ${event.index}`);
    }
  });
}

/** Tries for the table's lock, each of some seconds: there is no later attempt that would remove it. */
const TRIES = 20;

/** What goes wrong here goes into the log only: the failure is written down, and the next deploy heals the index. */
async function removeLeftovers(client: Client, target: BuildTarget, log: Log, tries = TRIES): Promise<void> {
  try {
    if (!(await lockIdleTable(client, target))) throw new LockNotAvailable(busy(target));
    await removeInvalidIndex(client, target);
    await dropLeftovers(client, target);
  } catch (error) {
    // The server's own lock timeout, not a table that others build on: that was waited for.
    if (sqlstateOf(error) === LOCK_NOT_AVAILABLE && !(error instanceof StillDropping) && tries > 1) {
      return await removeLeftovers(client, target, log, tries - 1);
    }
    log.warn(
      'The invalid leftover is not removed yet; what goes on without this, or the next deploy, removes it.',
      {
        index: target.item,
        reason: describeDatabaseError(error),
      },
    );
  }
}

/** Whether an item is about a partition that was dropped or detached. */
async function isGone(client: Client, registry: CompiledRegistry, item: string): Promise<boolean> {
  const { index, partition } = parseItem(registry, item);
  if (partition === null) return false;
  return !(await readPartitionTree(client, index)).some((node) => tableId(node) === partition);
}

/** A partition that goes while its part is built is no error: there is nothing left to index. */
async function settleGone(
  client: Client,
  deploy: string,
  target: BuildTarget,
  last: Attempt | undefined,
  log: Log,
): Promise<BuildIndexResult> {
  log.info('The partition is gone.', { index: target.item });
  if (last !== undefined)
    await noteAttempt(client, deploy, target.item, last.attempt, {
      status: 'present',
      message: 'The partition is gone.',
    });
  return { state: 'done', status: 'present', waitSeconds: 1 };
}

/** How long another execution's or a DBA's build on the table is waited for, in seconds: half of what the function has. */
const TABLE_PATIENCE_SECONDS = 300;

/**
 * Takes the table's lock when nobody builds on it: another build there would end in a deadlock with what is done here.
 * @returns whether it was to be had
 */
async function lockIdleTable(client: Client, target: BuildTarget): Promise<boolean> {
  const until = Date.now() + TABLE_PATIENCE_SECONDS * 1000;
  for (;;) {
    if ((await tryLock(client, tableLock(target))) && (await otherBuilders(client, target)).length === 0)
      return true;
    if (Date.now() > until) return false;
    await sleep(1000);
  }
}

function busy(target: BuildTarget): string {
  return `Index ${target.item}: another session has been building on table ${tableId(target)} for ${TABLE_PATIENCE_SECONDS} s.`;
}

/** An item whose partition is gone still has a row in the ledger to be ended. */
function withoutTable(registry: CompiledRegistry, item: string): BuildTarget {
  const { index } = parseItem(registry, item);
  return { ...entryTarget(index, item), attached: true };
}

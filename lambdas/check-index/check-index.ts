import { acquire, indexLock, tableLock } from '../postgres/advisory-lock.ts';
import {
  blockersOfBackend,
  cancelIfNeverStarted,
  describeBlockers,
  lockTimeoutMessage,
  terminateIdle,
} from '../postgres/blockers.ts';
import { type Build, findTarget, isBuilt } from '../postgres/build-target.ts';
import { readCatalogEntry } from '../postgres/catalog.ts';
import { type Database, withClient } from '../postgres/client.ts';
import { finishBuild } from '../postgres/finish-build.ts';
import { type Attempt, lastAttempt, recordAttempt } from '../postgres/ledger.ts';
import { readLockHolders, warnOfHolders } from '../postgres/lock-holders.ts';
import { otherBuilders, readProgress, secondsBuilding, stillBuilding } from '../postgres/running-builds.ts';
import { LOCK_NOT_AVAILABLE, toDeployStepError } from '../postgres/sqlstate.ts';
import type { BuildIndexEvent, BuildIndexResult } from '../shared/build-payloads.ts';
import type { Log } from '../shared/logger.ts';
import { type CompiledRegistry, tableId } from '../shared/registry.ts';
import { isPostponed } from '../shared/window-end.ts';

interface CheckSettings {
  /** How long a build may wait for its first lock before it is canceled, in seconds. */
  lockTimeoutSeconds: number;
  /** Blockers that have been idle in their transaction for longer are terminated. Undefined: none is. */
  terminateIdleInTransactionSeconds: number | undefined;
}

interface CheckIndexIo {
  registry: CompiledRegistry;
  database: Database;
  log: Log;
  settings: CheckSettings;
}

/** A build with what its check needs. */
interface CheckedBuild extends Build {
  /** The last attempt of this deploy. Undefined: the deploy has made none. */
  last: Attempt | undefined;
  settings: CheckSettings;
}

/**
 * Checks a build that continues without its client: its advisory locks show whether it is alive, the progress view how far it
 * is, and the catalog whether the index is valid.
 * @throws ConnectionLost, LockNotAvailable: another check can succeed
 */
export async function checkIndex(event: BuildIndexEvent, io: CheckIndexIo): Promise<BuildIndexResult> {
  return await withClient(io.database, `check ${event.index}`, async (client) => {
    try {
      const target = await findTarget(client, io.registry, event.index);
      // The partition was dropped, or the table is no longer partitioned. Build Index handles both.
      if (target === undefined) return { state: 'interrupted', status: 'building', waitSeconds: 1 };
      const { terminateIdleInTransactionSeconds } = io.settings;
      const build: Build = {
        client,
        deploy: event.deploy,
        target,
        log: io.log,
        terminateIdleInTransactionSeconds,
      };
      const result = await check({ ...build, last: await lastAttempt(build), settings: io.settings });
      // At the end of the window the build continues in its backend, and the deploy monitors it after the start.
      return result.state === 'building' && isPostponed(event, target.critical)
        ? { ...result, state: 'left' }
        : result;
    } catch (error) {
      throw toDeployStepError(error, `Index ${event.index}`);
    }
  });
}

async function check(build: CheckedBuild): Promise<BuildIndexResult> {
  const { client, target, last } = build;
  const keys = [indexLock(target), tableLock(target)];
  const { trusted } = await readLockHolders(client, keys);
  const lockedBy = trusted.find((holder) => holder.key === keys[0])?.pid;
  const pid = lockedBy ?? trusted[0]?.pid ?? (await otherBuilders(client, target))[0];
  if (pid !== undefined) {
    const isOurs = last?.status === 'building' && last.pid === lockedBy;
    return await monitor(build, pid, isOurs ? last : undefined);
  }
  // No session works on the index or its table. Acquire the locks, so that none begins while this function finishes it.
  const acquired = await acquire(client, keys);
  if (acquired.kind === 'busy') return { state: 'building', status: 'building', waitSeconds: 2 };
  warnOfHolders(acquired.despite, { index: target.item, log: build.log });
  const found = await readCatalogEntry(client, target);
  return isBuilt(target, found) ? await finishBuild(build, found, last) : await recordInterruption(build);
}

/**
 * @param pid backend that works on the index or its table
 * @param ours the attempt, if this deploy started the build
 */
async function monitor(
  build: CheckedBuild,
  pid: number,
  ours: Attempt | undefined,
): Promise<BuildIndexResult> {
  const { client, target, last, settings, log } = build;
  const progress = (await readProgress(client, target)).find((one) => one.pid === pid);
  const blockers = await blockersOfBackend(client, pid);
  const blockedBy = describeBlockers(blockers);
  log.info('Still building.', {
    ...{ index: target.item, pid, phase: progress?.phase, blockedBy: blockedBy || undefined },
    percent: progress?.fraction == null ? undefined : Math.round(progress.fraction * 100),
  });
  if (ours !== undefined && (await cancelIfNeverStarted(client, pid, settings.lockTimeoutSeconds))) {
    await recordAttempt(build, ours.attempt, {
      status: 'retrying',
      sqlstate: LOCK_NOT_AVAILABLE,
      message: lockTimeoutMessage(tableId(target), settings.lockTimeoutSeconds, blockedBy),
      blockedBy: blockedBy || undefined,
    });
    return { state: 'interrupted', status: 'building', waitSeconds: 2 };
  }
  if (ours !== undefined && blockers.length > 0) {
    const terminated = await terminateIdle(client, blockers, settings.terminateIdleInTransactionSeconds, log);
    await recordAttempt(build, ours.attempt, {
      status: 'building',
      blockedBy,
      terminated: terminated || undefined,
    });
  }
  // The session of a failed attempt still drops what the attempt found or left.
  if (last?.status === 'retrying' && last.pid === pid && blockedBy !== '')
    await recordAttempt(build, last.attempt, { status: last.status, blockedBy });
  return stillBuilding(await secondsBuilding(client, pid), progress);
}

async function recordInterruption(build: CheckedBuild): Promise<BuildIndexResult> {
  const { target, last, log } = build;
  if (last?.status === 'building') {
    const message = `Index ${target.item}: the session that built it ended, and the index is not valid. PostgreSQL's log contains the reason.`;
    log.warn(message, { index: target.item, pid: last.pid });
    await recordAttempt(build, last.attempt, { status: 'retrying', message });
  }
  return { state: 'interrupted', status: 'building', waitSeconds: 1 };
}

import { indexLock, lockHolder, tableLock, tryLock } from '../postgres/advisory-lock.ts';
import {
  blockersOfBackend,
  cancelIfNeverStarted,
  describeBlockers,
  terminateIdle,
} from '../postgres/blockers.ts';
import { buildingFor, otherBuilders, pauseFor, readProgress } from '../postgres/build-progress.ts';
import { type BuildTarget, findTarget, isBuilt } from '../postgres/build-target.ts';
import { readCatalogEntry } from '../postgres/catalog.ts';
import { type Client, type Database, withClient } from '../postgres/client.ts';
import { finishBuild } from '../postgres/finish-build.ts';
import { prepareBuildSession } from '../postgres/index-ddl.ts';
import { type Attempt, lastAttempt, noteAttempt } from '../postgres/ledger.ts';
import { LOCK_NOT_AVAILABLE, toDeployStepError } from '../postgres/sqlstate.ts';
import type { Log } from '../shared/logger.ts';
import type { BuildIndexEvent, BuildIndexResult } from '../shared/payloads.ts';
import { type CompiledRegistry, tableId } from '../shared/registry.ts';
import { isLeftForLater } from '../shared/window-end.ts';

export interface CheckIndexIo {
  registry: CompiledRegistry;
  database: Database;
  log: Log;
  settings: {
    /** How long a build may wait for its first lock before it is cancelled, in seconds. */
    lockTimeoutSeconds: number;
    /** Blockers that are idle in their transaction for longer are ended. Undefined: none is. */
    terminateIdleInTransactionSeconds: number | undefined;
  };
}

/**
 * Looks at a build that goes on without a client: by its advisory lock, by the progress view, and in the end by the
 * catalog.
 * @throws ConnectionLost, LockNotAvailable: another look may succeed.
 */
export async function checkIndex(event: BuildIndexEvent, io: CheckIndexIo): Promise<BuildIndexResult> {
  return await withClient(io.database, `check ${event.index}`, async (client) => {
    try {
      await prepareBuildSession(client);
      const target = await findTarget(client, io.registry, event.index);
      // Its partition is gone, or its table is no longer partitioned: building it again finds out.
      if (target === undefined) return { state: 'interrupted', status: 'building', waitSeconds: 1 };
      const seen = await look(client, event.deploy, target, io);
      // The window is used up: its backend goes on, and the builds after the start follow it.
      return seen.state === 'building' && isLeftForLater(event, target.critical)
        ? { ...seen, state: 'left' }
        : seen;
    } catch (error) {
      throw toDeployStepError(error, `Index ${event.index}`);
    }
  });
}

async function look(
  client: Client,
  deploy: string,
  target: BuildTarget,
  io: CheckIndexIo,
): Promise<BuildIndexResult> {
  const last = await lastAttempt(client, deploy, target.item);
  const holder = (await lockHolder(client, indexLock(target)))?.pid;
  const builder =
    holder ?? (await lockHolder(client, tableLock(target)))?.pid ?? (await otherBuilders(client, target))[0];
  if (builder !== undefined) return await follow(client, deploy, target, builder, holder, last, io);
  // Nobody is at it. The locks keep everybody else away while this looks and finishes.
  const mine = await tryLock(client, indexLock(target));
  if (!(mine && (await tryLock(client, tableLock(target)))))
    return { state: 'building', status: 'building', waitSeconds: 2 };
  const found = await readCatalogEntry(client, target);
  if (isBuilt(target, found)) {
    return await finishBuild(client, deploy, target, found, last, io.log);
  }
  return await interrupted(client, deploy, target, last, io.log);
}

async function follow(
  client: Client,
  deploy: string,
  target: BuildTarget,
  builder: number,
  holder: number | undefined,
  last: Attempt | undefined,
  io: CheckIndexIo,
): Promise<BuildIndexResult> {
  const progress = (await readProgress(client, target)).find((build) => build.pid === builder);
  const blockers = await blockersOfBackend(client, builder);
  const blockedBy = describeBlockers(blockers);
  const isOurs = last?.status === 'building' && last.pid === holder;
  io.log.info('Still building.', {
    ...{ index: target.item, pid: builder, phase: progress?.phase, blockedBy: blockedBy || undefined },
    percent: progress?.fraction == null ? undefined : Math.round(progress.fraction * 100),
  });
  if (isOurs && (await cancelIfNeverStarted(client, builder, io.settings.lockTimeoutSeconds))) {
    const message = `The lock on table ${tableId(target)} was not to be had within ${io.settings.lockTimeoutSeconds} s.${
      blockedBy === '' ? '' : ` Blocked by ${blockedBy}.`
    }`;
    await noteAttempt(client, deploy, target.item, last.attempt, {
      status: 'retrying',
      sqlstate: LOCK_NOT_AVAILABLE,
      message,
      blockedBy: blockedBy || undefined,
    });
    return { state: 'interrupted', status: 'building', waitSeconds: 2 };
  }
  if (isOurs && blockers.length > 0) {
    const terminated = await terminateIdle(
      client,
      blockers,
      io.settings.terminateIdleInTransactionSeconds,
      io.log,
    );
    await noteAttempt(client, deploy, target.item, last.attempt, {
      status: 'building',
      blockedBy,
      terminated: terminated || undefined,
    });
  }
  const forSeconds = await buildingFor(client, builder);
  return { state: 'building', status: 'building', waitSeconds: pauseFor(progress, forSeconds) };
}

async function interrupted(
  client: Client,
  deploy: string,
  target: BuildTarget,
  last: Attempt | undefined,
  log: Log,
): Promise<BuildIndexResult> {
  if (last?.status === 'building') {
    const message = `Index ${target.item}: the session that built it ended and the index is not valid. Its reason is in the server's log.`;
    log.warn(message, { index: target.item, pid: last.pid });
    await noteAttempt(client, deploy, target.item, last.attempt, { status: 'retrying', message });
  }
  return { state: 'interrupted', status: 'building', waitSeconds: 1 };
}

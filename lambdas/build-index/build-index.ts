import { indexLock, tableLock, tryLock } from '../postgres/advisory-lock.ts';
import { otherBuilders, pauseFor } from '../postgres/build-progress.ts';
import {
  type BuildTarget,
  entryTarget,
  findTarget,
  isBuilt,
  type Resolved,
  resolveTarget,
} from '../postgres/build-target.ts';
import { readCatalogEntry } from '../postgres/catalog.ts';
import { type Client, type Database, withClient } from '../postgres/client.ts';
import { finishBuild } from '../postgres/finish-build.ts';
import { qualified } from '../postgres/identifiers.ts';
import { prepareBuildSession } from '../postgres/index-ddl.ts';
import { ensureLedger, lastAttempt, noteAttempt, startAttempt } from '../postgres/ledger.ts';
import { incompleteLeaves, readPartitionTree } from '../postgres/partition-tree.ts';
import { isConnectionError, toDeployStepError } from '../postgres/sqlstate.ts';
import { parseItem } from '../shared/build-item.ts';
import { BuildFailed } from '../shared/errors.ts';
import type { Log } from '../shared/logger.ts';
import type { BuildIndexEvent, BuildIndexResult } from '../shared/payloads.ts';
import type { CompiledRegistry } from '../shared/registry.ts';
import { isLeftForLater, secondsLeft } from '../shared/window-end.ts';
import { attempt } from './attempt.ts';

export interface BuildSettings {
  /** How long to try for the table's lock, in seconds. */
  lockTimeoutSeconds: number;
  /** How long to wait for the statement before letting go of it, in seconds. */
  waitSeconds: number;
  /** How long to wait where an earlier attempt ended without anybody hearing why, in seconds. */
  patientWaitSeconds: number;
  /** Attempts that an index has in one deploy. */
  attempts: number;
  /** Blockers that are idle in their transaction for longer are ended. Undefined: none is. */
  terminateIdleInTransactionSeconds: number | undefined;
}

export interface BuildIndexIo {
  registry: CompiledRegistry;
  database: Database;
  log: Log;
  settings: BuildSettings;
}

/**
 * Builds one index: looks first, heals what an earlier attempt left, tries the table's lock, starts CREATE INDEX
 * CONCURRENTLY and waits for it. A build that takes longer goes on in its backend; Check Index follows it.
 * @throws LockNotAvailable, Deadlock, ConnectionLost (another attempt may mend it), BuildFailed (it cannot).
 */
export async function buildIndex(event: BuildIndexEvent, anyTime: BuildIndexIo): Promise<BuildIndexResult> {
  const { critical } = parseItem(anyTime.registry, event.index).index;
  if (isLeftForLater(event, critical)) return { state: 'left', status: 'missing', waitSeconds: 1 };
  const io = { ...anyTime, settings: within(secondsLeft(event, critical), anyTime.settings) };
  return await withClient(io.database, `build ${event.index}`, async (client) => {
    try {
      await prepareBuildSession(client);
      await ensureLedger(client);
      const resolved = await resolve(client, event, io);
      if (resolved.kind === 'gone') {
        io.log.info('Nothing to build.', { index: event.index, reason: resolved.reason });
        return { state: 'done', status: 'present', waitSeconds: 1 };
      }
      const { target } = resolved;
      if (resolved.kind === 'parent') return await settleParent(client, event.deploy, target, io);
      if (!(await tryLock(client, indexLock(target)))) {
        io.log.info('Another session works on this index; it is followed.', { index: event.index });
        return stillBuilding(0);
      }
      if (!(await tryLock(client, tableLock(target)))) {
        io.log.info('Another session works on the table; it is waited for.', { index: event.index });
        return stillBuilding(0);
      }
      if (target.finish.kind === 'swap' && !(await isStillSo(client, target, io.registry))) {
        // Another deploy swapped it between our look and our lock.
        return { state: 'interrupted', status: 'building', waitSeconds: 1 };
      }
      return (
        (await withoutBuilding(client, event.deploy, target, io)) ??
        (await attempt(client, event.deploy, target, io))
      );
    } catch (error) {
      throw toDeployStepError(error, `Index ${event.index}`);
    }
  });
}

/** What fails before there is anything to build, a partitioned table's skeleton, is an attempt all the same. */
async function resolve(client: Client, event: BuildIndexEvent, io: BuildIndexIo): Promise<Resolved> {
  try {
    return await resolveTarget(client, io.registry, event.index);
  } catch (error) {
    const failure = toDeployStepError(error, `Index ${event.index}`);
    if (isConnectionError(error)) throw failure;
    const target = entryTarget(parseItem(io.registry, event.index).index, event.index);
    const attempt = await startAttempt(client, event.deploy, target, false);
    await noteAttempt(client, event.deploy, target.item, attempt, {
      status: 'retrying',
      sqlstate: failure.sqlstate,
      message: failure.message,
    });
    throw failure;
  }
}

async function isStillSo(client: Client, target: BuildTarget, registry: CompiledRegistry): Promise<boolean> {
  const again = await findTarget(client, registry, target.item);
  return again?.name === target.name;
}

/** A lock request below this never evicts autovacuum. */
const SHORTEST_LOCK_TIMEOUT_SECONDS = 3;

/** No wait goes on beyond the window's end. */
function within(seconds: number, settings: BuildSettings): BuildSettings {
  return {
    ...settings,
    lockTimeoutSeconds: Math.min(
      settings.lockTimeoutSeconds,
      Math.max(SHORTEST_LOCK_TIMEOUT_SECONDS, Math.ceil(seconds)),
    ),
    waitSeconds: Math.min(settings.waitSeconds, seconds),
    patientWaitSeconds: Math.min(settings.patientWaitSeconds, seconds),
  };
}

/** The index of a partitioned table is made of its partitions' ones; nothing is built, and that is written down. */
async function settleParent(
  client: Client,
  deploy: string,
  target: BuildTarget,
  io: BuildIndexIo,
): Promise<BuildIndexResult> {
  // Their parts come next: they are items of their own.
  if (incompleteLeaves(await readPartitionTree(client, target.entry)).length > 0)
    return { state: 'done', status: 'building', waitSeconds: 1 };
  const attempt = await startAttempt(client, deploy, target, false);
  const found = await readCatalogEntry(client, target);
  if (found?.valid)
    return await finishBuild(client, deploy, target, found, { attempt, repairs: false }, io.log);
  throw new BuildFailed(
    `Index ${target.item}: each partition has its valid part, attached, but the server does not look again whether the ` +
      `index is whole by now (older minor versions never do). Drop it in a quiet moment, and deploy again: ` +
      `drop index ${qualified(target)};`,
  );
}

/** What makes a build needless: the index is valid, or somebody is at its table. Undefined: it is to be built. */
async function withoutBuilding(
  client: Client,
  deploy: string,
  target: BuildTarget,
  io: BuildIndexIo,
): Promise<BuildIndexResult | undefined> {
  const found = await readCatalogEntry(client, target);
  if (isBuilt(target, found)) {
    // An earlier attempt of this deploy may have built it and not lived to write it down.
    return await finishBuild(
      client,
      deploy,
      target,
      found,
      await lastAttempt(client, deploy, target.item),
      io.log,
    );
  }
  const others = await otherBuilders(client, target);
  if (others.length === 0) return undefined;
  // A second concurrent build on the table would end in a deadlock; a DBA's own build is not fought but waited for.
  io.log.info('Another session builds on the table; it is waited for.', { index: target.item, pids: others });
  return stillBuilding(0);
}

/** @param forSeconds how long it has been building */
export function stillBuilding(forSeconds: number): BuildIndexResult {
  return { state: 'building', status: 'building', waitSeconds: pauseFor(undefined, forSeconds) };
}

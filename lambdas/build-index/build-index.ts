import { acquire, indexLock, tableLock } from '../postgres/advisory-lock.ts';
import {
  type Build,
  entryTarget,
  findTarget,
  isBuilt,
  type Resolved,
  resolveTarget,
} from '../postgres/build-target.ts';
import { readCatalogEntry } from '../postgres/catalog.ts';
import { type Client, type Database, withClient } from '../postgres/client.ts';
import { finishBuild } from '../postgres/finish-build.ts';
import { dropSkeleton, ForeignPartition, refuseForeignPartitions } from '../postgres/foreign-partitions.ts';
import { indexKey, qualified } from '../postgres/identifiers.ts';
import {
  type Attempt,
  attemptsOf,
  ensureLedger,
  lastAttempt,
  recordAttempt,
  startAttempt,
} from '../postgres/ledger.ts';
import { blockedFailure, describeBlockersOfFailure } from '../postgres/lock-failure.ts';
import { describeHolder, warnOfHolders } from '../postgres/lock-holders.ts';
import { incompleteLeaves, readPartitionTree } from '../postgres/partition-tree.ts';
import type { WantedLock } from '../postgres/prepared-transactions.ts';
import { otherBuilders, stillBuilding } from '../postgres/running-builds.ts';
import { describeDatabaseError, isConnectionError, toDeployStepError } from '../postgres/sqlstate.ts';
import { findItem, parseItem } from '../shared/build-item.ts';
import type { BuildIndexEvent, BuildIndexResult } from '../shared/build-payloads.ts';
import { BuildFailed } from '../shared/errors.ts';
import type { Log } from '../shared/logger.ts';
import type { CompiledRegistry } from '../shared/registry.ts';
import { isPostponed, secondsLeft } from '../shared/window-end.ts';
import { attemptBuild, type BuildSettings } from './attempt.ts';
import { dropRetired } from './drop-retired.ts';

export interface BuildIndexIo {
  registry: CompiledRegistry;
  database: Database;
  log: Log;
  settings: BuildSettings;
}

/**
 * Builds one index: checks whether it exists, removes what an earlier attempt left, acquires the table's lock, starts CREATE
 * INDEX CONCURRENTLY and waits for it. A build that takes longer continues in its backend, and Check Index monitors it. An index of
 * a retired entry is dropped instead.
 * @throws LockNotAvailable, Deadlock, ConnectionLost, BuildInterrupted when a retry can succeed; BuildFailed when it cannot
 */
export async function buildIndex(event: BuildIndexEvent, io: BuildIndexIo): Promise<BuildIndexResult> {
  const { critical } = parseItem(io.registry, event.index).index;
  if (isPostponed(event, critical)) return { state: 'left', status: 'missing', waitSeconds: 1 };
  return await withClient(
    io.database,
    `build ${event.index}`,
    async (client) => await buildWith(client, event, io),
  );
}

/**
 * Builds one index with a connection. With the state `building` its session is busy or must keep its locks: close it.
 * @throws as `buildIndex`
 */
export async function buildWith(
  client: Client,
  event: BuildIndexEvent,
  io: BuildIndexIo,
): Promise<BuildIndexResult> {
  const { critical } = parseItem(io.registry, event.index).index;
  const settings = limitWaits(io.settings, secondsLeft(event, critical));
  try {
    await ensureLedger(client);
    const { index } = parseItem(io.registry, event.index);
    if (index.retired !== undefined)
      return await dropRetired(
        { client, deploy: event.deploy, target: entryTarget(index, event.index), log: io.log },
        { settings, database: io.database, retired: index.retired },
      );
    const resolved = await resolve(client, event, io);
    if (resolved.kind === 'gone') {
      io.log.info('Nothing to build.', { index: event.index, reason: resolved.reason });
      return { state: 'done', status: 'present', waitSeconds: 1 };
    }
    const { terminateIdleInTransactionSeconds } = settings;
    const { target } = resolved;
    const build: Build = {
      client,
      deploy: event.deploy,
      target,
      log: io.log,
      terminateIdleInTransactionSeconds,
    };
    if (resolved.kind === 'parent') return await finishParent(build);
    return (
      (await prepareToBuild(build, io.registry)) ??
      (await attemptBuild(build, { settings, database: io.database }))
    );
  } catch (error) {
    throw toDeployStepError(error, `Index ${event.index}`);
  }
}

/** Resolves the target. A failure, for example to create the skeleton of a partitioned table, counts as an attempt. */
async function resolve(client: Client, event: BuildIndexEvent, io: BuildIndexIo): Promise<Resolved> {
  try {
    return await resolveTarget(client, io.registry, event.index);
  } catch (error) {
    const cause = error instanceof ForeignPartition ? await withoutSkeleton(client, event, io, error) : error;
    let failure = toDeployStepError(cause, `Index ${event.index}`);
    if (isConnectionError(error)) throw failure;
    const target = entryTarget(parseItem(io.registry, event.index).index, event.index);
    const build: Build = { client, deploy: event.deploy, target, log: io.log };
    // The index on a partitioned table itself is created without CONCURRENTLY.
    const locks: WantedLock[] = [{ table: target, mode: 'ShareLock' }];
    const blockedBy = await describeBlockersOfFailure(client, { session: client, error, locks });
    if (blockedBy !== '') failure = blockedFailure(failure, blockedBy);
    await recordAttempt(build, await startAttempt(build, false), {
      status: 'retrying',
      sqlstate: failure.sqlstate,
      message: failure.message,
      blockedBy: blockedBy || undefined,
    });
    throw failure;
  }
}

/**
 * Drops the invalid index of the partitioned table, which can never become valid.
 * @returns the failure. Its message no longer says how to drop that index
 */
async function withoutSkeleton(
  client: Client,
  event: BuildIndexEvent,
  io: BuildIndexIo,
  failure: ForeignPartition,
): Promise<ForeignPartition> {
  const { index } = parseItem(io.registry, event.index);
  try {
    const attempts = await attemptsOf(client, event.deploy);
    const built = attempts
      .filter(({ status }) => status === 'built' || status === 'repaired')
      .map(({ item }) => findItem(io.registry, item))
      .flatMap((found) =>
        found !== undefined && indexKey(found.index) === indexKey(index) ? (found.partition ?? []) : [],
      );
    await dropSkeleton(client, index, new Set(built));
    await refuseForeignPartitions(client, index);
  } catch (error) {
    if (error instanceof ForeignPartition) return error;
    io.log.warn('The invalid index of the partitioned table could not be dropped.', {
      index: event.index,
      reason: describeDatabaseError(error),
    });
  }
  return failure;
}

/** Shortest lock timeout: autovacuum yields its lock only after deadlock_timeout. */
const SHORTEST_LOCK_TIMEOUT_SECONDS = 3;

/** Limits all waits to the time until the end of the window. */
function limitWaits(settings: BuildSettings, seconds: number): BuildSettings {
  return {
    ...settings,
    lockTimeoutSeconds: Math.min(
      settings.lockTimeoutSeconds,
      Math.max(SHORTEST_LOCK_TIMEOUT_SECONDS, Math.ceil(seconds)),
    ),
    waitSeconds: Math.min(settings.waitSeconds, seconds),
    longWaitSeconds: Math.min(settings.longWaitSeconds, seconds),
  };
}

/** Finishes the index of a partitioned table: it needs no build, because it consists of the indexes of its partitions. */
async function finishParent(build: Build): Promise<BuildIndexResult> {
  const { client, target } = build;
  // The partitions are items of their own, which the next plan contains.
  if (incompleteLeaves(await readPartitionTree(client, target.entry)).length > 0)
    return { state: 'done', status: 'building', waitSeconds: 1 };
  const attempt = await startAttempt(build, false);
  const found = await readCatalogEntry(client, target);
  if (found?.valid) return await finishBuild(build, found, { attempt, repairs: false });
  throw new BuildFailed(
    `Index ${target.item}: each partition has its valid index attached, but the index itself is still invalid, because ` +
      'this minor version of PostgreSQL does not check it again. Drop it when the load is low, then deploy again: ' +
      `drop index ${qualified(target)};`,
  );
}

/** The last attempt of this deploy. To add a constraint to an index that is valid already is an attempt of its own. */
async function attemptToFinish(build: Build): Promise<Pick<Attempt, 'attempt' | 'repairs'> | undefined> {
  const last = await lastAttempt(build);
  if (build.target.finish.kind !== 'constraint' || last?.status === 'building') return last;
  const repairs = last?.repairs ?? false;
  return { attempt: await startAttempt(build, repairs), repairs };
}

/**
 * Acquires the advisory locks of a build.
 * @returns the result when this function must not build: the index is valid, or another session works on it or on its table.
 * Undefined: the locks are held and the index can be built
 */
async function prepareToBuild(
  build: Build,
  registry: CompiledRegistry,
): Promise<BuildIndexResult | undefined> {
  const { client, target, log } = build;
  const index = target.item;
  const acquired = await acquire(client, [indexLock(target), tableLock(target)]);
  if (acquired.kind === 'busy') {
    const by = acquired.holder === null ? undefined : describeHolder(acquired.holder);
    log.info('Another session works on the index or its table. Waiting for it.', { index, by });
    return stillBuilding(0);
  }
  warnOfHolders(acquired.despite, { index, log });
  // Another deploy can have swapped it in, or renamed it with its constraint, before this session acquired the lock.
  const isRenamed = target.finish.kind === 'swap' || target.finish.kind === 'constraint';
  if (isRenamed && (await findTarget(client, registry, index))?.name !== target.name)
    return { state: 'interrupted', status: 'building', waitSeconds: 1 };
  const found = await readCatalogEntry(client, target);
  // An earlier attempt of this deploy can have built the index and ended before it recorded the result.
  if (isBuilt(target, found)) return await finishBuild(build, found, await attemptToFinish(build));
  const pids = await otherBuilders(client, target);
  if (pids.length === 0) return undefined;
  // For example a DBA's own build. A second concurrent build on the table would deadlock with it.
  log.info('Another session builds an index on the table. Waiting for it.', { index, pids });
  return stillBuilding(0);
}

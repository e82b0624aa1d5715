import { acquire, indexLock, tableLock, unlockAll } from '../postgres/advisory-lock.ts';
import { buildsOfPart, splitBuilds } from '../postgres/batches.ts';
import { type Build, entryTarget, findTarget } from '../postgres/build-target.ts';
import { backendOf, type Client, type Database, withClient } from '../postgres/client.ts';
import { recordGone } from '../postgres/finish-build.ts';
import { isTableGone, TABLE_GONE } from '../postgres/gone-tables.ts';
import { dropLeftovers, removeInvalidIndex } from '../postgres/index-ddl.ts';
import { attemptsOf, lastAttempt, recordFailure, recordLeft } from '../postgres/ledger.ts';
import { itemsOf, openBuilds, readNeededBuilds } from '../postgres/open-builds.ts';
import type { PlannedBuild } from '../postgres/planned-build.ts';
import { resolveRegistry } from '../postgres/resolve-registry.ts';
import { describeDatabaseError, LOCK_NOT_AVAILABLE, toDeployStepError } from '../postgres/sqlstate.ts';
import { parseItem } from '../shared/build-item.ts';
import { BATCH_CONTINUES, type BuildBatchEvent, type BuildBatchResult } from '../shared/build-payloads.ts';
import { BUILD_RETRY_ERRORS, BuildFailed } from '../shared/errors.ts';
import type { Log } from '../shared/logger.ts';
import { requestedIndexes, resolveIndexNames } from '../shared/requested-indexes.ts';
import { isPostponed } from '../shared/window-end.ts';
import { type BuildIndexIo, buildWith } from './build-index.ts';

export interface BuildBatchIo extends BuildIndexIo {
  /** After this time the batch begins no further build, in seconds. */
  batchSeconds: number;
  /** Shortest time between two lines of its log about its progress, in seconds. @default 5 */
  progressSeconds?: number | undefined;
}

const PROGRESS_SECONDS = 5;

/**
 * - `done`: it is built, or needs no build any more;
 * - `failed`: the ledger has the reason, and no retry can fix it;
 * - `left`: a lane of a later round makes the other attempts;
 * - `waiting`: as `left`, and the build continues without its client, because it waits for other transactions.
 */
type Outcome = 'done' | 'failed' | 'left' | 'waiting';

/** After so many builds in a row that wait, the next one would wait for the same transaction. */
const MOST_WAITING = 2;

/** Shortest lock timeout that makes autovacuum yield its lock. A lane waits longer. */
const LOCK_TIMEOUT_SECONDS = 3;

/**
 * Builds small indexes one after the other: those of one part of the tables. Each has the same guarantees as with `buildIndex`,
 * and a row in the ledger. What cannot be built at once is left: its row makes it a build of a lane in the next plan. An
 * invocation that is killed loses nothing, because the next plan finds what is missing.
 * @throws ConnectionLost, LockNotAvailable, Deadlock when a retry can succeed
 */
export async function buildBatch(event: BuildBatchEvent, io: BuildBatchIo): Promise<BuildBatchResult> {
  const end = Date.now() + io.batchSeconds * 1000;
  const { part, of } = event.batch;
  const name = `batch ${part + 1} of ${of}`;
  const builds = await withClient(io.database, `plan ${name}`, async (client) => {
    try {
      return await plannedBuilds(client, event, io);
    } catch (error) {
      throw toDeployStepError(error, `Planning ${name} failed`);
    }
  });
  const counts: Record<Outcome, number> = { done: 0, failed: 0, left: 0, waiting: 0 };
  const batch = { event, io: { ...io, log: withoutInfo(io.log), settings: settingsOf(io) } };
  const session = new Session(io.database, name);
  const { progressSeconds = PROGRESS_SECONDS } = io;
  let reportedAt = Date.now();
  let inARow = 0;
  try {
    for (const [at, { item, index }] of builds.entries()) {
      // At least one, so that each round makes progress.
      if ((at > 0 && Date.now() >= end) || inARow >= MOST_WAITING) break;
      if (isPostponed(event, index.critical)) continue;
      const outcome = await buildInSession(session, item, batch);
      counts[outcome] += 1;
      inARow = outcome === 'waiting' ? inARow + 1 : 0;
      if (Date.now() - reportedAt < progressSeconds * 1000) continue;
      reportedAt = Date.now();
      const { done: built, failed } = counts;
      io.log.info(BATCH_CONTINUES, { deploy: event.deploy, part, of, builds: builds.length, built, failed });
    }
  } finally {
    await session.close();
  }
  const left = builds.length - counts.done - counts.failed;
  const result = { part, of, built: counts.done, failed: counts.failed, left };
  io.log.info('The batch has ended.', { deploy: event.deploy, ...result });
  return result;
}

/** The builds of this part, planned as Plan has planned them. */
async function plannedBuilds(
  client: Client,
  { deploy, batch, until = null, request = {} }: BuildBatchEvent,
  { registry }: BuildBatchIo,
): Promise<PlannedBuild[]> {
  const { indexes = [], scope = 'all' } = request;
  const names = resolveIndexNames(indexes, registry);
  const { requested } = requestedIndexes(await resolveRegistry(client, registry), names);
  const wanted = requested.filter(
    (index) => index.retired === undefined && (scope === 'all' || index.critical),
  );
  const attempts = await attemptsOf(client, deploy);
  const { builds } = await readNeededBuilds(client, wanted, { attempts, isSettled: () => false });
  const failedItems = itemsOf(attempts.filter((attempt) => attempt.status === 'failed'));
  const tried = itemsOf(attempts);
  const open = openBuilds(builds, { attempts, failedItems, until });
  const { batched } = splitBuilds(open, (build) => tried.has(build.item));
  return buildsOfPart(batched, batch);
}

/** The connection of a batch. It is opened again after a build whose session must not be used any more. */
class Session {
  readonly #database: Database;
  readonly #purpose: string;
  #client: Client | undefined;

  constructor(database: Database, purpose: string) {
    this.#database = database;
    this.#purpose = purpose;
  }

  async open(): Promise<Client> {
    this.#client ??= await this.#database.connect(this.#purpose);
    return this.#client;
  }

  /** A statement that the session still runs continues. */
  async close(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    await client?.end().catch(() => {});
  }
}

/** What all builds of a batch have in common. */
interface BatchContext {
  readonly event: BuildBatchEvent;
  readonly io: BuildIndexIo;
}

async function buildInSession(session: Session, item: string, batch: BatchContext): Promise<Outcome> {
  const client = await session.open();
  const outcome = await buildOne(client, item, batch);
  if (outcome === 'done' || outcome === 'failed') {
    await unlockAll(client);
    return outcome;
  }
  // The session can be busy, or broken.
  await session.close();
  return await recordAsLeft(await session.open(), item, { ...batch, backend: backendOf(client) });
}

/** @throws an error that is not one of a build, such as a programming error */
async function buildOne(
  client: Client,
  item: string,
  { event, io }: BatchContext,
): Promise<'done' | 'failed' | 'left'> {
  const { deploy, until } = event;
  try {
    const { state } = await buildWith(client, { deploy, until, index: item }, io);
    return state === 'done' ? 'done' : 'left';
  } catch (error) {
    if (error instanceof BuildFailed) return await settle(client, item, { event, io }, error);
    if (!isRetried(error)) throw error;
    return 'left';
  }
}

function isRetried(error: unknown): boolean {
  return error instanceof Error && BUILD_RETRY_ERRORS.some((name) => name === error.name);
}

/**
 * Records a failure that no retry can fix, and removes what the attempt left. Its session still holds the locks.
 * @returns `left` if that is not possible now: a lane makes another attempt, and Settle Index has the time to wait
 */
async function settle(
  client: Client,
  item: string,
  { event, io }: BatchContext,
  failure: BuildFailed,
): Promise<'done' | 'failed' | 'left'> {
  try {
    const target = await findTarget(client, io.registry, item);
    if (target === undefined) return 'left';
    const build: Build = { client, deploy: event.deploy, target, log: io.log };
    const last = await lastAttempt(build);
    if (await isTableGone(client, target.entry)) {
      await recordGone(build, last, TABLE_GONE);
      return 'done';
    }
    const acquired = await acquire(client, [indexLock(target), tableLock(target)]);
    if (acquired.kind === 'busy') return 'left';
    await removeInvalidIndex(client, target);
    await dropLeftovers(client, target);
    const message = last?.message ?? failure.message;
    await recordFailure(build, { message });
    io.log.error('The index failed.', { index: item, critical: target.critical, reason: message });
    return 'failed';
  } catch (error) {
    io.log.warn('The failure of an index is recorded by a lane.', {
      index: item,
      reason: describeDatabaseError(error),
    });
    return 'left';
  }
}

/**
 * Makes sure that the ledger has a row for the build, from which the next plan knows that it belongs to a lane.
 * @param backend process ID of the session that was to build it
 * @returns `waiting` if the build continues in that session
 */
async function recordAsLeft(
  client: Client,
  item: string,
  { event, io, backend }: BatchContext & { backend: number | null },
): Promise<Outcome> {
  try {
    const target = entryTarget(parseItem(io.registry, item).index, item);
    const build: Build = { client, deploy: event.deploy, target, log: io.log };
    const last = await lastAttempt(build);
    if (last === undefined)
      await recordLeft(build, {
        sqlstate: LOCK_NOT_AVAILABLE,
        message: `Index ${item}: another session works on the index or its table.`,
      });
    // Another invocation of the same batch can have begun the attempt. That is no reason to end this one.
    return last?.status === 'building' && last.pid === backend ? 'waiting' : 'left';
  } catch (error) {
    throw toDeployStepError(error, `Index ${item}`);
  }
}

/** A table that is locked for longer is a matter for a lane. With one attempt there is none, so that it waits as configured. */
function settingsOf({ settings }: BuildIndexIo): BuildIndexIo['settings'] {
  return settings.attempts === 1 ? settings : { ...settings, lockTimeoutSeconds: LOCK_TIMEOUT_SECONDS };
}

/** Three lines for each of 100,000 builds would cost more than the builds. The ledger has them all. */
function withoutInfo(log: Log): Log {
  return {
    info: () => {},
    warn: (message, ...more) => log.warn(message, ...more),
    error: (message, ...more) => log.error(message, ...more),
  };
}

import { partsOf, splitBuilds } from '../postgres/batches.ts';
import { type Client, type Database, withClient } from '../postgres/client.ts';
import { type Attempt, attemptsOf } from '../postgres/ledger.ts';
import { itemsOf, openBuilds, readNeededBuilds } from '../postgres/open-builds.ts';
import type { PlannedBuild } from '../postgres/planned-build.ts';
import { recordScans } from '../postgres/recorded-scans.ts';
import { resolveRegistry } from '../postgres/resolve-registry.ts';
import { describeDatabaseError, toDeployStepError } from '../postgres/sqlstate.ts';
import type { PlanBuildsEvent, PlanBuildsResult } from '../shared/build-payloads.ts';
import type { Log } from '../shared/logger.ts';
import { type CompiledRegistry, indexId } from '../shared/registry.ts';
import { requestedIndexes, resolveIndexNames } from '../shared/requested-indexes.ts';
import { toLanes } from './lanes.ts';
import { planDrops } from './retired-indexes.ts';
import { failuresInState, recordFailures } from './settled-indexes.ts';

interface PlanBuildsIo {
  registry: CompiledRegistry;
  database: Database;
  log: Log;
  /** Largest number of builds in the lanes of a round. */
  buildsPerRound: number;
  /** Largest number of batches at the same time. @default 4 */
  maxConcurrent?: number;
  /** How long non-critical builds may keep services stopped, in minutes. @default until they end */
  windowMinutes?: number | undefined;
  /** How long no query must have scanned a retired index before it is dropped, in days. @default 14 */
  retiredAfterDays?: number;
}

const DEFAULT_CONCURRENT = 4;
const DEFAULT_RETIRED_AFTER_DAYS = 14;

/**
 * Plans the builds of one round: the requested indexes that need a build and have not already failed in this deploy. When no
 * build is left, the result states how many indexes failed.
 * @throws BadInput for a name that is not in the registry, or that is listed twice; ConnectionLost
 */
export async function planBuilds(event: PlanBuildsEvent, io: PlanBuildsIo): Promise<PlanBuildsResult> {
  const { deploy = event.execution, indexes = [], scope = 'all', windowStartedAt } = event.request;
  const until = endOfWindow(windowStartedAt, io.windowMinutes);
  // A person can start `build-indexes`, so the names are checked as those of `deploy` are.
  const names = resolveIndexNames(indexes, io.registry);
  return await withClient(io.database, 'plan', async (client) => {
    try {
      const { requested } = requestedIndexes(await resolveRegistry(client, io.registry), names);
      const wanted = requested.filter((index) => scope === 'all' || index.critical);
      const attempts = await attemptsOf(client, deploy);
      const inState = failuresInState(event, attempts);
      const isSettled = (item: string) => inState.has(item);
      const active = wanted.filter(({ retired }) => retired === undefined);
      const needed = await readNeededBuilds(client, active, { attempts, isSettled });
      const { builds, incomplete, notBuildable } = needed;
      // An index that is valid by now did not fail.
      const items = new Set(builds.map((build) => build.item));
      const failures = [...inState.values()].filter(({ index }) => items.has(index));
      const unrecordedFailures = await recordFailures(client, failures, { ...io, deploy });
      const failedItems = itemsOf(attempts.filter((attempt) => attempt.status === 'failed'));
      for (const { index } of failures) failedItems.add(index);
      const failed = new Set(
        builds.filter((build) => failedItems.has(build.item)).map((build) => build.index),
      );
      for (const { index, notBuildable: reason } of notBuildable) {
        failed.add(index);
        io.log.error('The index cannot be built.', { index: indexId(index), reason: reason?.message });
      }
      const drops = await planDrops(client, wanted, {
        ...{
          deploy,
          attempts,
          isSettled,
          log: io.log,
          days: io.retiredAfterDays ?? DEFAULT_RETIRED_AFTER_DAYS,
        },
      });
      const open = openBuilds([...builds, ...drops], { attempts, failedItems, until });
      const failedBatches = failedBatchesOf(event);
      const round = (some: readonly PlannedBuild[]) => toRound(some, { attempts, failedBatches, io });
      // The tables of drops would be in no batch.
      const withoutDrops = round(open.filter(({ index }) => index.retired === undefined));
      const { lanes, batches } = withoutDrops.batches.length > 0 ? withoutDrops : round(open);
      io.log.info('Planned.', {
        ...{ deploy, wanted: wanted.length, open: open.length, failed: failed.size },
        ...{ lanes: lanes.length, batches: batches.length },
      });
      if (open.length === 0) await recordUse(client, io.log);
      return {
        deploy,
        decision: open.length > 0 ? 'build' : 'done',
        lanes,
        batches,
        until,
        present: active.length - incomplete - notBuildable.length,
        failed: {
          critical: [...failed].filter((index) => index.critical).length,
          nonCritical: [...failed].filter((index) => !index.critical).length,
        },
        unrecordedFailures,
        failedBatches,
      };
    } catch (error) {
      throw toDeployStepError(error, 'Planning the builds failed');
    }
  });
}

/** For `doctor`, which needs to know since when an index was not scanned. The deploy does not need it. */
async function recordUse(client: Client, log: Log): Promise<void> {
  try {
    await recordScans(client);
  } catch (error) {
    log.warn('The number of scans of the indexes could not be recorded, so doctor knows less about them.', {
      reason: describeDatabaseError(error),
    });
  }
}

/** Rounds with a failed batch after which the deploy makes all builds in lanes: the function may not be able to make batches. */
const MOST_FAILED_BATCHES = 3;

/** The rounds in which a batch failed, the last one included. */
function failedBatchesOf({ request, failedBatches, batchErrors = [] }: PlanBuildsEvent): string[] {
  return [...(failedBatches ?? request.failedBatches ?? []), ...batchErrors.slice(0, 1)];
}

/** Divides the open builds of a round into lanes and batches. */
function toRound(
  open: readonly PlannedBuild[],
  {
    attempts,
    failedBatches,
    io,
  }: { attempts: readonly Attempt[]; failedBatches: readonly string[]; io: PlanBuildsIo },
): Pick<PlanBuildsResult, 'lanes' | 'batches'> {
  const tried = itemsOf(attempts);
  const { batched, inLanes } = splitBuilds(open, (build) => tried.has(build.item));
  const batches = partsOf(batched, io.maxConcurrent ?? DEFAULT_CONCURRENT);
  if (batches.length === 0 || failedBatches.length >= MOST_FAILED_BATCHES)
    return { batches: [], lanes: toLanes(open, io.buildsPerRound) };
  // The lanes of a round come after its batches. Services may be stopped until the critical indexes exist.
  const isCritical = (build: PlannedBuild) => build.index.critical;
  const isUrgent = inLanes.some(isCritical) && !batched.some(isCritical);
  return { batches: isUrgent ? [] : batches, lanes: toLanes(inLanes, io.buildsPerRound) };
}

/** When the window ends, ISO 8601. Null: it has no end, or there is no window. */
function endOfWindow(startedAt: string | undefined, minutes: number | undefined): string | null {
  if (startedAt === undefined || minutes === undefined) return null;
  return new Date(Date.parse(startedAt) + minutes * 60_000).toISOString();
}

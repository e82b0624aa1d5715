import { readTableSizes } from '../postgres/catalog.ts';
import { type Client, type Database, withClient } from '../postgres/client.ts';
import { type Examined, needsWork } from '../postgres/examined-index.ts';
import { indexKey, tableKey } from '../postgres/identifiers.ts';
import { examine } from '../postgres/index-state.ts';
import { type Attempt, attemptsOf } from '../postgres/ledger.ts';
import { incompleteLeaves, readPartitionTrees } from '../postgres/partition-tree.ts';
import { resolveRegistry } from '../postgres/resolve-registry.ts';
import { toDeployStepError } from '../postgres/sqlstate.ts';
import { partitionItem } from '../shared/build-item.ts';
import { requestedIndexes, resolveIndexNames } from '../shared/execution-input.ts';
import type { Log } from '../shared/logger.ts';
import type { PlanBuildsEvent, PlanBuildsResult, UnrecordedFailure } from '../shared/payloads.ts';
import { type CompiledIndex, type CompiledRegistry, indexId } from '../shared/registry.ts';
import { isPostponed } from '../shared/window-end.ts';
import { type PlannedBuild, toLanes } from './lanes.ts';
import { failuresInState, recordFailures } from './settled-indexes.ts';

interface PlanBuildsIo {
  registry: CompiledRegistry;
  database: Database;
  log: Log;
  /** Largest number of builds in a round. */
  buildsPerRound: number;
  /** How long non-critical builds may keep services stopped, in minutes. @default until they end */
  windowMinutes?: number | undefined;
}

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
      const examined = await examine(client, wanted, 'work');
      const incomplete = incompleteIndexes(examined, { attempts, inState });
      const notBuildable = examined.filter((one) => one.notBuildable !== null);
      const builds = [
        ...(await buildsOf(client, incomplete)),
        ...(await skeletonsToDrop(
          client,
          notBuildable.map((one) => one.index),
        )),
      ];
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
      const open = builds.filter(
        (build) =>
          !failedItems.has(build.item) &&
          !(build.onlyOnce && wasTried(build.item, attempts)) &&
          !isPostponed({ until }, build.index.critical),
      );
      const lanes = toLanes(open, io.buildsPerRound);
      io.log.info('Planned.', {
        deploy,
        wanted: wanted.length,
        open: open.length,
        failed: failed.size,
        lanes: lanes.length,
      });
      return {
        deploy,
        decision: open.length > 0 ? 'build' : 'done',
        lanes,
        until,
        present: wanted.length - incomplete.length - notBuildable.length,
        failed: {
          critical: [...failed].filter((index) => index.critical).length,
          nonCritical: [...failed].filter((index) => !index.critical).length,
        },
        unrecordedFailures,
      };
    } catch (error) {
      throw toDeployStepError(error, 'Planning the builds failed');
    }
  });
}

/** When the window ends, ISO 8601. Null: it has no end, or there is no window. */
function endOfWindow(startedAt: string | undefined, minutes: number | undefined): string | null {
  if (startedAt === undefined || minutes === undefined) return null;
  return new Date(Date.parse(startedAt) + minutes * 60_000).toISOString();
}

/**
 * The indexes that need a build, or whose build by this deploy must still be finished: a build that continued after the
 * window can be valid by now while the ledger still records it as building. If that could not be finished, it stays so.
 */
function incompleteIndexes(
  examined: readonly Examined[],
  { attempts, inState }: { attempts: readonly Attempt[]; inState: ReadonlyMap<string, UnrecordedFailure> },
): CompiledIndex[] {
  const building = itemsOf(attempts.filter((attempt) => attempt.status === 'building'));
  return examined
    .filter((one) => {
      const item = indexId(one.index);
      return needsWork(one) || (one.state === 'present' && building.has(item) && !inState.has(item));
    })
    .map((one) => one.index);
}

function itemsOf(attempts: readonly Attempt[]): Set<string> {
  return new Set(attempts.map((attempt) => attempt.item));
}

/** Whether the deploy has made an attempt without a PostgreSQL error. One with an error ended before it checked the index. */
function wasTried(item: string, attempts: readonly Attempt[]): boolean {
  return attempts.some((attempt) => attempt.item === item && attempt.sqlstate === null);
}

/**
 * The invalid indexes of partitioned tables that can never become valid, and of which no partition has a part. Build Index
 * drops them and records why the index fails.
 */
async function skeletonsToDrop(client: Client, indexes: readonly CompiledIndex[]): Promise<PlannedBuild[]> {
  const builds: PlannedBuild[] = [];
  const trees = await readPartitionTrees(client, indexes);
  for (const index of indexes) {
    const tree = trees.get(indexKey(index)) ?? [];
    const isEmpty = tree.every((node) => !node.isLeaf || node.index === null);
    if (isEmpty && tree.some((node) => node.parent === null && node.index !== null))
      builds.push({ index, item: indexId(index), table: index });
  }
  return builds;
}

/**
 * The builds that indexes need: one for each index. For a partitioned table, first one that creates the skeleton, so that an
 * error in it is reported once and not for each partition; then one for each partition without a valid index.
 */
async function buildsOf(client: Client, indexes: readonly CompiledIndex[]): Promise<PlannedBuild[]> {
  const builds: PlannedBuild[] = [];
  const trees = await readPartitionTrees(client, indexes);
  for (const index of indexes) {
    const tree = trees.get(indexKey(index)) ?? [];
    const leaves = incompleteLeaves(tree);
    if (leaves.length > 0 && tree.some((node) => node.parent === null && node.index !== null)) {
      builds.push(
        ...leaves.map((leaf) => ({
          index,
          item: partitionItem(index, leaf),
          table: { schema: leaf.schema, table: leaf.table },
        })),
      );
    } else {
      builds.push({
        index,
        item: indexId(index),
        table: index,
        // All partitions have their index: the index itself is only checked.
        onlyOnce: tree.length > 0 && leaves.length === 0,
      });
    }
  }
  const sizes = await readTableSizes(
    client,
    builds.map((build) => build.table),
  );
  return builds.map((build) => ({ ...build, tableBytes: sizes.get(tableKey(build.table)) ?? 0 }));
}

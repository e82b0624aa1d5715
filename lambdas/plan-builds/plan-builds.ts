import { readTableSizes } from '../postgres/catalog.ts';
import { type Client, type Database, withClient } from '../postgres/client.ts';
import { tableKey } from '../postgres/identifiers.ts';
import { examine, needsWork } from '../postgres/index-state.ts';
import { attemptsOf } from '../postgres/ledger.ts';
import { incompleteLeaves, readPartitionTree } from '../postgres/partition-tree.ts';
import { toDeployStepError } from '../postgres/sqlstate.ts';
import { partitionItem } from '../shared/build-item.ts';
import type { Log } from '../shared/logger.ts';
import type { PlanBuildsEvent, PlanBuildsResult } from '../shared/payloads.ts';
import { type CompiledIndex, type CompiledRegistry, findIndex, indexId } from '../shared/registry.ts';
import { type Build, toLanes } from './lanes.ts';

export interface PlanBuildsIo {
  registry: CompiledRegistry;
  database: Database;
  log: Log;
  /** Builds handed out at most. */
  buildsARound: number;
  /** How long non-critical builds may keep services stopped, in minutes. @default as long as they take */
  windowMinutes?: number | undefined;
}

/**
 * Decides what this round builds: what is asked for, is not there as it should be, and did not already fail in this
 * deploy. When nothing is left it says how many were given up.
 * @throws BadInput for a name that is not in the registry; ConnectionLost.
 */
export async function planBuilds(event: PlanBuildsEvent, io: PlanBuildsIo): Promise<PlanBuildsResult> {
  const { deploy = event.execution, indexes = [], scope = 'all', windowStartedAt } = event.request;
  const until = endOfWindow(windowStartedAt, io.windowMinutes);
  const isUsedUp = until !== null && Date.now() >= Date.parse(until);
  const asked = indexes.length > 0 ? indexes.map((name) => findIndex(io.registry, name)) : io.registry;
  const wanted = asked.filter((index) => scope === 'all' || index.critical);
  return await withClient(io.database, 'plan', async (client) => {
    try {
      const attempts = await attemptsOf(client, deploy);
      // What the window let go of may be valid by now, and yet nobody has finished it and written that down.
      const letGo = new Set(attempts.filter((one) => one.status === 'building').map((one) => one.item));
      const lacking = (await examine(client, wanted))
        .filter(
          (examined) =>
            needsWork(examined) || (examined.state === 'present' && letGo.has(indexId(examined.index))),
        )
        .map((examined) => examined.index);
      const givenUp = new Set(attempts.filter((one) => one.status === 'failed').map((one) => one.item));
      // An attempt that failed on its way to the look was none.
      const tried = new Set(attempts.filter((one) => one.sqlstate === null).map((one) => one.item));
      const builds = await buildsOf(client, lacking);
      // An index without a build of its own is one whose partitions are all there: it is looked at once.
      const open = builds.filter(
        (build) =>
          !givenUp.has(build.item) &&
          !(build.onlyOnce && tried.has(build.item)) &&
          // What the window has no time left for is built after the start.
          !(isUsedUp && !build.index.critical),
      );
      const failed = new Set(builds.filter((build) => givenUp.has(build.item)).map((build) => build.index));
      const lanes = toLanes(open, io.buildsARound);
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
        present: wanted.length - lacking.length,
        failed: {
          critical: [...failed].filter((index) => index.critical).length,
          nonCritical: [...failed].filter((index) => !index.critical).length,
        },
      };
    } catch (error) {
      throw toDeployStepError(error, 'The plan');
    }
  });
}

/** When the window's budget is used up, ISO 8601. Null: there is no window, or no budget. */
function endOfWindow(startedAt: string | undefined, minutes: number | undefined): string | null {
  if (startedAt === undefined || minutes === undefined) return null;
  return new Date(Date.parse(startedAt) + minutes * 60_000).toISOString();
}

/**
 * What has to be built for the indexes: one build each; on a partitioned table first the skeleton, by itself, so that what
 * is wrong with it is found out once and not for each partition; then one for each partition that lacks its part.
 */
async function buildsOf(client: Client, indexes: readonly CompiledIndex[]): Promise<Build[]> {
  const builds: Build[] = [];
  for (const index of indexes) {
    const tree = await readPartitionTree(client, index);
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
        onlyOnce: tree.length > 0 && leaves.length === 0,
      });
    }
  }
  const sizes = await readTableSizes(
    client,
    builds.map((build) => build.table),
  );
  return builds.map((build) => ({
    ...build,
    tableBytes: sizes.get(tableKey(build.table)) ?? 0,
  }));
}

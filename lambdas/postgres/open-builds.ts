import { partitionItem } from '../shared/build-item.ts';
import { type CompiledIndex, indexId } from '../shared/registry.ts';
import { isPostponed } from '../shared/window-end.ts';
import { SMALL_TABLE_BYTES } from './batches.ts';
import { readTableSizes } from './catalog.ts';
import type { Client } from './client.ts';
import { type Examined, needsWork } from './examined-index.ts';
import { indexKey, tableKey } from './identifiers.ts';
import { examine } from './index-state.ts';
import type { Attempt } from './ledger.ts';
import { incompleteLeaves, readPartitionTrees } from './partition-tree.ts';
import type { PlannedBuild } from './planned-build.ts';
import { hasConstraint } from './table-constraints.ts';

/** The builds that indexes need, whatever this deploy has done so far. */
export interface NeededBuilds {
  builds: PlannedBuild[];
  /** Number of indexes that need a build. */
  incomplete: number;
  /** The indexes that cannot be built at all. */
  notBuildable: Examined[];
}

/**
 * Reads which builds indexes need.
 * @param isSettled whether an index has a failure that the ledger does not contain
 */
export async function readNeededBuilds(
  client: Client,
  indexes: readonly CompiledIndex[],
  { attempts, isSettled }: { attempts: readonly Attempt[]; isSettled: (item: string) => boolean },
): Promise<NeededBuilds> {
  const examined = await examine(client, indexes, 'work');
  const notBuildable = examined.filter((one) => one.notBuildable !== null);
  const incomplete = incompleteIndexes(examined, { attempts, isSettled });
  // A partitioned table cannot have the constraint of an entry. An index that it has instead stays.
  const skeletons = await skeletonsToDrop(
    client,
    notBuildable.map((one) => one.index).filter((index) => !hasConstraint(index)),
  );
  const builds = [...(await buildsOf(client, incomplete)), ...skeletons];
  return { builds, incomplete: incomplete.length, notBuildable };
}

/** The builds that a round can make. */
export function openBuilds(
  builds: readonly PlannedBuild[],
  state: { attempts: readonly Attempt[]; failedItems: ReadonlySet<string>; until: string | null },
): PlannedBuild[] {
  const tried = itemsOf(state.attempts.filter((attempt) => attempt.sqlstate === null));
  return builds.filter(
    (build) =>
      !state.failedItems.has(build.item) &&
      // An attempt with a PostgreSQL error ended before it checked the index.
      !(build.onlyOnce && tried.has(build.item)) &&
      !isPostponed(state, build.index.critical),
  );
}

/** The items of attempts. */
export function itemsOf(attempts: readonly Attempt[]): Set<string> {
  return new Set(attempts.map((attempt) => attempt.item));
}

/**
 * The indexes that need a build, or whose build by this deploy must still be finished: a build that continued after the
 * window can be valid by now while the ledger still records it as building. If that could not be finished, it stays so.
 */
function incompleteIndexes(
  examined: readonly Examined[],
  { attempts, isSettled }: { attempts: readonly Attempt[]; isSettled: (item: string) => boolean },
): CompiledIndex[] {
  const building = itemsOf(attempts.filter((attempt) => attempt.status === 'building'));
  return examined
    .filter((one) => {
      const item = indexId(one.index);
      return needsWork(one) || (one.state === 'present' && building.has(item) && !isSettled(item));
    })
    .map((one) => one.index);
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
        isSmall: index.schemas !== undefined && tree.length === 0,
      });
    }
  }
  const sizes = await readTableSizes(
    client,
    builds.map((build) => build.table),
  );
  return builds.map((build) => {
    const tableBytes = sizes.get(tableKey(build.table)) ?? 0;
    const isSmall = build.isSmall === true && tableBytes <= SMALL_TABLE_BYTES;
    return { ...build, tableBytes, isSmall };
  });
}

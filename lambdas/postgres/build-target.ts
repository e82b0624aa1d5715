import { parseItem } from '../shared/build-item.ts';
import { BuildFailed } from '../shared/errors.ts';
import type { Log } from '../shared/logger.ts';
import { type CompiledIndex, type CompiledRegistry, tableId } from '../shared/registry.ts';
import { type CatalogEntry, isAttached, readCatalogEntry } from './catalog.ts';
import type { Client } from './client.ts';
import { readConstraintState } from './constraint-state.ts';
import { refuseForeignPartitions } from './foreign-partitions.ts';
import { isTableGone, TABLE_GONE } from './gone-tables.ts';
import type { Named } from './identifiers.ts';
import { replacementName } from './index-names.ts';
import { examine } from './index-state.ts';
import {
  createSkeleton,
  nodeOf,
  type PartitionNode,
  partitionIndexName,
  readPartitionTree,
  reattachAll,
} from './partition-tree.ts';
import { type ConstraintEntry, hasConstraint } from './table-constraints.ts';

/**
 * The physical index of an item. `schema`, `table` and `name` are those of the statement that builds it. For a partition, and
 * for the replacement of a drifted index, they differ from the registry's entry.
 */
export interface BuildTarget extends CompiledIndex {
  /** The item in lanes and in the ledger: see build-item.ts. */
  item: string;
  /** The registry's entry. */
  entry: CompiledIndex;
  /** Name of the index after the build, in `schema`. */
  finalName: string;
  /** What to do once the index is valid. */
  finish:
    | { kind: 'nothing' }
    /** Attach it to the index of the partition's parent. */
    | { kind: 'attach'; parent: Named }
    /** Swap it with the drifted index, or with an invalid one that has properties to keep. */
    | { kind: 'swap'; repairs: boolean }
    /** Add the constraint of the entry with it. */
    | { kind: 'constraint' };
  /** The index is attached to its parent's, so it cannot be dropped, only rebuilt in place. */
  attached: boolean;
}

/** The build of one item in one deploy: the functions that build, check and settle an index pass this on. */
export interface Build {
  /** The session that works on the index. */
  client: Client;
  /** Name of the deploy. The ledger counts attempts for each deploy. */
  deploy: string;
  target: BuildTarget;
  log: Log;
  /**
   * Sessions that keep the constraint of the index from being added, and have been idle in their transaction for longer, are
   * terminated.
   * @default none is
   */
  terminateIdleInTransactionSeconds?: number | undefined;
}

/** Whether the target is built: a valid index of its name on its table. Another table's index can have the name. */
export function isBuilt(target: BuildTarget, found: CatalogEntry | undefined): found is CatalogEntry {
  return found?.kind === 'index' && found.valid && found.table === target.table;
}

/**
 * What an item requires:
 * - `build`: build the target;
 * - `parent`: nothing on the partitioned table itself, because its index consists of those of the partitions;
 * - `gone`: nothing, because the table has changed since the plan.
 */
export type Resolved =
  | { kind: 'build'; target: BuildTarget }
  | { kind: 'parent'; target: BuildTarget }
  | { kind: 'gone'; reason: string };

/** Finds the physical index of an item. On a partitioned table it creates the skeleton of indexes first. */
export async function resolveTarget(
  client: Client,
  registry: CompiledRegistry,
  item: string,
): Promise<Resolved> {
  const { index, partition } = parseItem(registry, item);
  const tree = await readPartitionTree(client, index);
  if (hasConstraint(index)) await refuseConstraint(client, index);
  if (tree.length > 0) return await resolvePartitioned(client, index, partition, item);
  if (partition !== null) return { kind: 'gone', reason: 'The table is no longer partitioned.' };
  if (await isTableGone(client, index)) return { kind: 'gone', reason: TABLE_GONE };
  return { kind: 'build', target: await plainTarget(client, index, item) };
}

/** Finds the physical index of an item and changes nothing. Undefined: the item has none (any more). */
export async function findTarget(
  client: Client,
  registry: CompiledRegistry,
  item: string,
): Promise<BuildTarget | undefined> {
  const { index, partition } = parseItem(registry, item);
  const tree = await readPartitionTree(client, index);
  if (tree.length === 0) return partition === null ? await plainTarget(client, index, item) : undefined;
  return partition === null ? undefined : await partitionTarget(client, tree, { index, partition, item });
}

/** @throws BuildFailed when PostgreSQL would refuse the constraint, so that no index is built for it */
async function refuseConstraint(client: Client, entry: ConstraintEntry): Promise<void> {
  const { notBuildable } = await readConstraintState(client, entry);
  if (notBuildable !== null) throw new BuildFailed(notBuildable.message, notBuildable);
}

async function constraintTarget(client: Client, index: ConstraintEntry, item: string): Promise<BuildTarget> {
  const { state, indexName } = await readConstraintState(client, index);
  const plain = { ...entryTarget(index, item), name: indexName, finalName: indexName };
  const isWanted = state === 'missing' || state === 'attachable';
  if (state !== 'invalid') return isWanted ? { ...plain, finish: { kind: 'constraint' } } : plain;
  const [examined] = await examine(client, [index]);
  // The replacement gets the constraint in the next round, which finds a valid index.
  if (examined?.replacement == null) return { ...plain, finish: { kind: 'constraint' } };
  const { definition, repairs } = examined.replacement;
  const name = replacementName({ ...index, name: indexName });
  return { ...plain, name, definition, finish: { kind: 'swap', repairs } };
}

async function plainTarget(client: Client, index: CompiledIndex, item: string): Promise<BuildTarget> {
  if (hasConstraint(index)) return await constraintTarget(client, index, item);
  const plain = entryTarget(index, item);
  const entry = await readCatalogEntry(client, index);
  if (entry?.kind !== 'index' || (entry.valid && index.onDrift !== 'rebuild')) return plain;
  const [examined] = await examine(client, [index]);
  if (examined === undefined) return plain;
  const { replacement, state, locked } = examined;
  const name = replacementName(index);
  if (replacement !== null) {
    const { definition, repairs } = replacement;
    return { ...plain, name, definition, finish: { kind: 'swap', repairs } };
  }
  // It is unknown whether the index has drifted. A finished replacement must not be dropped as a leftover because of that.
  if (
    locked &&
    index.onDrift === 'rebuild' &&
    (await readCatalogEntry(client, { ...index, name })) !== undefined
  )
    return { ...plain, name, finish: { kind: 'swap', repairs: false } };
  return state === 'invalid' && (await isAttached(client, index)) ? { ...plain, attached: true } : plain;
}

/** The target as the registry defines it, without regard to the database. */
export function entryTarget(index: CompiledIndex, item: string): BuildTarget {
  return {
    ...index,
    item,
    entry: index,
    finalName: index.name,
    finish: { kind: 'nothing' },
    attached: false,
  };
}

async function resolvePartitioned(
  client: Client,
  index: CompiledIndex,
  partition: string | null,
  item: string,
): Promise<Resolved> {
  await refuseForeignPartitions(client, index);
  const tree = await createSkeleton(client, index);
  if (partition === null) {
    // An invalid parent index becomes valid when its last partition is attached. The server may have missed that.
    if (tree.some((node) => !node.isLeaf && node.index?.valid === false))
      await reattachAll(client, index, tree);
    return { kind: 'parent', target: { ...(await plainTarget(client, index, item)), attached: true } };
  }
  const target = await partitionTarget(client, tree, { index, partition, item });
  return target === undefined
    ? { kind: 'gone', reason: 'The partition was dropped or detached.' }
    : { kind: 'build', target };
}

/** An item of a partitioned table's index. */
interface PartitionItem {
  index: CompiledIndex;
  /** `tableId` of the partition. */
  partition: string;
  item: string;
}

async function partitionTarget(
  client: Client,
  tree: readonly PartitionNode[],
  { index, partition, item }: PartitionItem,
): Promise<BuildTarget | undefined> {
  const node = tree.find((one) => one.isLeaf && tableId(one) === partition);
  const parent = node?.parent ? nodeOf(tree, node.parent)?.index : undefined;
  if (node === undefined || !parent) return undefined;
  const name = node.index?.name ?? (await chooseName(client, index, node));
  return {
    ...index,
    schema: node.schema,
    table: node.table,
    name,
    finalName: name,
    item,
    entry: index,
    finish: { kind: 'attach', parent },
    attached: node.index !== null,
  };
}

/** Name of the index on a partition: an existing index with the same definition is used if it can be attached. */
async function chooseName(client: Client, index: CompiledIndex, leaf: PartitionNode): Promise<string> {
  const name = partitionIndexName(index, leaf);
  const [examined] = await examine(client, [{ ...index, schema: leaf.schema, table: leaf.table, name }]);
  const canAttach =
    examined?.state === 'equivalent' && !examined.otherIsAttached && examined.entry === undefined;
  return canAttach && examined.detail !== null ? examined.detail : name;
}

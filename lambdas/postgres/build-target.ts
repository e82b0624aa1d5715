import { parseItem } from '../shared/build-item.ts';
import { type CompiledIndex, type CompiledRegistry, tableId } from '../shared/registry.ts';
import type { CatalogEntry } from './catalog.ts';
import type { Client } from './client.ts';
import type { Named } from './identifiers.ts';
import { replacementName } from './index-names.ts';
import { examine, isToBeSwapped } from './index-state.ts';
import {
  ensureSkeleton,
  nodeOf,
  type PartitionNode,
  partitionIndexName,
  readPartitionTree,
  reattachAll,
} from './partition-tree.ts';

/**
 * The physical index that an item is about: `schema`, `table` and `name` are those that the statement names, which for a
 * partition or for the replacement of a drifted index are not those of the registry's entry.
 */
export interface BuildTarget extends CompiledIndex {
  /** What lanes and ledger call it. */
  item: string;
  /** The registry's entry. */
  entry: CompiledIndex;
  /** The name that it has in the end, in `schema`. */
  finalName: string;
  /** What is to be done when it is valid. */
  finish:
    | { kind: 'nothing' }
    /** Attach it to the index of the partition's parent. */
    | { kind: 'attach'; parent: Named }
    /** Put it in the place of the drifted index. */
    | { kind: 'swap' };
  /** An attached index cannot be dropped, only built anew where it is. */
  attached: boolean;
}

/** Whether what has the target's name is the index, and valid: the name alone may be another table's. */
export function isBuilt(target: BuildTarget, found: CatalogEntry | undefined): found is CatalogEntry {
  return found?.kind === 'index' && found.valid && found.table === target.table;
}

/** What an item turns out to be: something to build; a parent whose partitions are all there; or nothing any more. */
export type Resolved =
  | { kind: 'build'; target: BuildTarget }
  | { kind: 'parent'; target: BuildTarget }
  | { kind: 'gone'; reason: string };

/** Finds the physical index of an item; on a partitioned table it makes the skeleton of indexes first. */
export async function resolveTarget(
  client: Client,
  registry: CompiledRegistry,
  item: string,
): Promise<Resolved> {
  const { index, partition } = parseItem(registry, item);
  const tree = await readPartitionTree(client, index);
  if (tree.length > 0) return await resolvePartitioned(client, index, partition, item);
  if (partition !== null) return { kind: 'gone', reason: 'its table is no longer partitioned' };
  return { kind: 'build', target: await plainTarget(client, index, item) };
}

/** Without making anything: for those who only look. Undefined: there is nothing to look at. */
export async function findTarget(
  client: Client,
  registry: CompiledRegistry,
  item: string,
): Promise<BuildTarget | undefined> {
  const { index, partition } = parseItem(registry, item);
  const tree = await readPartitionTree(client, index);
  if (tree.length === 0) return partition === null ? await plainTarget(client, index, item) : undefined;
  return partition === null ? undefined : await partitionTarget(client, index, tree, partition, item);
}

async function plainTarget(client: Client, index: CompiledIndex, item: string): Promise<BuildTarget> {
  const plain = entryTarget(index, item);
  if (index.onDrift !== 'rebuild') return plain;
  const [examined] = await examine(client, [index]);
  if (examined === undefined || !isToBeSwapped(examined)) return plain;
  return { ...plain, name: replacementName(index), finish: { kind: 'swap' } };
}

/** The target as the registry has it, whatever the database looks like. */
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
  const tree = await ensureSkeleton(client, index);
  if (partition === null) {
    // Without partitions the parent's index is valid as soon as it is made; with all of them, when they are attached.
    if (tree.some((node) => !node.isLeaf && node.index?.valid === false))
      await reattachAll(client, index, tree);
    return { kind: 'parent', target: { ...(await plainTarget(client, index, item)), attached: true } };
  }
  const target = await partitionTarget(client, index, tree, partition, item);
  // Dropped or detached since the plan: no error, there is nothing left to index.
  return target === undefined ? { kind: 'gone', reason: 'the partition is gone' } : { kind: 'build', target };
}

async function partitionTarget(
  client: Client,
  index: CompiledIndex,
  tree: readonly PartitionNode[],
  partition: string,
  item: string,
): Promise<BuildTarget | undefined> {
  const node = tree.find((one) => one.isLeaf && tableId(one) === partition);
  const parent = node?.parent ? nodeOf(tree, node.parent)?.index : undefined;
  if (node === undefined || !parent) return undefined;
  const name = node.index?.name ?? (await nameOnLeaf(client, index, node));
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

/** An index that the partition has already and that can be attached serves; else the name of the one to build. */
async function nameOnLeaf(client: Client, index: CompiledIndex, leaf: PartitionNode): Promise<string> {
  const name = partitionIndexName(index, leaf);
  const [examined] = await examine(client, [{ ...index, schema: leaf.schema, table: leaf.table, name }]);
  const adoptable =
    examined?.state === 'equivalent' && !examined.otherIsAttached && examined.entry === undefined;
  return adoptable && examined.detail !== null ? examined.detail : name;
}

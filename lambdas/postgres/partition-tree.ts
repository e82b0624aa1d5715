import { createHash } from 'node:crypto';
import type { CompiledIndex } from '../shared/registry.ts';
import { lockPartitionTree } from './advisory-lock.ts';
import type { Client } from './client.ts';
import {
  clipBytes,
  indexKey,
  MAX_IDENTIFIER_BYTES,
  type Named,
  qualified,
  quotedTable,
  quoteIdentifier,
  type Table,
} from './identifiers.ts';
import { partitionTreeOf } from './partition-tree-query.ts';
import { runRestricted } from './restricted-statement.ts';
import { queryInConfiguredSearchPath, schemasBeforePath } from './search-path.ts';
import { withLockTimeout } from './table-lock.ts';
import { refuseUntrustedCode } from './untrusted-code.ts';

/*
 * PostgreSQL does not support CREATE INDEX CONCURRENTLY on a partitioned table. Instead, each partitioned table of the tree
 * gets an index ON ONLY itself: these indexes are the skeleton. Each leaf partition gets an index that is built
 * concurrently and attached to the index of its parent. The parent's index stays invalid until the last one is attached.
 * A partition that is created meanwhile gets the index automatically.
 */

/** A table of a partition tree. */
export interface PartitionNode {
  schema: string;
  table: string;
  /** Null: the root. */
  parent: Table | null;
  isLeaf: boolean;
  /** The index that is attached to the parent's index. For the root: the index with the registry's name. Null: none. */
  index: (Named & { valid: boolean }) | null;
}

/**
 * Reads the tree below a partitioned table, the root first, with the indexes that belong to an index of the registry.
 * Foreign tables are omitted, because they cannot have indexes. Empty: the table does not exist or is not partitioned.
 */
export async function readPartitionTree(client: Client, index: CompiledIndex): Promise<PartitionNode[]> {
  return (await readPartitionTrees(client, [index])).get(indexKey(index)) ?? [];
}

/** The same for many indexes, in one query: by `indexKey`. Indexes of tables that are not partitioned are omitted. */
export async function readPartitionTrees(
  client: Client,
  indexes: readonly CompiledIndex[],
): Promise<Map<string, PartitionNode[]>> {
  if (indexes.length === 0) return new Map();
  const { rows } = await client.query<PartitionNode & { at: number }>(
    `with recursive wanted as materialized (
       select wanted.at, t.oid, wanted.name
         from unnest($1::text[], $2::text[], $3::text[]) with ordinality as wanted (schema, "table", name, at)
         join pg_namespace n on n.nspname = wanted.schema
         join pg_class t on t.relnamespace = n.oid and t.relname = wanted."table" and t.relkind = 'p'
     ), ${partitionTreeOf('select oid from wanted')}, attached as (
       select wanted.at, i.indexrelid, i.indrelid
         from wanted
         join pg_index i on i.indrelid = wanted.oid
         join pg_class c on c.oid = i.indexrelid and c.relname = wanted.name
       union all
       select attached.at, i.indexrelid, i.indrelid
         from attached
         join pg_inherits h on h.inhparent = attached.indexrelid
         join pg_index i on i.indexrelid = h.inhrelid
     )
     select wanted.at::int as at,
            n.nspname as schema,
            t.relname as "table",
            case when p.oid is not null then json_build_object('schema', pn.nspname, 'table', p.relname) end as parent,
            t.relkind <> 'p' as "isLeaf",
            case when i.indexrelid is not null
                 then json_build_object('schema', ixn.nspname, 'name', ix.relname, 'valid', i.indisvalid) end as index
       from wanted
       join tree on tree.root = wanted.oid
       join pg_class t on t.oid = tree.relid and t.relkind <> 'f'
       join pg_namespace n on n.oid = t.relnamespace
       left join pg_class p on p.oid = tree.parent
       left join pg_namespace pn on pn.oid = p.relnamespace
       left join attached on attached.at = wanted.at and attached.indrelid = t.oid
       left join pg_index i on i.indexrelid = attached.indexrelid
       left join pg_class ix on ix.oid = i.indexrelid
       left join pg_namespace ixn on ixn.oid = ix.relnamespace
      order by wanted.at, tree.level, n.nspname, t.relname`,
    [
      indexes.map((index) => index.schema),
      indexes.map((index) => index.table),
      indexes.map((index) => index.name),
    ],
  );
  const trees = new Map<string, PartitionNode[]>();
  for (const { at, ...node } of rows) {
    const index = indexes[at - 1];
    if (index === undefined) continue;
    const key = indexKey(index);
    const tree = trees.get(key);
    if (tree === undefined) trees.set(key, [node]);
    else tree.push(node);
  }
  return trees;
}

/** Leaf partitions without a valid attached index. */
export function incompleteLeaves(tree: readonly PartitionNode[]): PartitionNode[] {
  return tree.filter((node) => node.isLeaf && node.index?.valid !== true);
}

/** The table's node. Undefined: the table is not in the tree. */
export function nodeOf(tree: readonly PartitionNode[], table: Table): PartitionNode | undefined {
  return tree.find((node) => node.schema === table.schema && node.table === table.table);
}

/** Name of an index on a partition: both names, truncated if necessary, and always a hash that makes it unique. */
export function partitionIndexName(index: CompiledIndex, node: Table): string {
  const digest = createHash('sha256')
    .update(JSON.stringify([index.schema, index.name, node.schema, node.table]))
    .digest('hex')
    .slice(0, 8);
  return `${clipBytes(`${node.table}_${index.name}`, MAX_IDENTIFIER_BYTES - digest.length - 1)}_${digest}`;
}

/** CREATE INDEX ON ONLY takes a SHARE lock on the partitioned table, which blocks writers: it must not wait long. */
const SKELETON_LOCK_TIMEOUT_SECONDS = 3;

/**
 * Creates the missing indexes of the skeleton and attaches each to its parent's.
 * @returns the tree with the skeleton
 * @throws lock_not_available after 3 s
 */
export async function createSkeleton(client: Client, index: CompiledIndex): Promise<PartitionNode[]> {
  const tree = await readPartitionTree(client, index);
  if (tree.every((node) => node.isLeaf || node.index !== null)) return tree;
  return await underTreeLock(client, index, async () => {
    await refuseUntrustedCode(client, index);
    for (const node of (await readPartitionTree(client, index)).filter(
      (one) => !one.isLeaf && one.index === null,
    )) {
      const name = node.parent === null ? index.name : partitionIndexName(index, node);
      await queryInConfiguredSearchPath(
        client,
        `create ${index.unique ? 'unique ' : ''}index ${quoteIdentifier(name)} on only ${quotedTable(node)} ${index.definition}`,
        schemasBeforePath(index),
      );
      if (node.parent === null) continue;
      // Read again: this loop may have just created the parent's index.
      const parent = nodeOf(await readPartitionTree(client, index), node.parent)?.index;
      if (parent) await attach(client, parent, { schema: node.schema, name });
    }
    return await readPartitionTree(client, index);
  });
}

/**
 * Attaches the index of a partition to its parent's. When it is already attached, newer minor versions of PostgreSQL check
 * again whether the parent's index is valid by now; older ones do nothing.
 */
export async function attachPartitionIndex(
  client: Client,
  index: CompiledIndex,
  parent: Named,
  child: Named,
): Promise<void> {
  await underTreeLock(client, index, async () => {
    await attach(client, parent, child);
  });
}

/** Attaches all indexes of the tree again, so that the server checks whether the parents' indexes are valid by now. */
export async function reattachAll(
  client: Client,
  index: CompiledIndex,
  tree: readonly PartitionNode[],
): Promise<void> {
  for (const node of tree.toReversed()) {
    const parent = node.parent && nodeOf(tree, node.parent)?.index;
    if (parent && node.index) await attachPartitionIndex(client, index, parent, node.index);
  }
}

/**
 * Acquires the lock on an index's partition tree until the transaction ends.
 * @throws LockNotAvailable that names the holder, or lock_not_available, after 3 s
 */
export async function lockTree(client: Client, index: CompiledIndex): Promise<void> {
  if (await lockPartitionTree(client, index, SKELETON_LOCK_TIMEOUT_SECONDS)) return;
  // A role that has no rights on the table cannot hold this one. It conflicts with itself, and not with reads and writes.
  await client.query(`lock table only ${quotedTable(index)} in share update exclusive mode`);
}

async function underTreeLock<T>(client: Client, index: CompiledIndex, use: () => Promise<T>): Promise<T> {
  return await withLockTimeout(client, SKELETON_LOCK_TIMEOUT_SECONDS, async () => {
    await lockTree(client, index);
    return await use();
  });
}

async function attach(client: Client, parent: Named, child: Named): Promise<void> {
  await runRestricted(
    client,
    [parent, child],
    `alter index ${qualified(parent)} attach partition ${qualified(child)}`,
  );
}

import { BuildFailed } from '../shared/errors.ts';
import { type CompiledIndex, indexId, tableId } from '../shared/registry.ts';
import { counted, listed } from '../shared/text.ts';
import type { Client } from './client.ts';
import { type Named, qualified, quotedTable, quoteIdentifier, type Table, tableKey } from './identifiers.ts';
import { lockTree, type PartitionNode, readPartitionTree } from './partition-tree.ts';
import { partitionTreeOf } from './partition-tree-query.ts';
import { FEATURE_NOT_SUPPORTED } from './sqlstate.ts';
import { withLockTimeout } from './table-lock.ts';

/*
 * The index of a partitioned table becomes valid when an index of every partition is attached. A foreign table cannot have
 * an index, so an index that is created ON ONLY the partitioned table never becomes valid. A plain CREATE INDEX skips
 * foreign tables, and its index is valid at once.
 */

/** Reads the foreign tables in the partition trees of tables, by the `tableKey` of the partitioned table. */
export async function readForeignPartitions(
  client: Client,
  tables: readonly Table[],
): Promise<Map<string, Table[]>> {
  if (tables.length === 0) return new Map();
  const { rows } = await client.query<{ root: Table; partition: Table }>(
    `with recursive named as (
       select root.oid
         from unnest($1::text[], $2::text[]) as wanted (schema, name)
         join pg_namespace n on n.nspname = wanted.schema
         join pg_class root on root.relnamespace = n.oid and root.relname = wanted.name and root.relkind = 'p'
     ), ${partitionTreeOf('select oid from named')}
     select jsonb_build_object('schema', rn.nspname, 'table', root.relname) as root,
            jsonb_build_object('schema', n.nspname, 'table', t.relname) as partition
       from tree
       join pg_class t on t.oid = tree.relid and t.relkind = 'f'
       join pg_namespace n on n.oid = t.relnamespace
       join pg_class root on root.oid = tree.root
       join pg_namespace rn on rn.oid = root.relnamespace
      order by 1, 2`,
    [tables.map((table) => table.schema), tables.map((table) => table.table)],
  );
  return new Map(
    [...Map.groupBy(rows, (row) => tableKey(row.root))].map(([key, group]) => [
      key,
      group.map((row) => row.partition),
    ]),
  );
}

/** Why an index cannot be built by this product, and what to do instead. @param tree of the index */
export function describeForeignPartitions(
  index: CompiledIndex,
  partitions: readonly Table[],
  tree: readonly PartitionNode[],
): string {
  const names = listed(partitions.map(tableId), MOST_NAMES);
  const are =
    partitions.length === 1
      ? `partition ${names} is a foreign table`
      : `partitions ${names} are foreign tables`;
  const beginning = `Index ${indexId(index)} cannot be built: ${are}, and PostgreSQL cannot complete a concurrent build of an index on such a partitioned table.`;
  const skeleton = describeSkeleton(index, tree);
  if (index.unique) {
    return (
      `${beginning} PostgreSQL refuses a unique index on ${tableId(index)} altogether. Remove it from the registry and create ` +
      `a unique index on each partition that is not a foreign table, or detach the foreign ${partitions.length === 1 ? 'table' : 'tables'}.${skeleton.dropHint}`
    );
  }
  const foreignTables = partitions.length === 1 ? 'the foreign table' : 'the foreign tables';
  return (
    `${beginning} Without CONCURRENTLY it can, because it skips foreign tables, but it blocks writes to ${tableId(index)} and to ` +
    'all its partitions until it ends. Run this when the load is low, then deploy again: ' +
    `${skeleton.drop}CREATE INDEX ${quoteIdentifier(index.name)} ON ${quotedTable(index)} ${index.definition}; ` +
    `${skeleton.hint}Or detach ${foreignTables}, deploy, and attach again.`
  );
}

const MOST_NAMES = 5;

function describeSkeleton(
  index: CompiledIndex,
  tree: readonly PartitionNode[],
): { drop: string; hint: string; dropHint: string } {
  const name: Named = { schema: index.schema, name: index.name };
  if (!tree.some((node) => node.parent === null && node.index !== null)) {
    return {
      drop: '',
      hint: 'It is fast if you first create the same index on each partition with CREATE INDEX CONCURRENTLY: it then uses those. ',
      dropHint: '',
    };
  }
  const attached = tree.filter((node) => node.isLeaf && node.index !== null).length;
  const drop = `DROP INDEX ${qualified(name)};`;
  const also = attached === 0 ? '' : `, and with it the indexes of ${counted(attached, 'partition')}`;
  return {
    drop: `${drop} `,
    hint: `The DROP INDEX removes the invalid index that an earlier build left${also}. `,
    dropHint: ` Also drop the invalid index that an earlier build left${also}: ${drop}`,
  };
}

/** An index can never become valid, because a partition is a foreign table. It has the base's name: no retry can fix it. */
export class ForeignPartition extends BuildFailed {}

/**
 * @throws ForeignPartition (feature_not_supported) when the index of a partitioned table is not valid, and a concurrent build can
 * never make it valid
 */
export async function refuseForeignPartitions(client: Client, index: CompiledIndex): Promise<void> {
  const partitions = (await readForeignPartitions(client, [index])).get(tableKey(index)) ?? [];
  if (partitions.length === 0) return;
  const tree = await readPartitionTree(client, index);
  if (tree.find((node) => node.parent === null)?.index?.valid === true) return;
  throw new ForeignPartition(describeForeignPartitions(index, partitions, tree), {
    sqlstate: FEATURE_NOT_SUPPORTED,
  });
}

/** DROP INDEX locks the partitioned table and all its partitions exclusively: it must not wait long. */
const DROP_LOCK_TIMEOUT_SECONDS = 3;

/**
 * Drops the invalid index of a partitioned table with a foreign partition, if nothing is lost with it: no index of a partition
 * is attached to it, except those that this deploy has built.
 * @param built `tableId` of the partitions whose index this deploy has built
 * @throws lock_not_available after 3 s
 */
export async function dropSkeleton(
  client: Client,
  index: CompiledIndex,
  built: ReadonlySet<string>,
): Promise<void> {
  await withLockTimeout(client, DROP_LOCK_TIMEOUT_SECONDS, async () => {
    await lockTree(client, index);
    if ((await readForeignPartitions(client, [index])).size === 0) return;
    const tree = await readPartitionTree(client, index);
    const root = tree.find((node) => node.parent === null);
    const others = tree.filter((node) => node.isLeaf && node.index !== null && !built.has(tableId(node)));
    if (root?.index?.valid === false && others.length === 0)
      await client.query(`drop index if exists ${qualified(root.index)}`);
  });
}

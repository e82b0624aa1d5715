/**
 * SQL of a recursive CTE `tree (root, relid, parent, level)`: tables and all their partitions. `root` is the table, `parent` is null
 * for it. pg_partition_tree would lock all partitions until the transaction ends, and wait for those that are locked.
 * @param tables query of one column `oid`
 */
export function partitionTreeOf(tables: string): string {
  return `tree (root, relid, parent, level) as (
    select tables.oid, tables.oid, null::oid, 0 from (select distinct oid from (${tables}) named) tables
    union all
    select tree.root, h.inhrelid, h.inhparent, tree.level + 1
      from tree
      join pg_class parent on parent.oid = tree.relid and parent.relkind = 'p'
      join pg_inherits h on h.inhparent = parent.oid and not h.inhdetachpending
  )`;
}

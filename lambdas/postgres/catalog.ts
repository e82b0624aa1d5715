import type { Client } from './client.ts';
import { indexKey, type Named, type Table, tableKey } from './identifiers.ts';

/*
 * No query in this file locks a table or an index of the application. pg_relation_size and similar functions do, and would
 * wait behind the lock that a build waits for.
 */

/** The relation in the catalog that has the name of a registry entry. */
export interface CatalogEntry {
  schema: string;
  name: string;
  /** `other`: the name belongs to a relation that is not an index. */
  kind: 'index' | 'other';
  /** The index's table. Null: it is not an index. */
  table: string | null;
  valid: boolean;
  /** Size in bytes from pg_class: exact after a build, later as of the last VACUUM. */
  bytes: number;
}

/** Reads the catalog entries of indexes, by schema and name. Names that do not exist are omitted. */
export async function readCatalog(client: Client, indexes: readonly Named[]): Promise<CatalogEntry[]> {
  const { rows } = await client.query<CatalogEntry>(
    `select wanted.schema,
            wanted.name,
            case when i.indexrelid is null then 'other' else 'index' end as kind,
            t.relname as "table",
            coalesce(i.indisvalid, false) as valid,
            c.relpages::float8 * current_setting('block_size')::int as bytes
       from unnest($1::text[], $2::text[]) as wanted (schema, name)
       join pg_namespace n on n.nspname = wanted.schema
       join pg_class c on c.relnamespace = n.oid and c.relname = wanted.name
       left join pg_index i on i.indexrelid = c.oid
       left join pg_class t on t.oid = i.indrelid`,
    [indexes.map((index) => index.schema), indexes.map((index) => index.name)],
  );
  return rows;
}

/**
 * Sizes in bytes of the indexes of partitioned tables, with those of all their partitions, by `indexKey`. Other indexes are
 * omitted. From pg_class, as in `CatalogEntry`.
 */
export async function readPartitionedSizes(
  client: Client,
  indexes: readonly Named[],
): Promise<Map<string, number>> {
  const { rows } = await client.query<Named & { bytes: number }>(
    `with recursive tree as (
       select wanted.schema, wanted.name, c.oid
         from unnest($1::text[], $2::text[]) as wanted (schema, name)
         join pg_namespace n on n.nspname = wanted.schema
         join pg_class c on c.relnamespace = n.oid and c.relname = wanted.name and c.relkind = 'I'
        union all
       select tree.schema, tree.name, i.inhrelid from tree join pg_inherits i on i.inhparent = tree.oid
     )
     select tree.schema, tree.name, sum(c.relpages)::float8 * current_setting('block_size')::int as bytes
       from tree
       join pg_class c using (oid)
      group by tree.schema, tree.name`,
    [indexes.map((index) => index.schema), indexes.map((index) => index.name)],
  );
  return new Map(rows.map((row) => [indexKey(row), row.bytes]));
}

/** The catalog entry of one index. Undefined: no relation has the name. */
export async function readCatalogEntry(client: Client, index: Named): Promise<CatalogEntry | undefined> {
  return (await readCatalog(client, [index]))[0];
}

/**
 * Whether a transaction has changed an index's row in pg_index and has not ended yet. The last transaction of a concurrent
 * build is of this kind: it marks the index as valid, and releases the table's lock before it commits.
 */
export async function isChanging(client: Client, index: Named): Promise<boolean> {
  const { rows } = await client.query(
    `select
       from pg_index i
       join pg_class c on c.oid = i.indexrelid
       join pg_namespace n on n.oid = c.relnamespace
       join pg_locks l on l.locktype = 'transactionid' and l.transactionid = i.xmax and l.granted
      where n.nspname = $1 and c.relname = $2`,
    [index.schema, index.name],
  );
  return rows.length > 0;
}

/** Sizes of tables in bytes as of their last VACUUM or ANALYZE, by `tableKey`. */
export async function readTableSizes(client: Client, tables: readonly Table[]): Promise<Map<string, number>> {
  const { rows } = await client.query<Table & { bytes: number }>(
    `select distinct wanted.schema, wanted.name as "table", c.relpages::float8 * current_setting('block_size')::int as bytes
       from unnest($1::text[], $2::text[]) as wanted (schema, name)
       join pg_namespace n on n.nspname = wanted.schema
       join pg_class c on c.relnamespace = n.oid and c.relname = wanted.name`,
    [tables.map((table) => table.schema), tables.map((table) => table.table)],
  );
  return new Map(rows.map((row) => [tableKey(row), row.bytes]));
}

/** The kind of a relation from pg_class ('r', 'm', 'p', …). Undefined: no relation has the name. */
export async function readRelationKind(client: Client, relation: Named): Promise<string | undefined> {
  const { rows } = await client.query<{ relkind: string }>(
    `select c.relkind::text as relkind
       from pg_class c
       join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = $1 and c.relname = $2`,
    [relation.schema, relation.name],
  );
  return rows[0]?.relkind;
}

/** Whether an index is attached to the index of a partitioned table. */
export async function isAttached(client: Client, index: Named): Promise<boolean> {
  const { rows } = await client.query(
    `select
       from pg_class c
       join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = $1 and c.relname = $2 and c.relispartition`,
    [index.schema, index.name],
  );
  return rows.length > 0;
}

/**
 * Names of the indexes of a table that begin with a prefix. Relations of other tables are omitted: other roles can have
 * created them.
 */
export async function indexesBeginningWith(client: Client, table: Table, prefix: string): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select c.relname as name
       from pg_class c
       join pg_index i on i.indexrelid = c.oid
       join pg_class t on t.oid = i.indrelid
       join pg_namespace n on n.oid = t.relnamespace
      where n.nspname = $1 and t.relname = $2 and starts_with(c.relname, $3)
      order by 1`,
    [table.schema, table.table, prefix],
  );
  return rows.map((row) => row.name);
}

import type { Client } from './client.ts';
import { type Named, type Table, tableKey } from './identifiers.ts';

/*
 * Nothing here takes a lock on a user's table or index: pg_relation_size and its kin do, and would wait behind the very
 * lock that a build is waiting for.
 */

/** What the catalog says of the name of a registry entry. */
export interface CatalogEntry {
  schema: string;
  name: string;
  /** What has the name: an index, or another kind of relation that is in the way. */
  kind: 'index' | 'other';
  /** Table that the index is on. Null: not an index. */
  table: string | null;
  valid: boolean;
  /** Size in bytes as pg_class has it: exact after a build, then as of the last VACUUM. */
  bytes: number;
}

/** Looks up registry entries by schema and name. What is not there is not in the answer. */
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

/** The catalog's entry of one index. Undefined: no relation has the name. */
export async function readCatalogEntry(client: Client, index: Named): Promise<CatalogEntry | undefined> {
  return (await readCatalog(client, [index]))[0];
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

/** The relation's kind as pg_class has it ('r', 'm', 'p', …). Undefined: there is none of that name. */
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

/** Names of the relations of a schema that begin with a prefix. */
export async function namesBeginningWith(client: Client, schema: string, prefix: string): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select c.relname as name
       from pg_class c
       join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = $1 and starts_with(c.relname, $2)
      order by 1`,
    [schema, prefix],
  );
  return rows.map((row) => row.name);
}

import { listed } from '../shared/text.ts';
import type { Client } from './client.ts';
import type { Table } from './identifiers.ts';
import type { Definition } from './index-definition.ts';

/**
 * Why an index with this definition cannot be the REPLICA IDENTITY of its table. Null: it can.
 * @see https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-REPLICA-IDENTITY
 */
export async function whyNoReplicaIdentity(
  client: Client,
  table: Table,
  { unique, predicate, expressions, keys }: Definition,
): Promise<string | null> {
  if (!unique) return 'it is not unique';
  if (predicate !== '') return 'it is partial';
  if (expressions > 0) return 'it has an expression';
  const nullable = keys.filter((key) => key.nullable).map((key) => key.column);
  if (nullable.length > 0) return `NULL is allowed in ${listed(nullable)}`;
  return await whyNotPublishable(
    client,
    table,
    keys.map((key) => key.column),
  );
}

/**
 * A publication can list columns, and filter rows by columns, from version 15 on. An UPDATE fails unless the replica identity
 * is part of the list and contains the columns of the filter.
 */
async function whyNotPublishable(
  client: Client,
  table: Table,
  keys: readonly string[],
): Promise<string | null> {
  const { rows } = await client.query<{ name: string; listed: string[] | null; filtered: string[] }>(
    `with named as (
       select t.oid
         from pg_class t
         join pg_namespace n on n.oid = t.relnamespace
        where n.nspname = $1 and t.relname = $2
     ), published as (
       select p.pubname, pr.prrelid, to_jsonb(pr) -> 'prattrs' as columns, to_jsonb(pr) ->> 'prqual' as filter
         from named
         join pg_publication_rel pr
           on pr.prrelid = named.oid or pr.prrelid in (select relid from pg_partition_ancestors(named.oid))
         join pg_publication p on p.oid = pr.prpubid and (p.pubupdate or p.pubdelete)
     )
     select pubname as name,
            case when jsonb_typeof(columns) <> 'null'
                 then array(select a.attname::text
                              from pg_attribute a
                             where a.attrelid = prrelid and columns @> to_jsonb(a.attnum)) end as listed,
            array(select distinct a.attname::text
                    from regexp_matches(filter, ':varattno ([0-9]+)', 'g') as numbers
                    join pg_attribute a on a.attrelid = prrelid and a.attnum = numbers[1]::int) as filtered
       from published
      order by 1`,
    [table.schema, table.table],
  );
  for (const { name, listed: columns, filtered } of rows) {
    const unlisted = keys.filter((key) => columns !== null && !columns.includes(key));
    if (unlisted.length > 0) return `publication ${name} does not publish ${listed(unlisted)}`;
    const missing = filtered.filter((column) => !keys.includes(column));
    if (missing.length > 0) return `publication ${name} filters rows by ${listed(missing)}`;
  }
  return await whyNotGenerated(client, table, keys);
}

/** From version 18 on, a publication says whether it publishes generated columns, and refuses others in a replica identity. */
async function whyNotGenerated(
  client: Client,
  table: Table,
  keys: readonly string[],
): Promise<string | null> {
  const { rows } = await client.query<{ name: string; column: string }>(
    `select p.pubname as name, a.attname as column
       from pg_publication p
       join pg_publication_tables pt using (pubname)
       join pg_namespace n on n.nspname = pt.schemaname
       join pg_class t on t.relnamespace = n.oid and t.relname = pt.tablename
       join pg_attribute a on a.attrelid = t.oid and a.attgenerated <> '' and a.attname = any ($3::text[])
      where n.nspname = $1 and t.relname = $2
        and (p.pubupdate or p.pubdelete)
        and to_jsonb(p) ? 'pubgencols'
        and not (to_jsonb(pt) -> 'attnames') ? a.attname
      order by 1, 2`,
    [table.schema, table.table, keys],
  );
  return rows[0] === undefined ? null : `publication ${rows[0].name} does not publish ${rows[0].column}`;
}

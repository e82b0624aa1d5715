import type { CompiledIndex } from '../shared/registry.ts';
import type { Client } from './client.ts';
import { type Table, tableKey } from './identifiers.ts';
import { resolvedSearchPath } from './search-path.ts';

/*
 * What entries name and a database does not have: tables, columns, and the functions, types, collations, operator classes and
 * access methods of their definitions. It shows before a build what CREATE INDEX would only say after the services were stopped.
 * No query here locks a table, and their number does not depend on the number of entries.
 */

/** Something that a database does not have. */
export type MissingObject =
  /** The schema has no relation of the name. */
  | { kind: 'table'; table: Table; elsewhere: readonly FoundTable[] }
  /** The relation is no table: `relkind` of pg_class. */
  | { kind: 'not-a-table'; table: Table; relkind: string }
  | { kind: 'column'; table: Table; column: string; existing: readonly string[] }
  | { kind: ObjectKind; name: readonly string[]; elsewhere: readonly string[] };

export type ObjectKind = 'function' | 'type' | 'collation' | 'operator class' | 'access method';

/** A table with the name of a missing one, or with a name that differs only in upper and lower case. */
export interface FoundTable extends Table {
  /** The deploy role may use its schema. */
  readonly usable: boolean;
}

/** An index whose definition names something that does not exist. */
export interface IncompleteIndex {
  readonly index: CompiledIndex;
  readonly missing: readonly MissingObject[];
}

/** Whether the table of an index does not exist. */
export function isTableMissing({ missing }: IncompleteIndex): boolean {
  return missing.some(({ kind }) => kind === 'table');
}

interface WantedObject {
  kind: ObjectKind;
  name: readonly string[];
  /** Of an operator class. */
  method: string | null;
}

/** The indexes whose definitions name something that this database does not have, in their order. */
export async function readMissingObjects(
  client: Client,
  all: readonly CompiledIndex[],
): Promise<IncompleteIndex[]> {
  // A migration may drop the columns of an index that is not needed any more.
  const indexes = all.filter(({ retired }) => retired === undefined);
  const tables = [...Map.groupBy(indexes, tableKey).values()].map((members) => ({
    schema: members[0]?.schema ?? '',
    table: members[0]?.table ?? '',
    columns: [...new Set(members.flatMap(({ references }) => references.columns))],
  }));
  const objects = new Map(indexes.flatMap(objectsOf).map((object) => [objectKey(object), object]));
  const { rows } = await client.query<{ tables: TableRow[]; objects: ObjectRow[] }>(MISSING, [
    JSON.stringify(tables.map((table, id) => ({ id, ...table }))),
    JSON.stringify(
      [...objects].map(([key, { kind, name, method }]) => ({ key, kind, ...partsOf(name), method })),
    ),
    await resolvedSearchPath(client),
  ]);
  const found = rows[0] ?? { tables: [], objects: [] };
  if (found.tables.length === 0 && found.objects.length === 0) return [];
  const byTable = new Map(
    found.tables.flatMap((row) => {
      const table = tables[row.id];
      return table === undefined ? [] : [[tableKey(table), row]];
    }),
  );
  const names = [...byTable].flatMap(([, row]) => (row.kind === null ? [tables[row.id]?.table ?? ''] : []));
  const elsewhere = Map.groupBy(await readTablesNamed(client, names), ({ table }) => table.toLowerCase());
  const missingObjects = new Map(found.objects.map((row) => [row.key, row]));
  return indexes.flatMap((index) => {
    const table = { schema: index.schema, table: index.table };
    const row = byTable.get(tableKey(table));
    const missing = [
      ...(row === undefined ? [] : missingOf(index, row, elsewhere.get(table.table.toLowerCase()) ?? [])),
      ...objectsOf(index).flatMap((object): MissingObject[] => {
        const one = missingObjects.get(objectKey(object));
        return one === undefined ? [] : [{ kind: object.kind, name: object.name, elsewhere: one.elsewhere }];
      }),
    ];
    return missing.length === 0 ? [] : [{ index, missing }];
  });
}

interface TableRow {
  /** Position in the list of tables. */
  id: number;
  /** relkind. Null: no relation has the name. */
  kind: string | null;
  missing: string[];
  existing: string[];
}

interface ObjectRow {
  key: string;
  /** The schemas that have an object of this name. */
  elsewhere: string[];
}

/** The kinds of relation that can have an index: tables, partitioned tables, materialized views. */
const INDEXABLE = ['r', 'p', 'm'];

function missingOf(index: CompiledIndex, row: TableRow, elsewhere: readonly FoundTable[]): MissingObject[] {
  const table = { schema: index.schema, table: index.table };
  if (row.kind === null) {
    const others = elsewhere.filter((one) => one.table === index.table || one.schema === index.schema);
    return [{ kind: 'table', table, elsewhere: others.length > 0 ? others : elsewhere }];
  }
  if (!INDEXABLE.includes(row.kind)) return [{ kind: 'not-a-table', table, relkind: row.kind }];
  const columns = index.references.columns.filter((column) => row.missing.includes(column));
  return columns.map((column) => ({ kind: 'column', table, column, existing: row.existing }));
}

function objectsOf({ references }: CompiledIndex): WantedObject[] {
  const { method, functions, types, collations, operatorClasses } = references;
  const of = (kind: ObjectKind, all: readonly string[][]) =>
    all.map((name) => ({ kind, name, method: null }));
  return [
    ...of('function', functions),
    ...of('type', types),
    ...of('collation', collations),
    ...of('access method', [[method]]),
    ...operatorClasses.map((name) => ({ kind: 'operator class' as const, name, method })),
  ];
}

function objectKey({ kind, name, method }: WantedObject): string {
  return JSON.stringify([kind, name, method]);
}

function partsOf(name: readonly string[]): { schema: string | null; name: string } {
  return { schema: name.at(-2) ?? null, name: name.at(-1) ?? '' };
}

/**
 * A column reference can also be a whole row, which has the name of the table, or a function that is written like a column; a
 * function can be written for a type or a column. The server finds pg_catalog in every path.
 */
const MISSING = `
  with path as (
    select n.oid, n.nspname
      from pg_namespace n
     where n.nspname = any ($3::name[] || 'pg_catalog'::name) and has_schema_privilege(n.oid, 'usage')
  ), tables as (
    select wanted.id, c.oid, c.relkind::text as kind,
           array(select named.name
                   from unnest(wanted.columns) as named (name)
                  where c.relkind in ('r', 'p', 'm')
                    and named.name <> wanted."table"
                    and not exists (select from pg_attribute a
                                     where a.attrelid = c.oid and a.attname = named.name and not a.attisdropped)
                    and not exists (select from pg_proc p
                                     where p.proname = named.name and p.pronargs = 1 and p.proargtypes[0] = c.reltype)) as missing
      from jsonb_to_recordset($1::jsonb) as wanted (id int, schema name, "table" name, columns name[])
      left join pg_namespace n on n.nspname = wanted.schema
      left join pg_class c on c.relnamespace = n.oid and c.relname = wanted."table"
  ), named as (
    select wanted.key, wanted.schema, n.nspname as found, n.oid as namespace
      from jsonb_to_recordset($2::jsonb) as wanted (key text, kind text, schema name, name name, method name)
      left join lateral (
        select p.pronamespace from pg_proc p where wanted.kind = 'function' and p.proname = wanted.name
         union
        select t.typnamespace from pg_type t where wanted.kind in ('function', 'type') and t.typname = wanted.name
         union
        select c.collnamespace from pg_collation c where wanted.kind = 'collation' and c.collname = wanted.name
         union
        select o.opcnamespace
          from pg_opclass o join pg_am am on am.oid = o.opcmethod
         where wanted.kind = 'operator class' and o.opcname = wanted.name and am.amname = wanted.method
         union
        -- An access method has no schema.
        select 'pg_catalog'::regnamespace from pg_am am where wanted.kind = 'access method' and am.amname = wanted.name
      ) objects (namespace) on true
      left join pg_namespace n on n.oid = objects.namespace
  ), objects as (
    select named.key, coalesce(jsonb_agg(distinct named.found) filter (where named.found is not null), '[]') as elsewhere
      from named
     group by named.key
    having not bool_or(coalesce(case when named.schema is null then named.namespace in (select path.oid from path)
                                     else named.found = named.schema end, false))
  )
  select (select coalesce(jsonb_agg(jsonb_build_object(
                   'id', t.id, 'kind', t.kind, 'missing', to_jsonb(t.missing),
                   'existing', case when t.missing = '{}' then '[]'
                                    else (select coalesce(jsonb_agg(a.attname order by a.attnum), '[]') from pg_attribute a
                                           where a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped) end)), '[]')
            from tables t
           where t.kind is null or t.kind not in ('r', 'p', 'm') or t.missing <> '{}') as tables,
         (select coalesce(jsonb_agg(jsonb_build_object('key', o.key, 'elsewhere', o.elsewhere)), '[]') from objects o) as objects`;

/** Tables of applications with one of these names, in upper or lower case. */
async function readTablesNamed(client: Client, names: readonly string[]): Promise<FoundTable[]> {
  if (names.length === 0) return [];
  const { rows } = await client.query<FoundTable>(
    `select n.nspname as schema, c.relname as "table", has_schema_privilege(n.oid, 'usage') as usable
       from pg_class c
       join pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'p', 'm', 'f', 'v')
        and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
        and lower(c.relname) = any ($1::text[])
      order by 1, 2`,
    [[...new Set(names.map((name) => name.toLowerCase()))]],
  );
  return rows;
}

import { type CompiledRegistry, entryId } from '../shared/registry.ts';
import { schemaMatcher } from '../shared/schema-patterns.ts';
import { counted, listed } from '../shared/text.ts';
import { quoted } from '../shared/visible-text.ts';
import type { Client } from './client.ts';

/*
 * Entries with `schemas`, for a schema per tenant. The schemas are read in each function: a tenant can come or leave at any
 * moment.
 */

/** A schema of the database, and which tables of the registry it has. */
export interface SchemaTables {
  readonly schema: string;
  readonly tables: ReadonlySet<string>;
}

/** The schemas in which entries with `schemas` can have an index, by name, in one query. Empty: the registry has no such entry. */
export async function readSchemas(client: Client, registry: CompiledRegistry): Promise<SchemaTables[]> {
  const entries = registry.filter((entry) => entry.schemas !== undefined);
  if (entries.length === 0) return [];
  const { rows } = await client.query<{ schema: string; tables: string[] }>(
    `with tables as (
       select c.relnamespace, array_agg(c.relname::text) as names
         from pg_class c
        where c.relname = any ($1::name[]) and c.relkind in ('r', 'p', 'm')
        group by c.relnamespace
     )
     select n.nspname::text as schema, coalesce(tables.names, '{}') as tables
       from pg_namespace n
       left join tables on tables.relnamespace = n.oid
      order by n.nspname collate "C"`,
    [[...new Set(entries.map(({ table }) => table))]],
  );
  const matchers = [...new Set(entries.map(({ schemas = [] }) => JSON.stringify(schemas)))].map((patterns) =>
    schemaMatcher(JSON.parse(patterns)),
  );
  return rows
    .filter(({ schema }) => matchers.some((matches) => matches(schema)))
    .map(({ schema, tables }) => ({ schema, tables: new Set(tables) }));
}

/** Names in a warning. */
const MOST_NAMES = 5;

/**
 * What a person may not expect of entries with `schemas`: patterns that match no schema, and schemas that match without having
 * the table, which are left out. Each kind is one warning, however many entries and schemas there are.
 */
export async function schemaWarnings(client: Client, registry: CompiledRegistry): Promise<string[]> {
  const all = await readSchemas(client, registry);
  const entries = registry.flatMap((entry) =>
    entry.schemas === undefined ? [] : [{ ...entry, schemas: entry.schemas }],
  );
  return [...unmatchedPatterns(entries, all), ...schemasWithoutTable(entries, all)];
}

type EntryWithSchemas = CompiledRegistry[number] & { readonly schemas: readonly string[] };

function unmatchedPatterns(entries: readonly EntryWithSchemas[], all: readonly SchemaTables[]): string[] {
  const patterns = new Set(entries.flatMap(({ schemas }) => schemas.filter((one) => !one.startsWith('!'))));
  const unmatched = [...patterns].filter((pattern) => {
    const matches = schemaMatcher([pattern]);
    return !all.some(({ schema }) => matches(schema));
  });
  if (unmatched.length === 0) return [];
  const what = unmatched.length === 1 ? 'This pattern of schemas matches' : 'These patterns of schemas match';
  return [
    `${what} no schema of the database: ${listed(
      unmatched.map((pattern) => quoted(pattern)),
      MOST_NAMES,
    )}. No index is built for it. Check the spelling in the registry: upper and lower case differ.`,
  ];
}

function schemasWithoutTable(entries: readonly EntryWithSchemas[], all: readonly SchemaTables[]): string[] {
  const byTable = Map.groupBy(entries, ({ table, schemas }) => JSON.stringify([table, schemas]));
  const missing = [...byTable.values()].flatMap(([entry]) => {
    if (entry === undefined) return [];
    const matches = schemaMatcher(entry.schemas);
    const without = all.filter(({ schema, tables }) => !tables.has(entry.table) && matches(schema));
    return without.length === 0 ? [] : [{ entry, schemas: without.map(({ schema }) => schema) }];
  });
  const [first] = missing;
  if (first === undefined) return [];
  const others = missing.length - 1;
  return [
    `${counted(first.schemas.length, 'schema')} of the index ${entryId(first.entry)} ${first.schemas.length === 1 ? 'has' : 'have'} no ` +
      `table ${first.entry.table}, so the index is not built there: ${listed(first.schemas, MOST_NAMES)}.` +
      (others === 0 ? '' : ` The same applies to ${counted(others, 'more table')} of the registry.`),
  ];
}

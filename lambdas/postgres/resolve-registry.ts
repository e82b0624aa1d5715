import {
  type CompiledIndex,
  type CompiledRegistry,
  inSchema,
  type RegistryEntry,
} from '../shared/registry.ts';
import { schemaMatcher } from '../shared/schema-patterns.ts';
import type { Client } from './client.ts';
import { readSchemas, type SchemaTables } from './entry-schemas.ts';
import { resolvedSearchPath } from './search-path.ts';

/*
 * A statement without a schema means the table that the search path finds, as it does in psql and in the application. So the
 * indexes of a registry depend on the database and on the role: they are resolved in each function, and an item of a lane
 * carries the schema that was found.
 */

/** Schemas of a path in which no table of an application is created. */
const NEVER_CREATED_IN = ['pg_catalog', 'pg_temp', 'information_schema'];
const USER = '$user';

/**
 * Finds the indexes of a registry in a database, in the order of the entries. An unqualified entry belongs to the first schema
 * of the search path that has a relation with the name of its table. If none has, it belongs to the schema in which CREATE TABLE
 * would create the table. An entry with `schemas` has an index in every schema that matches and has the table. It takes at most
 * three queries, however many entries the registry has and however many schemas there are.
 */
export async function resolveRegistry(client: Client, registry: CompiledRegistry): Promise<CompiledIndex[]> {
  const perSchema = await readSchemas(client, registry);
  const inOneSchema = await resolveInPath(
    client,
    registry.filter((entry) => entry.schemas === undefined),
  );
  return registry.flatMap((entry) => inOneSchema.get(entry) ?? inEachSchema(entry, perSchema));
}

function inEachSchema(entry: RegistryEntry, all: readonly SchemaTables[]): CompiledIndex[] {
  const matches = schemaMatcher(entry.schemas ?? []);
  return all.flatMap(({ schema, tables }) =>
    tables.has(entry.table) && matches(schema) ? inSchema(entry, schema) : [],
  );
}

/** The indexes of entries without `schemas`. */
async function resolveInPath(
  client: Client,
  registry: CompiledRegistry,
): Promise<Map<RegistryEntry, CompiledIndex>> {
  const tables = [...new Set(registry.flatMap(({ schema, table }) => (schema === null ? table : [])))];
  const resolved = (schemaOf: (entry: RegistryEntry) => string) =>
    new Map(registry.map((entry) => [entry, inSchema(entry, entry.schema ?? schemaOf(entry))]));
  if (tables.length === 0) return resolved(() => 'public');
  const path = await resolvedSearchPath(client);
  const { rows } = await client.query<{ table: string; found: string | null; created: string | null }>(
    RESOLVE,
    [tables, path, NEVER_CREATED_IN],
  );
  const fallback = firstSchema(path);
  const schemas = new Map(rows.map(({ table, found, created }) => [table, found ?? created ?? fallback]));
  return resolved(({ table }) => schemas.get(table) ?? fallback);
}

/** The server omits schemas that do not exist, and those that the role may not use, from the path. */
const RESOLVE = `
  with path as (
    select n.oid, n.nspname, listed.position
      from unnest($2::name[]) with ordinality as listed (name, position)
      join pg_namespace n on n.nspname = listed.name
     where has_schema_privilege(n.oid, 'usage')
  )
  select wanted.name::text as "table",
         (select path.nspname::text
            from path
            join pg_class c on c.relnamespace = path.oid and c.relname = wanted.name
           order by path.position
           limit 1) as found,
         (select path.nspname::text from path where path.nspname <> all ($3::name[]) order by path.position limit 1) as created
    from unnest($1::name[]) as wanted (name)`;

/** The schema to expect tables in when no schema of a path can be used. @param path may contain "$user" */
export function firstSchema(path: readonly string[]): string {
  return path.find((name) => name !== USER && !NEVER_CREATED_IN.includes(name)) ?? 'public';
}

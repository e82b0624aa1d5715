import type { CompiledIndex } from '../shared/registry.ts';
import type { Client } from './client.ts';
import { namesIn } from './definition-names.ts';
import { splitTablespace } from './definition-text.ts';
import { tableKey } from './identifiers.ts';
import { schemasBeforePath } from './search-path.ts';

/*
 * The same definition on tables whose columns are alike has one normalized form. Schemas of tenants have thousands of such
 * tables, so only one of them has to be tried.
 */

/**
 * Groups entries whose normalized definition is certainly the same: the text is the same, the role that reads it too, and all
 * columns that the text can mean have the same type, collation and nullability. Entries whose table does not exist are omitted.
 * @param roleOf the role as which an entry is normalized
 */
export async function groupAlike(
  client: Client,
  entries: readonly CompiledIndex[],
  roleOf: (entry: CompiledIndex) => string,
): Promise<CompiledIndex[][]> {
  if (entries.length === 0) return [];
  const names = new Map(
    [...new Set(entries.map(({ definition }) => definition))].map((text) => [text, readable(text)]),
  );
  const withObjects = await schemasWithObjects(client, entries);
  const wanted = entries.map((entry, at) => {
    const identifiers = names.get(entry.definition) ?? null;
    const isNamed =
      identifiers === null || identifiers.includes(entry.table) || withObjects.has(entry.schema);
    // The name of a table means all of its columns.
    return { at, schema: entry.schema, table: entry.table, names: isNamed ? null : identifiers, isNamed };
  });
  const { rows } = await client.query<{ at: number; columns: string | null }>(
    `select wanted.at,
            (select string_agg(concat_ws(' ', quote_ident(a.attname), a.atttypid, a.atttypmod, a.attcollation, a.attnotnull),
                               ', ' order by a.attname)
               from pg_attribute a
              where a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
                and (wanted.names is null or a.attname = any (wanted.names::name[]))) as columns
       from jsonb_to_recordset($1::jsonb) as wanted (at int, schema text, "table" text, names text[])
       join pg_namespace n on n.nspname = wanted.schema
       join pg_class t on t.relnamespace = n.oid and t.relname = wanted."table"
      order by wanted.at`,
    [JSON.stringify(wanted)],
  );
  const found = rows.flatMap(({ at, columns }) => {
    const entry = entries[at];
    return entry === undefined ? [] : [{ entry, columns, isNamed: wanted[at]?.isNamed !== false }];
  });
  const groups = Map.groupBy(found, ({ entry, columns, isNamed }) =>
    JSON.stringify([
      roleOf(entry),
      splitTablespace(entry.definition).definition,
      columns,
      isNamed ? tableKey(entry) : null,
    ]),
  );
  return [...groups.values()].map((group) => group.map(({ entry }) => entry));
}

/**
 * Schemas of tenants with an object that a definition may mean, because such a schema comes first in the search path. With a
 * definition that is not readable no entries are alike.
 */
async function schemasWithObjects(client: Client, entries: readonly CompiledIndex[]): Promise<Set<string>> {
  const ofTenants = entries.filter((entry) => schemasBeforePath(entry).length > 0);
  const texts = [...new Set(ofTenants.map(({ definition }) => definition))];
  if (texts.length === 0) return new Set();
  const all = texts.map(namesIn);
  const { rows } = await client.query<{ schema: string }>(
    `select distinct n.nspname::text as schema
       from (select pronamespace as oid from pg_proc where proname = any ($1::name[])
              union
             select typnamespace from pg_type where typname = any ($1::name[])
              union
             select collnamespace from pg_collation where collname = any ($1::name[])
              union
             select opcnamespace from pg_opclass where opcname = any ($1::name[])
              union
             select oprnamespace from pg_operator where oprname = any ($2::name[])) as object
       join pg_namespace n using (oid)`,
    [all.flatMap(({ identifiers }) => identifiers), all.flatMap(({ operators }) => operators)],
  );
  return new Set(rows.map(({ schema }) => schema));
}

/** Only PostgreSQL knows how it reads other characters, and escapes in names. */
const UNREADABLE = /[^\t\n\r -~]|u&"/i;

/** All names in a definition. Null: they are not certain. */
function readable(definition: string): readonly string[] | null {
  return UNREADABLE.test(definition) ? null : namesIn(definition).identifiers;
}

import type { CompiledIndex } from '../shared/registry.ts';
import type { Client } from './client.ts';
import { type Table, tableKey } from './identifiers.ts';
import { OWN_PREFIX } from './index-names.ts';

/** A valid index of a table. */
export interface TableIndex extends Table {
  oid: number;
  name: string;
  unique: boolean;
  /** Uniqueness is checked immediately. False: at the end of the transaction, as for a deferrable constraint. */
  immediate: boolean;
  attached: boolean;
}

/**
 * The valid indexes that can match an entry, by `tableKey`: those with its name, and those on its table that are unique if and
 * only if it is. Temporary ones of this product are omitted: see index-names.ts.
 */
export async function readCandidates(
  client: Client,
  entries: readonly CompiledIndex[],
): Promise<Map<string, TableIndex[]>> {
  const byTable = Map.groupBy(entries, tableKey);
  const tables = [...byTable.values()].flatMap(([entry]) => entry ?? []);
  const { rows } = await client.query<TableIndex>(
    `select i.indexrelid::int8::float8 as oid,
            n.nspname as schema,
            c.relname as name,
            t.relname as "table",
            i.indisunique as "unique",
            i.indimmediate as immediate,
            c.relispartition as attached
       from unnest($1::text[], $2::text[]) as wanted (schema, name)
       join pg_namespace n on n.nspname = wanted.schema
       join pg_class t on t.relnamespace = n.oid and t.relname = wanted.name
       join pg_index i on i.indrelid = t.oid and i.indisvalid and i.indislive
       join pg_class c on c.oid = i.indexrelid
      where not starts_with(c.relname, $3)`,
    [tables.map((table) => table.schema), tables.map((table) => table.table), OWN_PREFIX],
  );
  return new Map(
    [...Map.groupBy(rows, tableKey)].map(([table, indexes]) => {
      const members = byTable.get(table) ?? [];
      const names = new Set(members.map((entry) => entry.name));
      const kinds = new Set(members.map((entry) => entry.unique));
      return [table, indexes.filter((index) => names.has(index.name) || kinds.has(index.unique))];
    }),
  );
}

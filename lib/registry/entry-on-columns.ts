import { quoteTableWhereNeeded, quoteWhereNeeded } from '../sql/quote-where-needed.ts';
import type { IndexEntry } from './define-indexes.ts';
import { freeName } from './free-name.ts';

interface WantedIndex {
  readonly table: { readonly schema: string; readonly name: string };
  /** Key columns, in order. */
  readonly columns: readonly string[];
  readonly description: string;
}

interface EntryNames {
  /** Names that relations of the schema have. The name of the entry is added. */
  readonly names: Set<string>;
  /** The first schema of the search path: a table in it is written without its schema. Null: all are written with theirs. */
  readonly firstSchema: string | null;
}

/** The registry entry of a B-tree on columns of a table, with a name that is free. */
export function entryOnColumns(
  { table, columns, description }: WantedIndex,
  { names, firstSchema }: EntryNames,
): IndexEntry {
  const name = freeName(`idx_${table.name}_${columns.join('_')}`, names);
  names.add(name);
  const on = `${quoteTableWhereNeeded(table, firstSchema)} (${columns.map(quoteWhereNeeded).join(', ')})`;
  const sql = `create index concurrently if not exists ${quoteWhereNeeded(name)} on ${on}`;
  return { name, sql, description };
}

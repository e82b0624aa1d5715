import { clipBytes, MAX_IDENTIFIER_BYTES } from '../../lambdas/postgres/identifiers.ts';
import { quoteTableWhereNeeded, quoteWhereNeeded } from '../sql/quote-where-needed.ts';
import type { IndexEntry } from './define-indexes.ts';

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
  const on = `${quoteTableWhereNeeded(table, firstSchema)} (${columns.map(quoteWhereNeeded).join(', ')})`;
  const sql = `create index concurrently if not exists ${quoteWhereNeeded(name)} on ${on}`;
  return { name, sql, description };
}

/** Adds a name to those in use: cut to the length that PostgreSQL keeps, with a number if it is taken. */
function freeName(wanted: string, names: Set<string>): string {
  for (let number = 1; ; number += 1) {
    const end = number === 1 ? '' : `_${number}`;
    const name = clipBytes(wanted, MAX_IDENTIFIER_BYTES - Buffer.byteLength(end)) + end;
    if (names.has(name)) continue;
    names.add(name);
    return name;
  }
}

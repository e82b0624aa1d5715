import { quoteTableWhereNeeded, quoteWhereNeeded } from '../sql/quote-where-needed.ts';
import type { WrittenStatement } from '../sql/schema/written-statement.ts';
import { tokensOf } from '../sql/tokens.ts';
import type { IndexEntry } from './define-indexes.ts';

/** The fields of an entry that its statement does not define. */
interface EntryDetails {
  /** Name of the index: the statement's, or the one that PostgreSQL chooses. */
  readonly name: string;
  readonly description: string;
  /** @default the statement's table */
  readonly table?: { readonly schema: string; readonly name: string } | undefined;
  /** The first schema of the search path: a table in it is written without its schema. Null: all are written with theirs. @default public */
  readonly firstSchema?: string | null | undefined;
}

/** Longest statement on one line. */
const ONE_LINE = 80;
/** Separates the lines of a longer statement: they are indented below the entry's fields. */
const NEXT_LINE = '\n      ';

/**
 * The entry that replaces a CREATE INDEX statement. Its statement has a name, CONCURRENTLY and IF NOT EXISTS, and no ONLY; the
 * part from USING or the columns is unchanged. A unique index protects data integrity, so its entry is critical.
 */
export function entryFromStatement(written: WrittenStatement, details: EntryDetails): IndexEntry {
  const { statement } = written;
  const { schemaname, relname = '' } = statement.relation ?? {};
  const table = details.table ?? { schema: schemaname ?? details.firstSchema ?? 'public', name: relname };
  const parts = [
    `create ${statement.unique ? 'unique ' : ''}index concurrently if not exists ${quoteWhereNeeded(details.name)}`,
    `on ${quoteTableWhereNeeded(table, details.firstSchema)} ${definitionAsWritten(written.sql)}`,
  ];
  const line = parts.join(' ');
  return {
    name: details.name,
    sql: line.length <= ONE_LINE && !line.includes('\n') ? line : parts.join(NEXT_LINE),
    ...(statement.unique && { critical: true }),
    description: details.description,
  };
}

/** The entry with its statement on one line, for JSON. */
export function inOneLine(entry: IndexEntry): IndexEntry {
  return { ...entry, sql: entry.sql.replace(NEXT_LINE, ' ') };
}

/** The part from USING or the first parenthesis, without comments, with single spaces. */
function definitionAsWritten(sql: string): string {
  const tokens = tokensOf(sql);
  const first = tokens.findIndex(({ text, keyword }) => text === '(' || keyword === 'using');
  let text = '';
  let end: number | undefined;
  for (const token of tokens.slice(first)) {
    if (end !== undefined && token.start > end) text += ' ';
    text += token.text;
    end = token.end;
  }
  return text;
}

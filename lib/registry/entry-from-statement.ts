import type { IndexStmt } from 'libpg-query';
import { quoteTableWhereNeeded, quoteWhereNeeded } from '../sql/quote-where-needed.ts';
import { tokensOf } from '../sql/tokens.ts';
import type { IndexEntry } from './define-indexes.ts';

/** A CREATE INDEX statement as somebody wrote it: its text, without the semicolon, and what the parser made of it. */
export interface WrittenIndex {
  readonly sql: string;
  readonly statement: IndexStmt;
}

/** What the statement does not say. */
export interface EntryDetails {
  /** Name of the index: the statement's, or what PostgreSQL calls it. */
  readonly name: string;
  readonly description: string;
  /** @default the statement's table */
  readonly table?: { readonly schema: string; readonly name: string } | undefined;
}

/** Longest statement that stands on one line. */
const ONE_LINE = 80;
/** How the next lines of a longer one begin: in a registry they stand below a field of an entry. */
const NEXT_LINE = '\n      ';

/**
 * The entry that takes a CREATE INDEX statement's place: with its name, CONCURRENTLY and IF NOT EXISTS, on the whole table
 * where it had ONLY, and from USING or the columns on as it was written. A unique index keeps data whole, so it is critical.
 */
export function entryFromStatement(written: WrittenIndex, details: EntryDetails): IndexEntry {
  const { statement } = written;
  const { schemaname, relname = '' } = statement.relation ?? {};
  const table = details.table ?? { schema: schemaname ?? 'public', name: relname };
  const parts = [
    `create ${statement.unique ? 'unique ' : ''}index concurrently if not exists ${quoteWhereNeeded(details.name)}`,
    `on ${quoteTableWhereNeeded(table)} ${definitionAsWritten(written.sql)}`,
  ];
  const line = parts.join(' ');
  return {
    name: details.name,
    sql: line.length <= ONE_LINE && !line.includes('\n') ? line : parts.join(NEXT_LINE),
    ...(statement.unique && { critical: true }),
    description: details.description,
  };
}

/** The entry with its statement on one line, as JSON shows it best. */
export function inOneLine(entry: IndexEntry): IndexEntry {
  return { ...entry, sql: entry.sql.replace(NEXT_LINE, ' ') };
}

/** From USING or the first parenthesis on, without comments, each gap of the text one space at most. */
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

import type { IndexStmt, ScanToken } from 'libpg-query';
import { byteOffsetsIn } from '../sql/byte-offsets.ts';
import { type ParsedStatement, parseSql, SqlSyntaxError, scanSql } from '../sql/parser.ts';
import { placesIn } from '../sql/places.ts';

/** A parsed CREATE INDEX statement and its tokens, without comments and semicolons. */
export interface IndexStatement {
  readonly statement: IndexStmt;
  readonly tokens: readonly ScanToken[];
  /** The text as UTF-8: the tokens' offsets count bytes. */
  readonly bytes: Buffer;
}

/** The reason why a text is not one CREATE INDEX statement. */
interface NotAnIndex {
  readonly refusal: string;
  /** Place in the text, in UTF-16 units. */
  readonly offset: number;
}

// The parser takes a C string, and returns tokens as JSON in which these characters are not escaped.
// biome-ignore lint/suspicious/noControlCharactersInRegex: the pattern finds control characters
const CONTROL_CHARACTER = /[\u0000-\u0008\u000b\u000e-\u001f]/;
const UNREADABLE = new RegExp(`${CONTROL_CHARACTER.source}|\\p{Cs}`, 'u');

/** Parses a text that must be exactly one CREATE INDEX statement. */
export function parseIndexStatement(sql: string): IndexStatement | NotAnIndex {
  if (sql.trim() === '') return { refusal: 'it is empty; write one CREATE INDEX statement', offset: 0 };
  if (!sql.isWellFormed() || CONTROL_CHARACTER.test(sql)) {
    const offset = Math.max(0, sql.search(UNREADABLE));
    return { refusal: 'it contains a control character or half of a surrogate pair; remove it', offset };
  }
  let statements: readonly ParsedStatement[];
  let words: readonly ScanToken[];
  try {
    statements = parseSql(sql);
    words = scanSql(sql).filter((token) => token.text !== ';');
  } catch (error) {
    if (error instanceof SqlSyntaxError) return describeSyntaxError(sql, error);
    throw error;
  }
  const firstWordAfter = (location: number) =>
    byteOffsetsIn(sql)(words.find((token) => token.start >= location)?.start ?? 0);
  if (statements.length !== 1) {
    return {
      offset: firstWordAfter(statements[1]?.location ?? 0),
      refusal: `it contains ${statements.length} statements; write exactly one CREATE INDEX statement in each entry`,
    };
  }
  const node: Partial<Record<string, unknown>> = statements[0]?.node ?? {};
  if (!('IndexStmt' in node)) {
    return {
      offset: firstWordAfter(0),
      refusal:
        `it is not a CREATE INDEX statement (${Object.keys(node)[0] ?? 'nothing'}); ` +
        'write other statements in a migration',
    };
  }
  return { statement: node.IndexStmt as IndexStmt, tokens: words, bytes: Buffer.from(sql) };
}

function describeSyntaxError(sql: string, { message, offset }: SqlSyntaxError): NotAnIndex {
  const { line, column } = placesIn(sql)(offset);
  return { refusal: `${message} (line ${line}, column ${column} of the statement)`, offset };
}

import type { ScanToken } from 'libpg-query';
import { byteOffsetsIn } from './byte-offsets.ts';
import { SqlSyntaxError, scanSql } from './parser.ts';

/** A token of PostgreSQL's scanner; offsets are UTF-16 units. */
export interface SqlToken {
  readonly start: number;
  readonly end: number;
  readonly text: string;
  /** The keyword in lower case, reserved or not. Empty: the token is not a keyword. */
  readonly keyword: string;
  /** Whether it is a string; `text` includes its quotes. */
  readonly isString: boolean;
}

// The scanner accepts a C string, and returns JSON that does not escape these.
// biome-ignore lint/suspicious/noControlCharactersInRegex: it finds control characters
export const CONTROL_CHARACTERS = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufeff]/g;

/** The tokens of a text, without comments. Empty if PostgreSQL's scanner reports an error. */
export function tokensOf(sql: string): SqlToken[] {
  // Most statements have no code, and the scanner needs as long for nothing as for a short text.
  if (sql === '') return [];
  const readable = sql.replaceAll(CONTROL_CHARACTERS, ' ');
  const unitsBefore = byteOffsetsIn(readable);
  return scan(readable).map((token) => {
    const start = unitsBefore(token.start);
    const end = unitsBefore(token.end);
    return {
      start,
      end,
      text: sql.slice(start, end),
      keyword: token.keywordName === 'NO_KEYWORD' ? '' : token.text.toLowerCase(),
      isString: STRINGS.includes(token.tokenName),
    };
  });
}

const STRINGS = ['SCONST', 'USCONST'];

function scan(sql: string): ScanToken[] {
  try {
    return scanSql(sql);
  } catch (error) {
    if (error instanceof SqlSyntaxError) return [];
    throw error;
  }
}

/** The name that an identifier stands for: without its quotes, or in lower case. */
export function identifierName({ text }: SqlToken): string {
  return text.startsWith('"') ? text.slice(1, -1).replaceAll('""', '"') : text.toLowerCase();
}

import { loadModule, type ScanToken, scanSync } from 'libpg-query';

await loadModule();

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
  const bytes = Buffer.from(sql.replaceAll(CONTROL_CHARACTERS, ' '));
  const isAscii = bytes.length === sql.length;
  const unitsAt = (offset: number) => (isAscii ? offset : bytes.toString('utf8', 0, offset).length);
  return scan(bytes.toString()).map((token) => {
    const start = unitsAt(token.start);
    const end = unitsAt(token.end);
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
    return scanSync(sql).tokens.filter(
      ({ tokenName }) => tokenName !== 'SQL_COMMENT' && tokenName !== 'C_COMMENT',
    );
  } catch {
    return [];
  }
}

/** The name that an identifier stands for: without its quotes, or in lower case. */
export function identifierName({ text }: SqlToken): string {
  return text.startsWith('"') ? text.slice(1, -1).replaceAll('""', '"') : text.toLowerCase();
}

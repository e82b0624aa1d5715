import { loadModule, type ScanToken, scanSync } from 'libpg-query';

await loadModule();

/** A word of SQL as PostgreSQL's scanner cuts it; offsets are UTF-16 units. */
export interface SqlToken {
  readonly start: number;
  readonly end: number;
  readonly text: string;
  /** In lower case where it is one of PostgreSQL's keywords, of whatever kind; else empty. */
  readonly keyword: string;
  /** A string, with its quotes. */
  readonly isString: boolean;
}

// The scanner takes a C string, and gives JSON in which these stand unescaped.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
export const CONTROL_CHARACTERS = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufeff]/g;

/** The tokens of a text, without comments. A text that PostgreSQL's scanner does not get through has none. */
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

import { quoteWhereNeeded } from '../sql/quote-where-needed.ts';
import { tokensOf } from '../sql/tokens.ts';

/** Adds TABLESPACE to a CREATE INDEX statement. */
export function withTablespace(sql: string, tablespace: string): string {
  let depth = 0;
  let at = sql.length;
  for (const { text, keyword, start } of tokensOf(sql)) {
    if (text === '(') depth += 1;
    else if (text === ')') depth -= 1;
    // TABLESPACE precedes the predicate.
    else if (keyword === 'where' && depth === 0) {
      at = start;
      break;
    }
  }
  return `${sql.slice(0, at).trimEnd()} tablespace ${quoteWhereNeeded(tablespace)} ${sql.slice(at)}`.trimEnd();
}

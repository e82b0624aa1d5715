import type { SqlStatement } from './read-sql.ts';
import { tokensOf } from './tokens.ts';

/** The code that a DO block or a function carries as a text. */
export interface CodeBody {
  /** As the server runs it: without its quotes. */
  readonly code: string;
  /** Where a character of the code stands in the file, in UTF-16 units. */
  readonly offsetOf: (at: number) => number;
}

/** The code of a DO block, a function or a procedure. Undefined: the statement is none, or its body is no text. */
export function codeBodyOf(statement: SqlStatement): CodeBody | undefined {
  const options = statement.node?.DoStmt?.args ?? statement.node?.CreateFunctionStmt?.options ?? [];
  const body = options.find((option) => 'DefElem' in option && option.DefElem.defname === 'as');
  if (body === undefined) return undefined;
  const strings = tokensOf(statement.sql).filter((token) => token.isString);
  // Beside the body there are at most the language and defaults of arguments: the body is the longest text.
  const literal = strings.toSorted((a, b) => b.text.length - a.text.length)[0];
  if (literal === undefined) return undefined;
  const content = contentOf(literal.text);
  return {
    code: content.text,
    offsetOf: (at) => statement.start + literal.start + content.offsetOf(at),
  };
}

/** What a string of SQL says, and where in it each of its characters stands. */
export function contentOf(literal: string): { text: string; offsetOf: (at: number) => number } {
  const dollar = /^\$[^$]*\$/.exec(literal)?.[0];
  if (dollar !== undefined) {
    return { text: literal.slice(dollar.length, -dollar.length), offsetOf: (at) => at + dollar.length };
  }
  const open = literal.indexOf("'") + 1;
  const escapes = /^e/i.test(literal) ? /''|\\[\s\S]/g : /''/g;
  const inner = literal.slice(open, -1);
  const doubled = [...inner.matchAll(escapes)].map((match) => match.index);
  return {
    text: inner.replaceAll(escapes, (pair) => pair[1] ?? ''),
    // Each pair before it takes one unit more in the file.
    offsetOf: (at) => doubled.reduce((offset, pair) => (pair < offset ? offset + 1 : offset), at) + open,
  };
}

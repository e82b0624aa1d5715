import { countUpTo } from './places.ts';
import type { SqlStatement } from './read-sql.ts';
import { tokensOf } from './tokens.ts';

/** The code of a DO block or a function. */
export interface CodeBody {
  /** As the server runs it: without its quotes. */
  readonly code: string;
  /** Converts an offset in the code to an offset in the file, both in UTF-16 units. */
  readonly offsetOf: (at: number) => number;
}

/** The code of a DO block, a function or a procedure. Undefined: the statement has no body that is a string. */
export function codeBodyOf(statement: SqlStatement): CodeBody | undefined {
  if (statement.node?.DoStmt === undefined && statement.node?.CreateFunctionStmt === undefined)
    return undefined;
  const known = bodies.get(statement);
  if (known !== undefined) return known;
  const body = readBody(statement);
  if (body !== undefined) bodies.set(statement, body);
  return body;
}

/** Several rules read the code of one statement. */
const bodies = new WeakMap<SqlStatement, CodeBody>();

function readBody(statement: SqlStatement): CodeBody | undefined {
  const options = statement.node?.DoStmt?.args ?? statement.node?.CreateFunctionStmt?.options ?? [];
  const body = options.find((option) => 'DefElem' in option && option.DefElem.defname === 'as');
  if (body === undefined) return undefined;
  const strings = tokensOf(statement.sql).filter((token) => token.isString);
  // The other strings are at most the language and defaults of arguments: the body is the longest.
  const [first] = strings;
  if (first === undefined) return undefined;
  const literal = strings.reduce(
    (longest, one) => (one.text.length > longest.text.length ? one : longest),
    first,
  );
  const content = contentOf(literal.text);
  return {
    code: content.text,
    offsetOf: (at) => statement.start + literal.start + content.offsetOf(at),
  };
}

/** The value of a string literal, and the offset in the literal of each of its characters. */
export function contentOf(literal: string): { text: string; offsetOf: (at: number) => number } {
  const dollar = /^\$[^$]*\$/.exec(literal)?.[0];
  if (dollar !== undefined) {
    return { text: literal.slice(dollar.length, -dollar.length), offsetOf: (at) => at + dollar.length };
  }
  const open = literal.indexOf("'") + 1;
  const escapes = /^e/i.test(literal) ? /''|\\[\s\S]/g : /''/g;
  const inner = literal.slice(open, -1);
  // Each escape before a character takes one more unit in the literal. These are their places in the value.
  const doubled = Array.from(inner.matchAll(escapes), (match, before) => match.index - before);
  return {
    text: inner.replaceAll(escapes, (pair) => pair[1] ?? ''),
    offsetOf: (at) => at + countUpTo(doubled, at - 1) + open,
  };
}

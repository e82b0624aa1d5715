import { contentOf } from './code-body.ts';
import type { SqlStatement } from './read-sql.ts';
import { readSql } from './read-sql.ts';
import { type SqlToken, tokensOf } from './tokens.ts';

/** A statement about indexes within the code of a DO block or a function. */
export interface EmbeddedStatement {
  /** Where it begins in the code, in UTF-16 units. */
  readonly at: number;
  /** Undefined: the text is put together while it runs, so that only its beginning is known. */
  readonly statement: SqlStatement | undefined;
  /** Its first words: `create index`. */
  readonly verb: IndexVerb;
}

export type IndexVerb = 'create index' | 'drop index' | 'reindex';

/**
 * Finds CREATE INDEX, DROP INDEX and REINDEX in a body of code: as statements, and in texts that EXECUTE runs. It goes by
 * the words of PostgreSQL's scanner, whatever the language: the parser of PL/pgSQL asks for the types of the database, and
 * refuses the whole body where it does not know one.
 */
export function embeddedStatements(code: string): EmbeddedStatement[] {
  const statements = cutAtSemicolons(tokensOf(code));
  const runsVariables = statements.some((tokens) =>
    executesOf(tokens).some((one) => textOf(one) === undefined),
  );
  return statements.flatMap((tokens) => {
    const executes = executesOf(tokens);
    const holds = runsVariables && executes.length === 0 && !tokens.some(isRaise);
    const texts = holds ? tokens.filter((token) => token.isString).flatMap(held) : executes.flatMap(executed);
    return [...texts, ...written(code, tokens)];
  });
}

/** Those that stand there as statements, behind a condition or in a loop too. */
function written(code: string, tokens: readonly SqlToken[]): EmbeddedStatement[] {
  return tokens.flatMap((token, position) => {
    const verb = startsStatement(tokens, position) ? verbOf(tokens.slice(position)) : undefined;
    if (verb === undefined) return [];
    const text = code.slice(token.start, tokens.at(-1)?.end);
    return [{ at: token.start, verb, statement: readSql(text).statements[0] }];
  });
}

function cutAtSemicolons(tokens: readonly SqlToken[]): SqlToken[][] {
  const statements: SqlToken[][] = [[]];
  for (const token of tokens) {
    if (token.text === ';') statements.push([]);
    else statements.at(-1)?.push(token);
  }
  return statements;
}

/** The expressions that EXECUTE runs: there is one where a loop goes over what it gives. */
function executesOf(tokens: readonly SqlToken[]): SqlToken[][] {
  const at = tokens.findIndex(({ keyword }) => keyword === 'execute');
  if (at === -1) return [];
  const end = tokens.findIndex(
    ({ text }, position) => position > at && ['into', 'using', 'loop'].includes(text.toLowerCase()),
  );
  return [
    tokens.slice(at + 1, end === -1 ? undefined : end),
    ...executesOf(end === -1 ? [] : tokens.slice(end)),
  ];
}

function textOf(expression: readonly SqlToken[]): SqlToken | undefined {
  return expression.find((token) => token.isString);
}

/** What EXECUTE runs: one text that can be read whole, or an expression that begins with one. */
function executed(expression: readonly SqlToken[]): EmbeddedStatement[] {
  const text = textOf(expression);
  if (text === undefined) return [];
  const isWhole = expression.length === 1;
  return held(text).map((one) => (isWhole ? one : { ...one, statement: undefined }));
}

/** A text that EXECUTE runs, at once or from a variable. */
function held(literal: SqlToken): EmbeddedStatement[] {
  const { text } = contentOf(literal.text);
  const verb = verbOf(tokensOf(text));
  return verb === undefined ? [] : [{ at: literal.start, verb, statement: readSql(text).statements[0] }];
}

function isRaise({ text }: SqlToken): boolean {
  return text.toLowerCase() === 'raise';
}

function verbOf(tokens: readonly SqlToken[]): IndexVerb | undefined {
  const [first, second, third] = tokens.map((token) => token.keyword);
  if (first === 'create' && (second === 'index' || (second === 'unique' && third === 'index')))
    return 'create index';
  if (first === 'drop' && second === 'index') return 'drop index';
  return first === 'reindex' ? 'reindex' : undefined;
}

/** Behind what a statement of SQL or PL/pgSQL can begin; elsewhere the word is a name. */
function startsStatement(tokens: readonly SqlToken[], position: number): boolean {
  const before = tokens[position - 1];
  return (
    before === undefined || [';', 'begin', 'then', 'else', 'loop', '>>'].includes(before.text.toLowerCase())
  );
}

import { contentOf } from '../../sql/code-body.ts';
import type { SqlStatement } from '../../sql/read-sql.ts';
import { readSql } from '../../sql/read-sql.ts';
import { type SqlToken, tokensOf } from '../../sql/tokens.ts';

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
  const tokens = tokensOf(code);
  return tokens.flatMap((token, position) => {
    const rest = tokens.slice(position, endOfStatement(tokens, position));
    if (token.text.toLowerCase() === 'execute') return executed(rest);
    const verb = startsStatement(tokens, position) ? verbOf(rest) : undefined;
    const last = rest.at(-1);
    if (verb === undefined || last === undefined) return [];
    return [{ at: token.start, verb, statement: readSql(code.slice(token.start, last.end)).statements[0] }];
  });
}

/** What EXECUTE runs: one text that can be read whole, or an expression that begins with one. */
function executed(tokens: readonly SqlToken[]): EmbeddedStatement[] {
  const end = tokens.findIndex(({ text }) => ['into', 'using'].includes(text.toLowerCase()));
  const expression = tokens.slice(1, end === -1 ? undefined : end);
  const literal = expression.find((token) => token.isString);
  if (literal === undefined) return [];
  const { text } = contentOf(literal.text);
  const verb = verbOf(tokensOf(text));
  if (verb === undefined) return [];
  const isWhole = expression.length === 1;
  return [{ at: literal.start, verb, statement: isWhole ? readSql(text).statements[0] : undefined }];
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

function endOfStatement(tokens: readonly SqlToken[], position: number): number {
  const end = tokens.findIndex((token, at) => at > position && token.text === ';');
  return end === -1 ? tokens.length : end;
}

import { contentOf } from './code-body.ts';
import { wordsAtStart } from './lexer.ts';
import type { SqlStatement } from './read-sql.ts';
import { readSql } from './read-sql.ts';
import { type SqlToken, tokensOf } from './tokens.ts';

/** A statement in the code of a DO block or a function. */
export interface EmbeddedStatement {
  /** Its start in the code, in UTF-16 units. */
  readonly at: number;
  /** Undefined: the code assembles the text when it runs, so only its first words are known. */
  readonly statement: SqlStatement | undefined;
  /** What it does. */
  readonly verb: Verb;
  /** Its first words in lower case, at most four. */
  readonly words: string;
}

/** The statements that are found, by their first words. */
const VERBS = {
  'create index': [
    ['create', 'index'],
    ['create', 'unique', 'index'],
  ],
  'drop index': [['drop', 'index']],
  reindex: [['reindex']],
  'alter table': [['alter', 'table']],
  cluster: [['cluster']],
  vacuum: [['vacuum']],
  'refresh materialized view': [['refresh', 'materialized', 'view']],
  commit: [['commit']],
  rollback: [['rollback']],
  discard: [['discard']],
  system: [['alter', 'system']],
  database: [
    ['create', 'database'],
    ['drop', 'database'],
    ['alter', 'database'],
  ],
  tablespace: [
    ['create', 'tablespace'],
    ['drop', 'tablespace'],
  ],
  subscription: [
    ['create', 'subscription'],
    ['alter', 'subscription'],
    ['drop', 'subscription'],
  ],
} as const satisfies Record<string, readonly (readonly string[])[]>;

export type Verb = keyof typeof VERBS;

/**
 * Finds statements that concern indexes or that PostgreSQL refuses inside a transaction, in code of any language: as statements,
 * and in strings that EXECUTE runs. It uses PostgreSQL's scanner. The parser of PL/pgSQL needs the types of the database, and
 * rejects the whole body if one of them is unknown.
 */
export function embeddedStatements(code: string): EmbeddedStatement[] {
  const statements = splitAtSemicolons(tokensOf(code));
  const runsVariables = statements.some((tokens) =>
    executesOf(tokens).some((one) => stringIn(one) === undefined),
  );
  return statements.flatMap((tokens) => {
    const executes = executesOf(tokens);
    const mayFillVariable = runsVariables && executes.length === 0 && !tokens.some(isRaise);
    const inStrings = mayFillVariable
      ? tokens.filter((token) => token.isString).flatMap(inVariable)
      : executes.flatMap(inExecute);
    return [...inStrings, ...asStatements(code, tokens)];
  });
}

/** Those that are statements of the code, also after a condition or in a loop. */
function asStatements(code: string, tokens: readonly SqlToken[]): EmbeddedStatement[] {
  const found = tokens.flatMap((token, position) => {
    const verb = startsStatement(tokens, position) ? verbAt(tokens, position) : undefined;
    return verb === undefined ? [] : [{ token, position, verb }];
  });
  return found.flatMap(({ token, position, verb }, at) => {
    // A semicolon ends a statement. Where it is missing, the next statement does, so that no text is read twice.
    const next = found[at + 1]?.position ?? tokens.length;
    const text = code.slice(token.start, tokens[Math.max(position, next - 1)]?.end);
    const [statement] = readSql(text).statements;
    // A single word can be the name of a column: case when a then cluster else b end.
    if (statement?.node === undefined && !verb.includes(' ')) return [];
    return [{ at: token.start, verb, statement, words: wordsAtStart(text, MOST_WORDS).join(' ') }];
  });
}

const MOST_WORDS = 4;

function splitAtSemicolons(tokens: readonly SqlToken[]): SqlToken[][] {
  const statements: SqlToken[][] = [[]];
  for (const token of tokens) {
    if (token.text === ';') statements.push([]);
    else statements.at(-1)?.push(token);
  }
  return statements;
}

/** The expressions that EXECUTE runs, also in the head of a loop. */
function executesOf(tokens: readonly SqlToken[]): SqlToken[][] {
  const executes: SqlToken[][] = [];
  let current: SqlToken[] | null = null;
  for (const token of tokens) {
    if (current === null) {
      if (token.keyword !== 'execute') continue;
      current = [];
      executes.push(current);
    } else if (['into', 'using', 'loop'].includes(token.text.toLowerCase())) current = null;
    else current.push(token);
  }
  return executes;
}

function stringIn(expression: readonly SqlToken[]): SqlToken | undefined {
  return expression.find((token) => token.isString);
}

/** The statement that EXECUTE runs: a string, or an expression that starts with one and is known only in part. */
function inExecute(expression: readonly SqlToken[]): EmbeddedStatement[] {
  const literal = stringIn(expression);
  if (literal === undefined) return [];
  const isWhole = expression.length === 1;
  return inString(literal).map((one) => (isWhole ? one : { ...one, statement: undefined }));
}

/** The statement in a string that EXECUTE runs, directly or from a variable. */
function inString(literal: SqlToken): EmbeddedStatement[] {
  const { text } = contentOf(literal.text);
  const tokens = tokensOf(text);
  const verb = verbAt(tokens, 0);
  if (verb === undefined) return [];
  const words = wordsAtStart(text, MOST_WORDS).join(' ');
  return [{ at: literal.start, verb, statement: readSql(text).statements[0], words }];
}

/** A string that a variable can hold for EXECUTE. A single word is rather a value: status := 'commit'. */
function inVariable(literal: SqlToken): EmbeddedStatement[] {
  return inString(literal).filter(({ words }) => words.includes(' '));
}

function isRaise({ text }: SqlToken): boolean {
  return text.toLowerCase() === 'raise';
}

function verbAt(tokens: readonly SqlToken[], position: number): Verb | undefined {
  const candidates = BY_FIRST_WORD.get(tokens[position]?.keyword ?? '') ?? [];
  return candidates.find(({ words }) => words.every((word, at) => tokens[position + at]?.keyword === word))
    ?.verb;
}

const BY_FIRST_WORD = Map.groupBy(
  Object.entries(VERBS).flatMap(([verb, starts]) => starts.map((words) => ({ verb: verb as Verb, words }))),
  ({ words }) => words[0],
) as ReadonlyMap<string, readonly { readonly verb: Verb; readonly words: readonly string[] }[]>;

/** Whether a statement of SQL or PL/pgSQL can start at this token; elsewhere the word is a name. */
function startsStatement(tokens: readonly SqlToken[], position: number): boolean {
  const before = tokens[position - 1];
  return (
    before === undefined || [';', 'begin', 'then', 'else', 'loop', '>>'].includes(before.text.toLowerCase())
  );
}

import { counted } from '../../lambdas/shared/text.ts';
import { oneLine } from '../../lambdas/shared/visible-text.ts';
import { byteOffsetsIn } from '../sql/byte-offsets.ts';
import { SqlSyntaxError, scanSql } from '../sql/parser.ts';
import { placesIn } from '../sql/places.ts';
import { readSql } from '../sql/read-sql.ts';

/** Values for the parameters of a query, such as those of the largest tenant. */
export interface Profile {
  readonly name: string;
  /** Undefined: no value is known. Null: NULL. */
  readonly values: readonly (string | null | undefined)[];
}

/** A query to plan. */
export interface QuerySource {
  readonly name: string;
  /** Null: the query comes from the command line or the registry. */
  readonly file: string | null;
  /** Line of the statement in its file, from 1. */
  readonly line: number;
  /** One statement, with the parameters $1, $2, … */
  readonly sql: string;
  /** How the query writes its parameters, in the order of their numbers: `$1`, `:tenant`. */
  readonly parameters: readonly string[];
  readonly profiles: readonly Profile[];
}

/** A query cannot be read. */
export class QueryProblem extends Error {
  override readonly name = 'QueryProblem';
  readonly line: number;

  constructor(message: string, line = 1) {
    super(message);
    this.line = line;
  }
}

/** `-- $1: 17`, `-- :tenant: 17`, `-- :tenant = 17` */
const VALUE = /^\s*--\s*(\$\d+|:[A-Za-z_]\w*)\s*[:=]\s?(.*?)\s*$/;
/** `-- profile: largest tenant` */
const PROFILE = /^\s*--\s*profile\s*:\s*(\S.*?)\s*$/i;

/** The profile of the values before the first line that names one. */
const FIRST_PROFILE = 'typical';

/**
 * Reads the text of a query: one statement, and comments with sample values for its parameters.
 * @throws QueryProblem if it is not one statement that reads or writes rows
 */
export function readQuery(
  text: string,
  { name, file }: { readonly name: string; readonly file: string | null },
): QuerySource {
  const { text: numberedText, names } = withoutNames(text);
  const { statements } = readSql(numberedText);
  const [statement, second] = statements;
  if (statement === undefined) throw new QueryProblem('it contains no statement; write one query');
  if (second !== undefined) {
    throw new QueryProblem(
      `it contains ${statements.length} statements; write each query into a file of its own`,
      second.line,
    );
  }
  if (statement.error !== undefined) {
    throw new QueryProblem(`syntax error: ${oneLine(statement.error.message)}`, statement.error.line);
  }
  const kind = Object.keys(statement.node ?? {})[0] ?? '';
  if (!QUERIES.includes(kind)) {
    throw new QueryProblem(
      'it is not a query; SELECT, INSERT, UPDATE, DELETE, MERGE and VALUES can be planned',
      statement.line,
    );
  }
  if (statement.node?.SelectStmt?.intoClause !== undefined) {
    throw new QueryProblem(
      'it is SELECT INTO, which creates a table; write the SELECT alone',
      statement.line,
    );
  }
  const { sql } = statement;
  const numbered = Math.max(0, ...[...parameterNumbers(sql)]);
  const parameters =
    names.length > 0
      ? names.map((one) => `:${one}`)
      : Array.from({ length: numbered }, (_, at) => `$${at + 1}`);
  return { name, file, line: statement.line, sql, parameters, profiles: readProfiles(text, parameters) };
}

const QUERIES = ['SelectStmt', 'InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'];

function* parameterNumbers(sql: string): Generator<number> {
  for (const { text } of scanned(sql)) {
    const [, number] = /^\$(\d+)$/.exec(text) ?? [];
    if (number !== undefined) yield Number(number);
  }
}

interface Token {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

function scanned(sql: string): Token[] {
  try {
    const unitAt = byteOffsetsIn(sql);
    return scanSql(sql).map(({ start, end }) => {
      const [from, to] = [unitAt(start), unitAt(end)];
      return { text: sql.slice(from, to), start: from, end: to };
    });
  } catch (error) {
    if (error instanceof SqlSyntaxError) return [];
    throw error;
  }
}

/**
 * The text with $1, $2, … in place of named parameters (`:tenant`). A colon in brackets is a slice of an array, so a name there
 * is no parameter.
 */
function withoutNames(text: string): { text: string; names: readonly string[] } {
  const names: string[] = [];
  const tokens = scanned(text);
  if (tokens.some(({ text: one }) => /^\$\d+$/.test(one))) return { text, names };
  let result = '';
  let copied = 0;
  let brackets = 0;
  for (const [at, token] of tokens.entries()) {
    if (token.text === '[') brackets += 1;
    if (token.text === ']') brackets -= 1;
    const next = tokens[at + 1];
    if (token.text !== ':' || brackets > 0 || next?.start !== token.end || !/^[A-Za-z_]\w*$/.test(next.text))
      continue;
    if (!names.includes(next.text)) names.push(next.text);
    result += `${text.slice(copied, token.start)}$${names.indexOf(next.text) + 1}`;
    copied = next.end;
  }
  return { text: result + text.slice(copied), names };
}

/** The values in the comments. A profile that does not name a parameter has the value of the first one. */
function readProfiles(text: string, parameters: readonly string[]): Profile[] {
  const profiles: { name: string; values: Map<string, string> }[] = [
    { name: FIRST_PROFILE, values: new Map() },
  ];
  const placeOf = placesIn(text);
  let offset = 0;
  for (const line of text.split('\n')) {
    const [, profile] = PROFILE.exec(line) ?? [];
    const [, parameter, value] = VALUE.exec(line) ?? [];
    if (profile !== undefined) profiles.push({ name: profile, values: new Map() });
    else if (parameter !== undefined) {
      if (!parameters.includes(parameter)) {
        throw new QueryProblem(
          `the comment gives a value for ${parameter}, but the query has no such parameter; it has ${parameters.join(', ') || 'none'}`,
          placeOf(offset).line,
        );
      }
      profiles.at(-1)?.values.set(parameter, value ?? '');
    }
    offset += line.length + 1;
  }
  const [first, ...others] = profiles;
  // A file can begin with the name of its first profile.
  const stated = first?.values.size === 0 && others.length > 0 ? others : profiles;
  const base = stated[0]?.values;
  return stated.map(({ name, values }) => ({
    name,
    values: parameters.map((parameter) => readValue(values.get(parameter) ?? base?.get(parameter))),
  }));
}

/** The word null is NULL. In quotes it is a text. */
function readValue(text: string | undefined): string | null | undefined {
  if (text === undefined) return undefined;
  if (/^null$/i.test(text)) return null;
  const [, quoted] = /^'((?:[^']|'')*)'$/.exec(text) ?? [];
  return quoted === undefined ? text : quoted.replaceAll("''", "'");
}

/** A query with the values of the command line as its only profile. */
export function withParameters(query: QuerySource, values: readonly string[]): QuerySource {
  if (values.length > query.parameters.length) {
    throw new QueryProblem(
      `it has ${counted(query.parameters.length, 'parameter')}, and --param gives ${counted(values.length, 'value')}; ` +
        'give one value for each parameter, in the order of their numbers',
    );
  }
  if (values.length === 0) return query;
  return {
    ...query,
    profiles: [{ name: FIRST_PROFILE, values: query.parameters.map((_, at) => values[at]) }],
  };
}

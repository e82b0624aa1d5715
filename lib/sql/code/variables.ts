import type { Node } from 'libpg-query';
import { nodesIn, stringsIn } from '../parse-tree.ts';
import { parseSql, SqlSyntaxError } from '../parser.ts';
import { identifierName, type SqlToken } from '../tokens.ts';
import { constantText, constantTexts, type Values } from './constant-text.ts';

/** A loop with more rounds is not followed round by round. */
const MOST_ROUNDS = 1_000;

/** The expression of a text. Undefined: it cannot be parsed. */
export function expressionIn(text: string): Node | undefined {
  try {
    const [statement] = parseSql(`select ${text}`);
    const [target] = statement?.node.SelectStmt?.targetList ?? [];
    return target !== undefined && 'ResTarget' in target ? target.ResTarget.val : undefined;
  } catch (error) {
    if (error instanceof SqlSyntaxError) return undefined;
    throw error;
  }
}

/** The names that statements assign a value: such a variable has not one value only. */
export function assignedIn(tokens: readonly SqlToken[]): Set<string> {
  const assigned = new Set<string>();
  for (const [at, token] of tokens.entries()) {
    const before = tokens[at - 1]?.text.toLowerCase() ?? ';';
    const after = tokens[at + 1]?.text;
    const isStart = [';', 'begin', 'then', 'else', 'loop'].includes(before);
    if (
      before === 'into' ||
      before === 'strict' ||
      (isStart && (after === ':=' || after === '=' || after === '['))
    )
      assigned.add(identifierName(token));
  }
  return assigned;
}

/** The name and the constant value of a declaration: `name text := 'x'`. Undefined: it has none. */
export function declared(
  tokens: readonly SqlToken[],
  code: string,
  values: Values,
): [string, string] | undefined {
  const [name] = tokens;
  const at = tokens.findIndex(({ text, keyword }) => text === ':=' || text === '=' || keyword === 'default');
  const value = at < 1 ? undefined : constantText(expressionIn(textOf(tokens.slice(at + 1), code)), values);
  return name === undefined || value === undefined ? undefined : [identifierName(name), value];
}

/**
 * The variable of a loop and its values in each round: FOREACH … IN ARRAY of constants, FOR … IN 1..3, and FOR … IN SELECT
 * unnest(ARRAY[…]). Undefined: the rounds are unknown.
 */
export function roundsOf(
  head: readonly SqlToken[],
  code: string,
  values: Values,
): { readonly name: string; readonly rounds: readonly string[] } | undefined {
  const [first, variable] = head;
  const at = head.findIndex(({ keyword }) => keyword === 'in');
  if (first === undefined || variable === undefined || at !== 2) return undefined;
  const rest = head.slice(at + 1);
  const rounds =
    first.text.toLowerCase() === 'foreach'
      ? constantTexts(expressionIn(textOf(rest.slice(1), code)), values)
      : roundsOfFor(rest, code, values);
  return rounds === undefined || rounds.length > MOST_ROUNDS
    ? undefined
    : { name: identifierName(variable), rounds };
}

function roundsOfFor(
  tokens: readonly SqlToken[],
  code: string,
  values: Values,
): readonly string[] | undefined {
  const range = /^(\d{1,6})\s*\.\.\s*(\d{1,6})$/.exec(textOf(tokens, code));
  if (range !== null) {
    const [low, high] = [Number(range[1]), Number(range[2])];
    const count = Math.min(Math.max(0, high - low + 1), MOST_ROUNDS + 1);
    return Array.from({ length: count }, (_, round) => String(low + round));
  }
  if (tokens[0]?.keyword !== 'select') return undefined;
  const query = expressionIn(textOf(tokens.slice(1), code));
  const call = query !== undefined && 'FuncCall' in query ? query.FuncCall : undefined;
  const isOnly = tokens.every(
    ({ keyword }) => keyword !== 'from' && keyword !== 'where' && keyword !== 'limit',
  );
  return isOnly && stringsIn(call?.funcname).at(-1) === 'unnest' && nodesIn(query, 'A_ArrayExpr').length === 1
    ? constantTexts(call?.args?.[0], values)
    : undefined;
}

function textOf(tokens: readonly SqlToken[], code: string): string {
  return code.slice(tokens[0]?.start ?? 0, tokens.at(-1)?.end ?? 0);
}

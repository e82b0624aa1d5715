import type { FuncCall, FunctionParameter } from 'libpg-query';
import { nodesIn, type StatementNode, stringsIn, visitValues } from '../parse-tree.ts';
import { readSql } from '../read-sql.ts';
import { constantText, type Values } from './constant-text.ts';

/** A call of a function, of the migrations or of PostgreSQL. */
export interface FunctionCall {
  readonly name: string;
  /** Its arguments. Undefined: the value is unknown. */
  readonly values: readonly (string | undefined)[];
  /** Whether it runs exactly once, and not for each row. */
  readonly isOnce: boolean;
}

/** The calls in a statement. */
export function functionCalls(node: StatementNode | undefined, values?: Values): FunctionCall[] {
  const select = node?.SelectStmt;
  const isOnce =
    node?.CallStmt !== undefined ||
    (select !== undefined &&
      select.fromClause === undefined &&
      select.whereClause === undefined &&
      nodesIn(select, 'CaseExpr').length === 0);
  const calls: FunctionCall[] = [];
  visitValues(node, (value, key) => {
    if (key !== 'FuncCall' && key !== 'funccall') return;
    const { funcname, args = [] } = value as FuncCall;
    const texts = args.map((arg) => constantText(arg, values));
    calls.push({ name: stringsIn(funcname).at(-1) ?? '', values: texts, isOnce });
  });
  return calls;
}

/** The calls in a statement of PL/pgSQL: PERFORM, an assignment, a query. */
export function callsInCode(text: string, values: Values): FunctionCall[] {
  const forms = [
    text,
    text.replace(/^\s*perform\b/i, 'select'),
    `select ${text.slice(text.indexOf(':=') + 2)}`,
  ];
  for (const form of forms) {
    const node = readSql(form).statements[0]?.node;
    if (node !== undefined) return functionCalls(node, values);
  }
  // Of a text that is no SQL, such as the head of a loop, only the names are known.
  const names = Array.from(text.matchAll(/([\w$]+)\s*\(/g), ([, name = '']) => name.toLowerCase());
  return [...new Set(names)].map((name) => ({ name, values: [], isOnce: false }));
}

/** The values of a function's parameters, by name. */
export function parametersOf(
  node: StatementNode | undefined,
  values: readonly (string | undefined)[],
): ReadonlyMap<string, string> {
  const parameters = nodesIn(
    node?.CreateFunctionStmt?.parameters,
    'FunctionParameter',
  ) as FunctionParameter[];
  const inputs = parameters.filter(({ mode }) => mode !== 'FUNC_PARAM_OUT' && mode !== 'FUNC_PARAM_TABLE');
  const known = new Map<string, string>();
  for (const [at, { name, defexpr }] of inputs.entries()) {
    const value = at < values.length ? values[at] : constantText(defexpr);
    if (name !== undefined && value !== undefined) known.set(name, value);
  }
  return known;
}

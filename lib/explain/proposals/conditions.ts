import type { Node } from 'libpg-query';
import type { PlanNode } from '../../../lambdas/postgres/plan-query.ts';
import { nodesIn } from '../../sql/parse-tree.ts';
import { parseSql, SqlSyntaxError } from '../../sql/parser.ts';

/*
 * Conditions as EXPLAIN prints them. They are more than what the query says: views are resolved, subqueries are joined,
 * constants are propagated to joined tables, and every column has its table in front of it.
 */

/** A subplan in a condition. No parameter of a query has this number. */
const UNKNOWN = '$0';

/** What EXPLAIN prints and the parser does not read: subplans, and their results. */
const SUBPLANS = [
  [/\((?:rescan )?(?:hashed )?SubPlan \d+\)(?:\.col\d+)?/g, `(${UNKNOWN})`],
  [/\((?:rescan )?(?:hashed )?InitPlan \d+\)(?:\.col\d+)?/g, `(${UNKNOWN})`],
  [/\(alternatives: [^()]*(?:\([^()]*\)[^()]*)*\)/g, `(${UNKNOWN})`],
] as const;

/** An expression of EXPLAIN. Null: the parser does not read it. */
export function parseExpression(text: string): Node | null {
  const readable = SUBPLANS.reduce((before, [pattern, by]) => before.replaceAll(pattern, by), text);
  try {
    const [statement] = parseSql(`select ${readable}`);
    const [target] = statement?.node.SelectStmt?.targetList ?? [];
    return target !== undefined && 'ResTarget' in target ? (target.ResTarget.val ?? null) : null;
  } catch (error) {
    if (error instanceof SqlSyntaxError) return null;
    throw error;
  }
}

/** The conditions that must all hold. */
export function conjuncts(node: Node): Node[] {
  if ('BoolExpr' in node && node.BoolExpr.boolop === 'AND_EXPR')
    return (node.BoolExpr.args ?? []).flatMap(conjuncts);
  return [node];
}

/** A column of a table in a plan, which EXPLAIN (VERBOSE) prints with the alias of the table. */
export interface PlanColumn {
  readonly alias: string;
  readonly column: string;
}

export function columnOf(node: Node | undefined): PlanColumn | null {
  if (node === undefined || !('ColumnRef' in node)) return null;
  const [alias, column, ...more] = (node.ColumnRef.fields ?? []).map((field) =>
    'String' in field ? (field.String.sval ?? '') : '',
  );
  return alias && column && more.length === 0 ? { alias, column } : null;
}

/** The columns in an expression. */
export function columnsIn(tree: unknown): PlanColumn[] {
  return nodesIn(tree, 'ColumnRef').flatMap((node) => columnOf({ ColumnRef: node } as Node) ?? []);
}

/** Whether an expression is known when the query is written: constants, and calls of functions with them. */
export function hasParameter(tree: unknown): boolean {
  return nodesIn(tree, 'ParamRef').length > 0;
}

/** The numbers of the parameters in an expression. 0 stands for a subplan. */
export function parametersIn(tree: unknown): number[] {
  return nodesIn(tree, 'ParamRef').map((node) => (node as { number?: number }).number ?? 0);
}

/** The conditions of a node that are about its own table. */
export function conditionTexts(node: PlanNode): string[] {
  const texts = [node['Index Cond'], node['Recheck Cond'], node.Filter];
  return [...new Set(texts.flatMap((text) => text ?? []))];
}

import type { Node } from 'libpg-query';
import { constantOf, type PreparedQuery } from '../../../lambdas/postgres/plan-query.ts';
import type { ColumnFacts, TableFacts } from '../../../lambdas/postgres/table-facts.ts';
import { parseExpression } from './conditions.ts';
import { expressionSql, type IndexKey } from './index-key.ts';

/** A value of each category of types, and of types whose category says too little. */
const SAMPLES: Readonly<Record<string, string>> = {
  ...{
    S: 'a',
    N: '1',
    B: 'true',
    D: '2020-01-01 00:00:00',
    T: '1 day',
    A: '{}',
    V: '1',
    I: '127.0.0.1',
    R: 'empty',
  },
  ...{ jsonb: '{}', json: '{}', uuid: '00000000-0000-0000-0000-000000000000', tsvector: 'a', bytea: 'a' },
};

/**
 * Whether an index can have an expression as its key, which must be immutable: the planner computes an immutable expression of
 * constants, and leaves any other one in the plan.
 */
export async function isImmutable(key: IndexKey, facts: TableFacts, query: PreparedQuery): Promise<boolean> {
  if (key.column !== null) return true;
  const constant = withSamples(key.node, facts.columns);
  const sql = constant === null ? null : expressionSql(constant);
  const computed = sql === null ? null : await constantOf(query, sql);
  const node = computed === null ? null : parseExpression(computed);
  return (
    node !== null && ('A_Const' in node || ('TypeCast' in node && 'A_Const' in (node.TypeCast.arg ?? {})))
  );
}

/** The expression with a value in place of each column. Null: a column is unknown. */
function withSamples(node: Node, columns: readonly ColumnFacts[]): Node | null {
  if ('ColumnRef' in node) {
    const [field] = node.ColumnRef.fields ?? [];
    const name = field !== undefined && 'String' in field ? field.String.sval : undefined;
    const column = columns.find((one) => one.name === name);
    if (column === undefined) return null;
    const sample = SAMPLES[column.baseType] ?? SAMPLES[column.category] ?? 'a';
    return parseExpression(`'${sample}'::${column.type}`);
  }
  let isKnown = true;
  const copy = mapChildren(node, (child) => {
    const replaced = withSamples(child, columns);
    if (replaced === null) isKnown = false;
    return replaced ?? child;
  });
  return isKnown ? copy : null;
}

/** A copy of a tree whose column references are replaced. */
function mapChildren<T>(value: T, replace: (node: Node) => Node): T {
  if (Array.isArray(value)) return value.map((one) => mapValue(one, replace)) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, mapValue(one, replace)])) as T;
}

function mapValue(value: unknown, replace: (node: Node) => Node): unknown {
  const isColumn = typeof value === 'object' && value !== null && 'ColumnRef' in value;
  return isColumn ? replace(value as Node) : mapChildren(value, replace);
}

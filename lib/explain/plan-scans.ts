import type { PlanNode } from '../../lambdas/postgres/plan-query.ts';

/** How a plan reads one table. */
export interface Scan {
  readonly schema: string;
  readonly table: string;
  readonly alias: string;
  /** The indexes that are used. Empty: the whole table is read. */
  readonly indexes: readonly string[];
  /** All conditions on the table, as EXPLAIN prints them. */
  readonly conditions: readonly string[];
}

/** All nodes of a plan, each before those below it. */
export function* nodesOf(plan: PlanNode): Generator<PlanNode> {
  yield plan;
  for (const child of plan.Plans ?? []) yield* nodesOf(child);
}

/** The scans of a plan, in its order. */
export function scansOf(plan: PlanNode): Scan[] {
  const scans: Scan[] = [];
  for (const node of nodesOf(plan)) {
    const { Schema: schema, 'Relation Name': table, Alias: alias = '' } = node;
    if (schema === undefined || table === undefined || node['Node Type'] === 'ModifyTable') continue;
    // The child nodes of a bitmap scan name the indexes. A tid scan reads single rows.
    const bitmap = node['Node Type'] === 'Bitmap Heap Scan' ? [...nodesOf(node)] : [node];
    const indexes = bitmap.flatMap((one) => one['Index Name'] ?? []);
    const isTid = node['Node Type'].startsWith('Tid');
    const conditions = [node['Index Cond'], ...bitmap.slice(1).map((one) => one['Index Cond']), node.Filter];
    scans.push({
      schema,
      table,
      alias,
      indexes: isTid ? ['ctid'] : [...new Set(indexes)],
      conditions: [...new Set(conditions.flatMap((one) => one ?? []))],
    });
  }
  return scans;
}

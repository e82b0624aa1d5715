import type { Node } from 'libpg-query';
import type { PlanNode } from '../../../lambdas/postgres/plan-query.ts';
import { askedKey, type TableFacts } from '../../../lambdas/postgres/table-facts.ts';
import { nodesIn } from '../../sql/parse-tree.ts';
import { nodesOf } from '../plan-scans.ts';
import { columnOf, columnsIn, conditionTexts, conjuncts, parseExpression } from './conditions.ts';

/** A key of ORDER BY. */
export interface OrderKey {
  readonly expression: Node;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}

/** What a query asks of one table. */
export interface TableShape {
  readonly schema: string;
  readonly table: string;
  readonly alias: string;
  /** Conditions on this table alone, or with values of outer queries. */
  readonly conditions: readonly Node[];
  /** Equality with expressions of other tables. */
  readonly joins: readonly Join[];
  /** The order in which the rows of this table are wanted. Empty: any. */
  readonly order: readonly OrderKey[];
  /** The rows are wanted until a limit is reached. */
  readonly limited: boolean;
  /** Number of rows that are wanted, or null if it is unknown. */
  readonly limit: number | null;
  /** The columns that the query uses. Null: unknown, or all. */
  readonly columns: readonly string[] | null;
  /** The columns by which the query groups. */
  readonly grouped: readonly string[];
  /** The other tables of the same join. */
  readonly joined: number;
  /** Estimated number of rows that the conditions leave, without those of joins. */
  readonly rows: number;
  /** How often it is read with an index on the columns of its joins, by the alias of the other table. */
  readonly outerRows: ReadonlyMap<string, number>;
}

export interface Join {
  /** The side of this table. */
  readonly own: Node;
  /** The alias of the other table. */
  readonly other: string;
  /** Estimated rows of the other side of the join, on which the conditions of further tables can be. */
  readonly rows: number;
}

interface Found {
  readonly node: PlanNode;
  readonly conditions: Node[];
  readonly joins: Join[];
  readonly order: readonly OrderKey[];
  readonly limit: PlanNode | null;
  readonly block: Block;
}

/** A query, or a subquery that is planned by itself. */
interface Block {
  readonly root: PlanNode;
  readonly tables: Found[];
}

/** What the nodes above a scan ask of it. */
interface Context {
  readonly blocks: Block[];
  readonly block: Block;
  readonly order: readonly OrderKey[];
  readonly limit: PlanNode | null;
}

/**
 * Reads what a query asks of each table.
 * @param plan one that uses no indexes, so that each condition is at its table
 */
export function shapesOf(given: PlanNode, facts: ReadonlyMap<string, TableFacts>): TableShape[] {
  const blocks: Block[] = [];
  const plan = withPartitionsJoined(given, facts);
  visit(plan, { ...newBlock(plan, blocks), blocks });
  const tables = blocks.flatMap((block) => block.tables);
  for (const node of nodesOf(plan)) addJoins(node, tables);
  const used = usedColumns(plan, blocks);
  const grouped = groupedColumns(plan, tables);
  return tables.map(({ node, conditions, joins, order, limit, block }) => {
    const alias = node.Alias ?? '';
    const own = order.every(({ expression }) => columnsIn(expression).every((one) => one.alias === alias));
    return {
      schema: node.Schema ?? '',
      table: node['Relation Name'] ?? '',
      alias,
      conditions,
      joins,
      order: own ? order : [],
      limited: limit !== null && (own || order.length === 0),
      limit: limit === null ? null : limit['Plan Rows'],
      columns:
        used === null
          ? null
          : [...new Set(used.filter((one) => one.alias === alias).map((one) => one.column))],
      grouped: grouped.filter((one) => one.alias === alias).map(({ column }) => column),
      joined: block.tables.length - 1,
      rows: node['Plan Rows'],
      outerRows: new Map([
        ...tables.map((other) => [other.node.Alias ?? '', other.node['Plan Rows']] as const),
        ...joins.map(({ other, rows }) => [other, rows] as const),
      ]),
    };
  });
}

/**
 * The plan with one scan in place of those of the partitions of a table. Each has an alias with a number, and the nodes above call
 * the table by its own alias.
 */
function withPartitionsJoined(node: PlanNode, facts: ReadonlyMap<string, TableFacts>): PlanNode {
  const plans = node.Plans?.map((child) => withPartitionsJoined(child, facts));
  const copy = { ...node, ...(plans !== undefined && { Plans: plans }) };
  const isAppend = node['Node Type'] === 'Append' || node['Node Type'] === 'Merge Append';
  const table = (one: PlanNode) => facts.get(askedKey(one.Schema ?? '', one['Relation Name'] ?? ''));
  if (!isAppend) return table(node)?.partitioned === true ? withOwnAlias(copy) : copy;
  const [first] = plans ?? [];
  const oid = first === undefined ? undefined : table(first)?.oid;
  const isOneTable =
    oid !== undefined && plans?.every((one) => table(one)?.oid === oid && table(one)?.partitioned);
  if (first === undefined || !isOneTable) return copy;
  return {
    ...first,
    'Plan Rows': node['Plan Rows'],
    'Parent Relationship': node['Parent Relationship'] ?? 'Outer',
  };
}

/** A scan of a partition whose conditions have the alias of the whole table. */
function withOwnAlias(node: PlanNode): PlanNode {
  const alias = node.Alias ?? '';
  const own = alias.replace(/_\d+$/, '');
  const renamed = (text: string | undefined) =>
    text?.replaceAll(new RegExp(`(?<![\\w.])${alias}\\.`, 'g'), `${own}.`);
  const filter = renamed(node.Filter);
  return { ...node, Alias: own, ...(filter !== undefined && { Filter: filter }) };
}

function newBlock(root: PlanNode, blocks: Block[]): Omit<Context, 'blocks'> {
  const block = { root, tables: [] };
  blocks.push(block);
  return { block, order: [], limit: null };
}

/** Nodes whose rows have another order than the rows below them, or are fewer: a limit above does not limit what is read below. */
const CHANGES_ROWS = /^(Aggregate|WindowAgg|SetOp|Unique|Group|Recursive Union|ModifyTable|LockRows)$/;

function visit(node: PlanNode, above: Context): void {
  const context = contextBelow(node, above);
  if (
    node['Relation Name'] !== undefined &&
    node.Schema !== undefined &&
    node['Node Type'] !== 'ModifyTable'
  ) {
    const conditions = conditionTexts(node)
      .map(parseExpression)
      .flatMap((one) => (one === null ? [] : conjuncts(one)));
    const { order, limit, block } = context;
    block.tables.push({ node, conditions, joins: [], order, limit, block });
  }
  for (const child of node.Plans ?? []) {
    const relationship = child['Parent Relationship'];
    const isOwn = relationship === 'InitPlan' || relationship === 'SubPlan' || relationship === 'Subquery';
    visit(child, isOwn ? { ...context, ...newBlock(child, context.blocks) } : context);
  }
}

function contextBelow(node: PlanNode, above: Context): Context {
  const type = node['Node Type'];
  if (type === 'Limit') return { ...above, limit: node };
  if (type === 'Sort' || type === 'Incremental Sort')
    return { ...above, order: orderOf(node['Sort Key'] ?? []) };
  const extreme = type === 'Aggregate' ? extremeOf(node) : null;
  if (extreme !== null) return { ...above, order: [extreme], limit: { ...node, 'Plan Rows': 1 } };
  if (CHANGES_ROWS.test(type)) {
    // LockRows and Unique keep the order.
    const keeps = type === 'Unique' || type === 'LockRows' || type === 'Group';
    return { ...above, order: keeps ? above.order : [], limit: type === 'LockRows' ? above.limit : null };
  }
  return above;
}

/** A sort key as EXPLAIN prints it: `d.created_at DESC NULLS LAST`. */
function orderOf(keys: readonly string[]): OrderKey[] {
  const read: OrderKey[] = [];
  for (const key of keys) {
    const [, text = key, descending, nulls] =
      /^(.*?)(?: COLLATE [^)]*?)?( DESC)?(?: NULLS (FIRST|LAST))?$/s.exec(key) ?? [];
    const expression = parseExpression(text);
    if (expression === null) return [];
    const isDescending = descending !== undefined;
    read.push({
      expression,
      descending: isDescending,
      nullsFirst: nulls === undefined ? isDescending : nulls === 'FIRST',
    });
  }
  return read;
}

/** The order that makes min or max the first row: for an aggregate that is nothing else. */
function extremeOf(node: PlanNode): OrderKey | null {
  const { Output: output = [], 'Group Key': group } = node;
  const [only, ...others] = output;
  if (group !== undefined || only === undefined || others.length > 0) return null;
  const call = parseExpression(only);
  if (call === null || !('FuncCall' in call)) return null;
  const [name] = (call.FuncCall.funcname ?? []).flatMap((one) => ('String' in one ? [one.String.sval] : []));
  const [expression] = call.FuncCall.args ?? [];
  if (expression === undefined || (name !== 'min' && name !== 'max')) return null;
  const [scan] = [...nodesOf(node)].filter((one) => one.Alias !== undefined);
  if (scan === undefined) return null;
  // In a query of one table, EXPLAIN prints the column without the name of the table.
  const [column] = 'ColumnRef' in expression ? (expression.ColumnRef.fields ?? []) : [];
  const isBare =
    'ColumnRef' in expression && expression.ColumnRef.fields?.length === 1 && column !== undefined;
  const own = isBare
    ? ({ ColumnRef: { fields: [{ String: { sval: scan.Alias ?? '' } }, column] } } as Node)
    : expression;
  // NULL is neither: the index is read backwards as well as forwards.
  return { expression: own, descending: name === 'max', nullsFirst: name === 'max' };
}

/** Adds the equalities of two tables in a join to both of them. */
function addJoins(join: PlanNode, tables: readonly Found[]): void {
  const texts = [join['Hash Cond'], join['Merge Cond'], join['Join Filter']].flatMap((text) => text ?? []);
  if (texts.length === 0) return;
  const sides = (join.Plans ?? []).map((side) => ({
    rows: side['Plan Rows'],
    aliases: new Set([...nodesOf(side)].map(({ Alias: alias }) => alias)),
  }));
  const conditions = texts.map(parseExpression).flatMap((one) => (one === null ? [] : conjuncts(one)));
  for (const one of conditions) {
    if (!('A_Expr' in one) || one.A_Expr.kind !== 'AEXPR_OP') continue;
    const [operator] = (one.A_Expr.name ?? []).flatMap((name) =>
      'String' in name ? [name.String.sval] : [],
    );
    const { lexpr, rexpr } = one.A_Expr;
    if (operator !== '=' || lexpr === undefined || rexpr === undefined) continue;
    for (const [own, value] of [
      [lexpr, rexpr],
      [rexpr, lexpr],
    ] as const) {
      const aliases = new Set(columnsIn(own).map(({ alias }) => alias));
      const [alias] = aliases;
      const [other] = columnsIn(value).map((column) => column.alias);
      if (aliases.size !== 1 || other === undefined || other === alias) continue;
      const table = tables.find(({ node }) => node.Alias === alias);
      const side = sides.find((each) => each.aliases.has(other) && !each.aliases.has(alias));
      const rows = side?.rows ?? tables.find(({ node }) => node.Alias === other)?.node['Plan Rows'] ?? 1;
      table?.joins.push({ own, other, rows });
    }
  }
}

function groupedColumns(plan: PlanNode, tables: readonly Found[]): { alias: string; column: string }[] {
  const [only, ...others] = new Set(tables.map(({ node }) => node.Alias ?? ''));
  return [...nodesOf(plan)]
    .flatMap((node) => node['Group Key'] ?? [])
    .map(parseExpression)
    .flatMap((one) =>
      one === null ? [] : only !== undefined && others.length === 0 ? namesIn(one, only) : columnsIn(one),
    );
}

/** Nodes whose output is what is computed there, and not simply all columns of what is below. */
const EXACT_OUTPUT = /^(Aggregate|WindowAgg|ProjectSet|Result|Group)$/;

/** The columns that a query uses. Null: it contains an expression that cannot be read, or a whole row. */
function usedColumns(plan: PlanNode, blocks: readonly Block[]): { alias: string; column: string }[] | null {
  // The columns that a write returns or sets are not in its plan.
  if ([...nodesOf(plan)].some((node) => node['Node Type'] === 'ModifyTable')) return null;
  const roots = new Set(blocks.map(({ root }) => root));
  const texts = [...nodesOf(plan)].flatMap((node) => [
    ...(roots.has(node) || EXACT_OUTPUT.test(node['Node Type']) ? (node.Output ?? []) : []),
    ...conditionTexts(node),
    ...[node['Hash Cond'], node['Merge Cond'], node['Join Filter']].flatMap((text) => text ?? []),
    ...(node['Sort Key'] ?? []).map((key) => key.replace(/( DESC)?( NULLS (FIRST|LAST))?$/, '')),
    ...(node['Group Key'] ?? []),
  ]);
  const columns: { alias: string; column: string }[] = [];
  const aliases = [...new Set(blocks.flatMap(({ tables }) => tables).map(({ node }) => node.Alias ?? ''))];
  const only = aliases.length === 1 ? (aliases[0] ?? null) : null;
  for (const text of texts) {
    const expression = parseExpression(text);
    if (expression === null) return null;
    columns.push(...(only === null ? columnsIn(expression) : namesIn(expression, only)));
    if (text.includes('*') && !/^count\(\*\)$/.test(text) && nodesIn(expression, 'A_Star').length > 0)
      return null;
  }
  return columns;
}

/** In a query of one table, EXPLAIN prints some columns without the name of the table. */
function namesIn(expression: Node, alias: string): { alias: string; column: string }[] {
  return nodesIn(expression, 'ColumnRef').flatMap((node) => {
    const fields = (node as { fields?: Node[] }).fields ?? [];
    const last = fields.at(-1);
    return last !== undefined && 'String' in last ? [{ alias, column: last.String.sval ?? '' }] : [];
  });
}

/** The column that an expression is, if it is one of this table. */
export function ownColumn(expression: Node, { alias }: Pick<TableShape, 'alias'>): string | null {
  const column = columnOf(expression);
  return column?.alias === alias ? column.column : null;
}

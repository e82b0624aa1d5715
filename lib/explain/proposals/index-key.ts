import type { Node } from 'libpg-query';
import type { ColumnFacts, TableFacts } from '../../../lambdas/postgres/table-facts.ts';
import { nodesIn, treeText } from '../../sql/parse-tree.ts';
import { quoteWhereNeeded } from '../../sql/quote-where-needed.ts';
import { statementText } from '../../sql/statement-text.ts';
import { columnOf, columnsIn, parseExpression } from './conditions.ts';

/** A column or an expression of one table that an index can have as a key. */
export interface IndexKey {
  /** Equal for equal expressions. */
  readonly id: string;
  /** Null: an expression. */
  readonly column: string | null;
  /** As in CREATE INDEX. */
  readonly sql: string;
  readonly node: Node;
  readonly width: number;
}

/** Types whose values are stored like those of another one, so that an index of the column is used after the cast. */
const STORED_ALIKE: Readonly<Record<string, readonly string[]>> = {
  'character varying': ['text'],
  text: ['varchar'],
};

/** The expression without casts that change nothing, and its columns without the name of their table. */
function normalized(node: Node, columns: readonly ColumnFacts[]): Node {
  if ('TypeCast' in node && node.TypeCast.arg !== undefined) {
    const own = columnOf(node.TypeCast.arg);
    const name = own?.column ?? bareColumn(node.TypeCast.arg);
    const facts = columns.find((one) => one.name === name);
    const names = (node.TypeCast.typeName?.names ?? []).flatMap((one) =>
      'String' in one ? [one.String.sval ?? ''] : [],
    );
    const target = names.at(-1) ?? '';
    const isArray = (node.TypeCast.typeName?.arrayBounds ?? []).length > 0;
    const same =
      facts !== undefined && [facts.baseType, ...(STORED_ALIKE[facts.baseType] ?? [])].includes(target);
    if (same && !isArray) return node.TypeCast.arg;
  }
  return node;
}

/** The name of a column without a table. Null: the expression is another one. */
export function bareColumn(node: Node | undefined): string | null {
  if (node === undefined || !('ColumnRef' in node)) return null;
  const [field, ...more] = node.ColumnRef.fields ?? [];
  return field !== undefined && 'String' in field && more.length === 0 ? (field.String.sval ?? null) : null;
}

/** A copy of an expression in which no column has the name of a table in front of it. */
export function withoutAlias(node: Node): Node {
  const copy = structuredClone(node);
  for (const reference of nodesIn(copy, 'ColumnRef') as { fields?: Node[] }[]) {
    if (reference.fields?.length === 2) reference.fields = reference.fields.slice(1);
  }
  return copy;
}

/** The text of an expression. Null: it cannot be written. */
export function expressionSql(node: Node): string | null {
  const text = statementText({
    SelectStmt: {
      targetList: [{ ResTarget: { val: node } }],
      limitOption: 'LIMIT_OPTION_DEFAULT',
      op: 'SETOP_NONE',
    },
  });
  return text === null ? null : text.replace(/^select\s+/i, '');
}

/**
 * The key that an index needs for one side of a condition.
 * @returns null if it is not a column or an expression of the table alone
 */
export function keyOf(node: Node, alias: string, facts: TableFacts): IndexKey | null {
  const columns = columnsIn(node);
  if (columns.length === 0 || columns.some((one) => one.alias !== alias)) return null;
  if (nodesIn(node, 'ParamRef').length > 0) return null;
  return keyOfDefinition(node, facts);
}

/** The key of an expression in which columns may have the name of their table in front of them. */
export function keyOfDefinition(node: Node, facts: TableFacts): IndexKey | null {
  const plain = withoutAlias(normalized(node, facts.columns));
  const column = bareColumn(plain);
  if (column !== null) {
    const known = facts.columns.find((one) => one.name === column);
    if (known === undefined) return null;
    return { id: treeText(plain), column, sql: quoteWhereNeeded(column), node: plain, width: known.width };
  }
  const text = expressionSql(plain);
  if (text === null) return null;
  return {
    id: treeText(plain),
    column: null,
    sql: 'FuncCall' in plain ? text : `(${text})`,
    node: plain,
    width: 16,
  };
}

/** The key of a column. Null: the table does not have it. */
export function columnKey(column: string, facts: TableFacts): IndexKey | null {
  return keyOfDefinition({ ColumnRef: { fields: [{ String: { sval: column } }] } }, facts);
}

/** The id of a key of an existing index. */
export function idOfKeyText(text: string, facts: TableFacts): string {
  const node = parseExpression(text);
  return node === null ? text : treeText(withoutAlias(normalized(node, facts.columns)));
}

/** Equal for conditions that differ only in casts, which EXPLAIN adds to what was written. */
export function conditionId(node: Node): string {
  const plain = withoutCasts(withoutAlias(node));
  const list = textList(plain);
  return list === null ? treeText(plain) : JSON.stringify([treeText(list.key), list.values]);
}

/**
 * A list of texts in a condition without casts: `status in ('a', 'b')`, which an index has as `= ANY (ARRAY['a', 'b'])`, and a plan as
 * `= ANY ('{a,b}')`. Null: the condition is another one.
 */
export function textList(node: Node): { readonly key: Node; readonly values: readonly string[] } | null {
  if (!('A_Expr' in node)) return null;
  const { kind, name = [], lexpr, rexpr } = node.A_Expr;
  const isEqual = name.length === 1 && name.every((one) => 'String' in one && one.String.sval === '=');
  if (!isEqual || lexpr === undefined || rexpr === undefined) return null;
  const values =
    kind === 'AEXPR_IN' && 'List' in rexpr
      ? textsOf(rexpr.List.items ?? [])
      : kind === 'AEXPR_OP_ANY' && 'A_ArrayExpr' in rexpr
        ? textsOf(rexpr.A_ArrayExpr.elements ?? [])
        : kind === 'AEXPR_OP_ANY'
          ? textsOfLiteral(textOf(rexpr))
          : null;
  return values === null ? null : { key: lexpr, values };
}

function textOf(node: Node): string | null {
  return 'A_Const' in node ? (node.A_Const.sval?.sval ?? null) : null;
}

function textsOf(nodes: readonly Node[]): string[] | null {
  const texts = nodes.map(textOf);
  return texts.every((text) => text !== null) ? texts : null;
}

/** The elements of `{a,b}`. Null: some are quoted, NULL or arrays. */
function textsOfLiteral(literal: string | null): string[] | null {
  const [, elements] = /^\{([^"\\{}]+)\}$/.exec(literal ?? '') ?? [];
  const texts = elements?.split(',') ?? null;
  return texts?.some((text) => /^null$/i.test(text)) ? null : texts;
}

export function withoutCasts<T>(value: T): T {
  if (Array.isArray(value)) return value.map((one) => withoutCasts(one)) as T;
  if (typeof value !== 'object' || value === null) return value;
  if ('TypeCast' in value) return withoutCasts((value.TypeCast as { arg: T }).arg);
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, withoutCasts(one)])) as T;
}

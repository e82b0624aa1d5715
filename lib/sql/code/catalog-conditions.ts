import type { A_Expr, Node, RangeVar, SelectStmt } from 'libpg-query';
import type { Named } from '../../../lambdas/postgres/identifiers.ts';
import { nodesIn, stringsIn } from '../parse-tree.ts';
import { parseSql, SqlSyntaxError } from '../parser.ts';
import type { Schema } from '../schema/schema-model.ts';
import { identifierName, tokensOf } from '../tokens.ts';
import { constantText } from './constant-text.ts';

/** True, false, or undefined: it is unknown without the server. */
type Truth = boolean | undefined;

/**
 * Whether a condition of PL/pgSQL holds in a schema. Known are constants, NOT, AND, OR, to_regclass, and EXISTS or count(*) of
 * the tables, columns and indexes with certain names in the catalog: migrations use them so that they can run twice.
 */
export function conditionHolds(schema: Schema, condition: string): Truth {
  try {
    const [statement] = parseSql(`select ${condition}`);
    const [target] = statement?.node.SelectStmt?.targetList ?? [];
    return target !== undefined && 'ResTarget' in target ? truthOf(schema, target.ResTarget.val) : undefined;
  } catch (error) {
    if (error instanceof SqlSyntaxError) return undefined;
    throw error;
  }
}

function truthOf(schema: Schema, node: Node | undefined): Truth {
  if (node === undefined) return undefined;
  if ('A_Const' in node)
    return node.A_Const.boolval === undefined ? undefined : node.A_Const.boolval.boolval === true;
  if ('BoolExpr' in node) {
    const { boolop, args = [] } = node.BoolExpr;
    const truths = args.map((one) => truthOf(schema, one));
    if (boolop === 'NOT_EXPR') return negated(truths[0]);
    const decides = boolop === 'OR_EXPR';
    if (truths.includes(decides)) return decides;
    return truths.includes(undefined) ? undefined : !decides;
  }
  if ('SubLink' in node) {
    const select = selectIn(node.SubLink.subselect);
    return node.SubLink.subLinkType === 'EXISTS_SUBLINK' && select !== undefined
      ? hasRows(schema, select)
      : undefined;
  }
  if ('NullTest' in node) {
    const { arg, nulltesttype } = node.NullTest;
    const exists = regclassExists(schema, arg);
    return nulltesttype === 'IS_NULL' ? negated(exists) : exists;
  }
  return 'A_Expr' in node ? comparison(schema, node.A_Expr) : undefined;
}

function negated(truth: Truth): Truth {
  return truth === undefined ? undefined : !truth;
}

function selectIn(node: Node | undefined): SelectStmt | undefined {
  return node !== undefined && 'SelectStmt' in node ? node.SelectStmt : undefined;
}

/** `1 = 2`, `'a' <> 'b'`, `(select count(*) from …) = 0`. */
function comparison(schema: Schema, { name, lexpr, rexpr }: A_Expr): Truth {
  const operator = stringsIn(name).join();
  const right = constantText(rexpr);
  if (lexpr !== undefined && 'SubLink' in lexpr) {
    const select = selectIn(lexpr.SubLink.subselect);
    const [target] = select?.targetList ?? [];
    const counts = nodesIn(target, 'FuncCall').some(
      (call) => (call as { agg_star?: boolean }).agg_star === true,
    );
    const isSome = select !== undefined && counts ? hasRows(schema, select) : undefined;
    if (isSome === undefined) return undefined;
    if ((operator === '=' && right === '0') || (operator === '<' && right === '1')) return !isSome;
    return (operator === '>' && right === '0') || (operator === '>=' && right === '1') ? isSome : undefined;
  }
  const left = constantText(lexpr);
  if (left === undefined || right === undefined) return undefined;
  if (operator === '=') return left === right;
  return operator === '<>' ? left !== right : undefined;
}

/** Whether the relation of to_regclass('…') exists. */
function regclassExists(schema: Schema, node: Node | undefined): Truth {
  if (node === undefined) return undefined;
  if ('TypeCast' in node) return regclassExists(schema, node.TypeCast.arg);
  if (!('FuncCall' in node) || stringsIn(node.FuncCall.funcname).at(-1) !== 'to_regclass') return undefined;
  const text = constantText(node.FuncCall.args?.[0]);
  return text === undefined ? undefined : exists(schema, nameIn(schema, text));
}

/** The name in a text like `public."T"`. */
function nameIn(schema: Schema, text: string): Named {
  const parts = tokensOf(text)
    .filter((token) => token.text !== '.')
    .map(identifierName);
  return schema.nameOf({ schemaname: parts.at(-2), relname: parts.at(-1) });
}

function exists(schema: Schema, name: Named): Truth {
  const index = schema.index(name);
  const table = schema.table(name);
  if (index?.doubt != null || table?.inDoubt) return undefined;
  // A table that no statement creates can have indexes.
  return index !== undefined || table !== undefined || schema.indexesOf(name).length > 0;
}

/** The columns of the catalog that contain the names of what a condition looks for. */
interface Wanted {
  schema?: string;
  table?: string;
  index?: string;
  /** A table, a view or an index. */
  relation?: string;
  column?: string;
  constraint?: string;
}

const COLUMNS: Readonly<Record<string, Readonly<Record<string, keyof Wanted>>>> = {
  pg_class: { relname: 'relation' },
  pg_namespace: { nspname: 'schema' },
  pg_indexes: { indexname: 'index', tablename: 'table', schemaname: 'schema' },
  pg_stat_user_indexes: { indexrelname: 'index', relname: 'table', schemaname: 'schema' },
  pg_tables: { tablename: 'table', schemaname: 'schema' },
  pg_matviews: { matviewname: 'table', schemaname: 'schema' },
  pg_views: { viewname: 'table', schemaname: 'schema' },
  tables: { table_name: 'table', table_schema: 'schema' },
  columns: { table_name: 'table', table_schema: 'schema', column_name: 'column' },
  pg_attribute: { attname: 'column', attrelid: 'table' },
  pg_constraint: { conname: 'constraint', conrelid: 'table' },
  table_constraints: { constraint_name: 'constraint', table_name: 'table', table_schema: 'schema' },
};

/** Conditions that restrict nothing here: the kind of the relation, and columns that are not dropped. */
const HARMLESS = [
  'relkind',
  'attnum',
  'attisdropped',
  'table_catalog',
  'table_type',
  'contype',
  'constraint_type',
];

/** Whether a query of the catalog has rows. */
function hasRows(schema: Schema, { fromClause, whereClause, ...rest }: SelectStmt): Truth {
  const relations = nodesIn(fromClause, 'RangeVar') as RangeVar[];
  const columns: Record<string, keyof Wanted> = {};
  for (const { relname = '' } of relations) {
    const known = COLUMNS[relname];
    if (known === undefined) return undefined;
    Object.assign(columns, known);
  }
  const wanted: Wanted = {};
  const conditions = [...conjuncts(whereClause), ...joinConditions(fromClause)];
  let isComplete = rest.op === undefined || rest.op === 'SETOP_NONE';
  for (const condition of conditions)
    isComplete = addWanted(schema, wanted, columns, condition) && isComplete;
  const truth = isFound(
    schema,
    wanted,
    relations.some(({ relname }) => relname === 'pg_class'),
  );
  return truth === true && !isComplete ? undefined : truth;
}

function conjuncts(node: Node | undefined): Node[] {
  if (node === undefined) return [];
  const next = [node];
  const found: Node[] = [];
  for (let one = next.pop(); one !== undefined; one = next.pop()) {
    if ('BoolExpr' in one && one.BoolExpr.boolop === 'AND_EXPR') next.push(...(one.BoolExpr.args ?? []));
    else found.push(one);
  }
  return found;
}

function joinConditions(fromClause: readonly Node[] | undefined): Node[] {
  const joins = nodesIn(fromClause, 'JoinExpr') as { quals?: Node }[];
  return joins.flatMap(({ quals }) => conjuncts(quals));
}

/** Adds what a condition looks for. @returns false if the condition is not understood */
function addWanted(
  schema: Schema,
  wanted: Wanted,
  columns: Readonly<Record<string, keyof Wanted>>,
  condition: Node,
): boolean {
  if ('BoolExpr' in condition && condition.BoolExpr.boolop === 'NOT_EXPR')
    return HARMLESS.includes(columnOf(condition.BoolExpr.args?.[0]) ?? '');
  if (!('A_Expr' in condition)) return HARMLESS.includes(columnOf(condition) ?? '');
  const { lexpr, rexpr, name, kind } = condition.A_Expr;
  const left = columnOf(lexpr);
  const right = columnOf(rexpr);
  // A join of catalogs by their keys.
  if (left !== undefined && right !== undefined) return /oid|relid|namespace/.test(left + right);
  const column = left ?? right ?? '';
  if (HARMLESS.includes(column)) return true;
  const field = columns[column];
  const value = left === undefined ? lexpr : rexpr;
  if (field === undefined || kind !== 'AEXPR_OP' || stringsIn(name).join() !== '=') return false;
  if (field === 'schema' && isCurrentSchema(value)) {
    wanted.schema = schema.path.first;
    return true;
  }
  const text = constantText(value);
  if (text === undefined) return false;
  if (value !== undefined && 'TypeCast' in value && column.endsWith('relid')) {
    const relation = nameIn(schema, text);
    wanted.schema = relation.schema;
    wanted[field] = relation.name;
  } else wanted[field] = text;
  return true;
}

/** The column that an expression consists of, with casts and lower(…). */
function columnOf(node: Node | undefined): string | undefined {
  if (node === undefined) return undefined;
  if ('TypeCast' in node) return columnOf(node.TypeCast.arg);
  if (!('ColumnRef' in node)) return undefined;
  return stringsIn(node.ColumnRef.fields).at(-1);
}

/** current_schema, current_schema(). */
function isCurrentSchema(node: Node | undefined): boolean {
  if (node === undefined) return false;
  if ('TypeCast' in node) return isCurrentSchema(node.TypeCast.arg);
  if ('SQLValueFunction' in node) return node.SQLValueFunction.op === 'SVFOP_CURRENT_SCHEMA';
  return 'FuncCall' in node && stringsIn(node.FuncCall.funcname).at(-1) === 'current_schema';
}

/** @param namesIndexes whether `relation` can be an index */
function isFound(schema: Schema, wanted: Wanted, namesIndexes: boolean): Truth {
  const inSchema = (name: string) => {
    const schemas = wanted.schema === undefined ? schema.schemas : [wanted.schema];
    return schemas.map((one) => ({ schema: one, name }));
  };
  const any = (truths: readonly Truth[]): Truth =>
    truths.includes(true) ? true : truths.includes(undefined) ? undefined : false;
  // The model has no CHECK constraints, and those are what most conditions look for.
  if (wanted.constraint !== undefined) return undefined;
  const name = wanted.index ?? wanted.relation;
  if (name !== undefined && wanted.column === undefined) {
    return any(
      inSchema(name).map((one) => {
        const index = schema.index(one);
        if (wanted.index === undefined && index === undefined)
          return namesIndexes ? exists(schema, one) : undefined;
        if (index === undefined || (wanted.table !== undefined && index.table !== wanted.table)) return false;
        return index.doubt === null ? true : undefined;
      }),
    );
  }
  const table = wanted.table ?? wanted.relation;
  if (table === undefined) return undefined;
  const { column } = wanted;
  return any(
    inSchema(table).map((one) => {
      if (column === undefined) return exists(schema, one);
      const known = schema.table(one);
      if (known === undefined) return exists(schema, one) === false ? false : undefined;
      if (known.inDoubt) return undefined;
      return known.columns?.includes(column);
    }),
  );
}

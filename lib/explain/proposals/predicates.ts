import type { Node } from 'libpg-query';
import type { ColumnFacts, TableFacts } from '../../../lambdas/postgres/table-facts.ts';
import { nodesIn } from '../../sql/parse-tree.ts';
import { columnsIn, conjuncts, hasParameter } from './conditions.ts';
import {
  bareColumn,
  conditionId,
  expressionSql,
  type IndexKey,
  keyOf,
  textList,
  withoutAlias,
  withoutCasts,
} from './index-key.ts';
import type { TableShape } from './query-shape.ts';

/**
 * How an index can use a condition. `equal`: one value of the key. `in`: some values. `range`: an interval of the key. `prefix`:
 * LIKE 'x%'. `search`: an inverted index finds it.
 */
export type PredicateKind = 'equal' | 'in' | 'range' | 'prefix' | 'search' | 'other';

/** A condition on one table. */
export interface Predicate {
  readonly kind: PredicateKind;
  readonly key: IndexKey | null;
  /** As EXPLAIN prints it, with the alias. Null: it cannot be written, or compares with another table. */
  readonly sql: string | null;
  /** As in a WHERE clause of an index, if everything in it is constant. */
  readonly constantSql: string | null;
  /** Equal for conditions that say the same: see `conditionId`. */
  readonly id: string;
  /** It is compared with a value of another table or of a subquery. */
  readonly external: boolean;
  /** The alias of the other table. */
  readonly other: string | null;
  /** It is the condition of a join, which also a hash of the whole table can answer. */
  readonly joined: boolean;
  /** GIN or GiST, for `search`. */
  readonly search: { readonly method: 'gin' | 'gist'; readonly opclass: string | null } | null;
  /** The key is compared with a parameter. */
  readonly parameter: boolean;
  /** Equal for lists of values of several keys that one condition gives, row by row. Null: it is a condition of its own. */
  readonly rows: string | null;
  /** It only says that a column is not NULL, or that it is. */
  readonly nullTest: 'null' | 'not-null' | null;
}

const COMMUTED: Readonly<Record<string, string>> = {
  '=': '=',
  '<': '>',
  '<=': '>=',
  '>': '<',
  '>=': '<=',
  '&&': '&&',
  '<@': '@>',
};
const RANGES = ['<', '<=', '>', '>='];

/** Which extensions are installed, by the schema of each. */
export type Extensions = ReadonlyMap<string, string>;

/** The values of parameters, if they are known: a pattern decides whether an index can help. */
export type KnownValues = readonly (string | null | undefined)[];

/** The conditions of a table. */
export function predicatesOf(
  shape: TableShape,
  facts: TableFacts,
  extensions: Extensions,
  values: KnownValues,
): Predicate[] {
  const reading = { shape, facts, extensions, values };
  const own = shape.conditions.flatMap((node) => [predicateOf(node, reading), ...listsIn(node, reading)]);
  const joins = shape.joins.flatMap(({ own: node, other }): Predicate[] => {
    const key = keyOf(node, shape.alias, facts);
    if (key === null) return [];
    return [{ ...NOTHING, id: `join ${key.id}`, kind: 'equal', key, external: true, other, joined: true }];
  });
  const seen = new Set(own.filter(({ kind }) => kind === 'equal').map(({ key }) => key?.id));
  return [...own, ...joins.filter(({ key }) => !seen.has(key?.id) && seen.add(key?.id))];
}

const NOTHING = {
  ...{
    kind: 'other' as PredicateKind,
    key: null,
    sql: null,
    constantSql: null,
    external: false,
    other: null,
    joined: false,
  },
  ...{ search: null, parameter: false, rows: null, nullTest: null },
};

interface Reading {
  readonly shape: TableShape;
  readonly facts: TableFacts;
  readonly extensions: Extensions;
  readonly values: KnownValues;
}

function predicateOf(node: Node, reading: Reading): Predicate {
  const { alias } = reading.shape;
  const others = columnsIn(node).filter((column) => column.alias !== alias);
  const unknown = (nodesIn(node, 'ParamRef') as { number?: number }[]).some(({ number = 0 }) => number === 0);
  const external = others.length > 0 || unknown;
  const isConstant = !external && !hasParameter(node) && !hasCall(node);
  const constantSql = isConstant ? expressionSql(asWritten(withoutAlias(node), reading.facts)) : null;
  const base = {
    ...NOTHING,
    id: conditionId(node),
    external,
    other: others[0]?.alias ?? null,
    parameter: hasParameter(node),
    sql: external ? null : expressionSql(node),
    constantSql,
  };
  return { ...base, ...usable(node, reading) };
}

/** `status = 'open'` without the casts of both sides that EXPLAIN shows: the server adds them again. */
function asWritten(node: Node, { columns }: TableFacts): Node {
  const list = textList(withoutCasts(node));
  if (list !== null && isTextColumn(list.key, columns)) {
    const items = list.values.map((sval): Node => ({ A_Const: { sval: { sval } } }));
    const name: Node[] = [{ String: { sval: '=' } }];
    return { A_Expr: { kind: 'AEXPR_IN', name, lexpr: list.key, rexpr: { List: { items } } } };
  }
  if (!('A_Expr' in node) || node.A_Expr.kind !== 'AEXPR_OP') return node;
  const { lexpr, rexpr } = node.A_Expr;
  const column = withoutCast(lexpr);
  const value = withoutCast(rexpr);
  const isConstant = value !== undefined && 'A_Const' in value && value.A_Const.sval !== undefined;
  if (!isConstant || column === undefined || !isTextColumn(column, columns)) return node;
  return { A_Expr: { ...node.A_Expr, lexpr: column, rexpr: value } };
}

function isTextColumn(node: Node | undefined, columns: readonly ColumnFacts[]): boolean {
  const facts = columns.find(({ name }) => name === bareColumn(node));
  return facts?.category === 'S' || facts?.category === 'E';
}

function withoutCast(node: Node | undefined): Node | undefined {
  return node !== undefined && 'TypeCast' in node ? node.TypeCast.arg : node;
}

/** `(a = 1 and b = 2) or (a = 3 and b = 4)`, and `(a, b) in (…)`, are a list of values for each of the columns. */
function listsIn(node: Node, reading: Reading): Predicate[] {
  if (!('BoolExpr' in node) || node.BoolExpr.boolop !== 'OR_EXPR') return [];
  const arms = (node.BoolExpr.args ?? []).map((arm) =>
    conjuncts(arm).map((one) => ({ one, ...usable(one, reading) })),
  );
  if (arms.some((arm) => arm.length < 2)) return [];
  const keys = (arms[0] ?? []).flatMap(({ kind, key }) => (kind === 'equal' && key ? [key] : []));
  return keys.flatMap((key): Predicate[] => {
    const args = arms.flatMap(
      (arm) => arm.find(({ kind, key: other }) => kind === 'equal' && other?.id === key.id)?.one ?? [],
    );
    if (args.length < arms.length) return [];
    const list = predicateOf({ BoolExpr: { boolop: 'OR_EXPR', args } }, reading);
    return [{ ...list, kind: 'in', key, constantSql: null, rows: conditionId(node) }];
  });
}

/** Values of now() and the like change, so they are not constant. Calls with columns are expressions of the table. */
function hasCall(node: Node): boolean {
  if (nodesIn(node, 'SQLValueFunction').length > 0) return true;
  return (
    nodesIn(node, 'FuncCall').some((call) => columnsIn(call).length === 0) ||
    nodesIn(node, 'SubLink').length > 0
  );
}

type Usable = Partial<Pick<Predicate, 'kind' | 'key' | 'search' | 'nullTest'>>;

function usable(node: Node, reading: Reading): Usable {
  const { shape, facts } = reading;
  const key = (one: Node | undefined) => (one === undefined ? null : keyOf(one, shape.alias, facts));
  if ('ColumnRef' in node) return asKey('equal', key(node));
  if ('NullTest' in node) {
    const isNull = node.NullTest.nulltesttype === 'IS_NULL';
    const tested = key(node.NullTest.arg);
    return isNull
      ? { ...asKey('equal', tested), nullTest: 'null' }
      : { ...asKey('range', tested), nullTest: 'not-null' };
  }
  if ('BoolExpr' in node) return ofBooleans(node.BoolExpr.boolop ?? '', node.BoolExpr.args ?? [], reading);
  if (!('A_Expr' in node)) return {};
  const { kind, lexpr, rexpr } = node.A_Expr;
  const [name = ''] = (node.A_Expr.name ?? []).flatMap((one) =>
    'String' in one ? [one.String.sval ?? ''] : [],
  );
  if (kind === 'AEXPR_OP_ANY') {
    const left = key(lexpr);
    return left !== null && name === '=' ? asKey('in', left) : {};
  }
  if (kind !== 'AEXPR_OP') return {};
  if (lexpr !== undefined && 'RowExpr' in lexpr && RANGES.includes(name)) {
    return asKey('range', key(lexpr.RowExpr.args?.[0]));
  }
  const left = key(lexpr);
  if (left !== null && rexpr !== undefined && !isOwn(rexpr, shape.alias))
    return ofOperator(name, left, rexpr, reading);
  const right = key(rexpr);
  const commuted = COMMUTED[name];
  if (right === null || lexpr === undefined || isOwn(lexpr, shape.alias) || commuted === undefined) return {};
  return ofOperator(commuted, right, lexpr, reading);
}

function isOwn(node: Node, alias: string): boolean {
  return columnsIn(node).some((column) => column.alias === alias);
}

function asKey(kind: PredicateKind, key: IndexKey | null): Usable {
  return key === null ? {} : { kind, key };
}

/** `not archived`; `status = 'a' or status = 'b'`, which is `status in ('a', 'b')`; and `km < 5 or km > 990`. */
function ofBooleans(operation: string, args: readonly Node[], reading: Reading): Usable {
  const [first] = args;
  if (operation === 'NOT_EXPR' && first !== undefined && 'ColumnRef' in first) {
    return asKey('equal', keyOf(first, reading.shape.alias, reading.facts));
  }
  if (operation !== 'OR_EXPR') return {};
  const parts = args.map((one) => usable(one, reading));
  const [part] = parts;
  const isSame = parts.every(({ key, nullTest }) => !nullTest && key?.id === part?.key?.id);
  if (!isSame || !part?.key) return {};
  if (parts.every(({ kind }) => kind === 'equal' || kind === 'in')) return asKey('in', part.key);
  return parts.every(({ kind }) => kind === 'equal' || kind === 'in' || kind === 'range')
    ? asKey('range', part.key)
    : {};
}

function ofOperator(name: string, key: IndexKey, value: Node, reading: Reading): Usable {
  if (name === '=') return asKey('equal', key);
  if (RANGES.includes(name)) return asKey('range', key);
  if (name === '~~' || name === '~~*' || name === '~' || name === '~*')
    return ofPattern(name, key, value, reading);
  return ofSearch(name, key, reading);
}

function ofPattern(name: string, key: IndexKey, value: Node, { extensions, values }: Reading): Usable {
  const pattern = patternOf(value, values);
  const isPrefix = name === '~~' && pattern !== null && /^[^%_\\]/.test(pattern);
  if (isPrefix) return asKey('prefix', key);
  const trigram = extensions.get('pg_trgm');
  // A trigram needs three letters or digits in a row.
  const isSearchable = pattern === null ? hasParameter(value) : /[\p{L}\p{N}]{3}/u.test(pattern);
  if (trigram === undefined || !isSearchable) return {};
  return { kind: 'search', key, search: { method: 'gin', opclass: 'gin_trgm_ops' } };
}

/** The pattern of LIKE. Null: it is unknown. */
function patternOf(value: Node, values: KnownValues): string | null {
  const inner = 'TypeCast' in value && value.TypeCast.arg !== undefined ? value.TypeCast.arg : value;
  if ('A_Const' in inner) return inner.A_Const.sval?.sval ?? null;
  return 'ParamRef' in inner ? (values[(inner.ParamRef.number ?? 0) - 1] ?? null) : null;
}

function ofSearch(name: string, key: IndexKey, { facts }: Reading): Usable {
  const column = facts.columns.find((one) => one.name === key.column);
  const type = column?.baseType ?? '';
  const gin = (opclass: string | null): Usable => ({
    kind: 'search',
    key,
    search: { method: 'gin', opclass },
  });
  const isJson = type === 'jsonb' || (column === undefined && /->(?!>)/.test(key.sql));
  if (isJson && ['@>', '@?', '@@'].includes(name)) return gin('jsonb_path_ops');
  if (isJson && ['?', '?|', '?&'].includes(name)) return gin(null);
  if (column?.category === 'A' && ['@>', '&&', '<@'].includes(name)) return gin(null);
  const isTsvector = type === 'tsvector' || /^to_tsvector\(/.test(key.sql);
  if (isTsvector && name === '@@') return gin(null);
  const isRange = column?.category === 'R';
  if (isRange && ['@>', '&&', '<@'].includes(name))
    return { kind: 'search', key, search: { method: 'gist', opclass: null } };
  return {};
}

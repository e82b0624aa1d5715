import type { IndexElem, IndexStmt, Node } from 'libpg-query';
import type { RegistryEntry } from '../../lambdas/shared/registry.ts';

/*
 * How pg_get_indexdef prints the definition of an index, as far as that follows from its statement. The rest depends on types,
 * collations and operator classes, which only a database knows.
 */

/** Stands for any text. Outside of double quotes nothing else in a definition that is spelled here contains it. */
const UNKNOWN = '*';

/** Spells a definition without its storage options: see `spelling` in the compiled registry. */
export function spellDefinition(statement: IndexStmt): NonNullable<RegistryEntry['spelling']> {
  const method = statement.accessMethod ?? 'btree';
  const keys = elements(statement.indexParams).map((column) => spellKey(column, method));
  const included = elements(statement.indexIncludingParams).map(spellColumn);
  const predicate =
    statement.whereClause && spellCondition(statement.whereClause, statement.relation?.relname);
  const text =
    `USING ${quoted(method)} (${keys.map(orUnknown).join(', ')})` +
    (included.length === 0 ? '' : ` INCLUDE (${included.map(orUnknown).join(', ')})`) +
    (statement.nulls_not_distinct === true ? ' NULLS NOT DISTINCT' : '') +
    (statement.whereClause === undefined ? '' : ` WHERE ${orUnknown(predicate ?? null)}`);
  const isKnown = !text.replaceAll(QUOTED, '').includes(UNKNOWN);
  return { text, complete: isKnown && (statement.options ?? []).length === 0 };
}

const QUOTED = /"(?:[^"]|"")+"/g;

const orUnknown = (text: string | null) => text ?? UNKNOWN;

function elements(params: IndexStmt['indexParams']): IndexElem[] {
  return (params ?? []).flatMap((node) => ('IndexElem' in node ? [node.IndexElem] : []));
}

/** A column without its order. Null: it is an expression. */
function spellColumn({ name, expr, collation, opclass, opclassopts }: IndexElem): string | null {
  // An expression that is only a column in parentheses is stored like the column.
  const column = name ?? (expr === undefined ? null : columnOf(expr));
  if (column === null) return null;
  // PostgreSQL omits a collation and an operator class that are the default of the type.
  const isPlain = collation === undefined && opclass === undefined && opclassopts === undefined;
  return `${quoted(column)}${isPlain ? '' : UNKNOWN}`;
}

/** Null: an expression, or an order of which other methods know nothing. PostgreSQL omits the default order. */
function spellKey(element: IndexElem, method: string): string | null {
  const column = spellColumn(element);
  const { ordering, nulls_ordering: nulls } = element;
  const isDescending = ordering === 'SORTBY_DESC';
  const isStated = isDescending || ordering === 'SORTBY_ASC' || isNullsStated(nulls);
  if (column === null || (isStated && method !== 'btree')) return null;
  const nullsFirst = isNullsStated(nulls) ? nulls === 'SORTBY_NULLS_FIRST' : isDescending;
  if (isDescending) return `${column} DESC${nullsFirst ? '' : ' NULLS LAST'}`;
  return `${column}${nullsFirst ? ' NULLS FIRST' : ''}`;
}

function isNullsStated(nulls: IndexElem['nulls_ordering']): boolean {
  return nulls === 'SORTBY_NULLS_FIRST' || nulls === 'SORTBY_NULLS_LAST';
}

const BOOLEAN_TESTS: Readonly<Record<string, string>> = {
  IS_TRUE: 'TRUE',
  IS_NOT_TRUE: 'NOT TRUE',
  IS_FALSE: 'FALSE',
  IS_NOT_FALSE: 'NOT FALSE',
  IS_UNKNOWN: 'UNKNOWN',
  IS_NOT_UNKNOWN: 'NOT UNKNOWN',
};

/** A condition of columns that are tested for null or are boolean. Null: another one, which depends on types. */
function spellCondition(node: Node, table: string | undefined): string | null {
  const column = columnOf(node);
  // A table's own name is its row, unless it has a column of that name.
  if (column !== null) return column === table ? null : quoted(column);
  if ('NullTest' in node) {
    const { arg, nulltesttype } = node.NullTest;
    const tested = arg === undefined ? null : spellOperand(arg, table);
    return tested === null ? null : `(${tested} IS ${nulltesttype === 'IS_NULL' ? 'NULL' : 'NOT NULL'})`;
  }
  if ('BooleanTest' in node) {
    const { arg, booltesttype = '' } = node.BooleanTest;
    const tested = arg === undefined ? null : spellCondition(arg, table);
    const test = BOOLEAN_TESTS[booltesttype];
    return tested === null || test === undefined ? null : `(${tested} IS ${test})`;
  }
  if (!('BoolExpr' in node)) return null;
  const args = (node.BoolExpr.args ?? []).map((arg) => spellCondition(arg, table));
  if (args.length === 0 || args.includes(null)) return null;
  if (node.BoolExpr.boolop === 'NOT_EXPR') return `(NOT ${args.join('')})`;
  return `(${args.join(node.BoolExpr.boolop === 'AND_EXPR' ? ' AND ' : ' OR ')})`;
}

/** What is tested for null: a column of any type. */
function spellOperand(node: Node, table: string | undefined): string | null {
  return columnOf(node) === null ? null : spellCondition(node, table);
}

/** The column that an expression is. Null: it is something else, or names its table too. */
function columnOf(node: Node): string | null {
  if (!('ColumnRef' in node)) return null;
  const [field, ...more] = node.ColumnRef.fields ?? [];
  return field !== undefined && 'String' in field && more.length === 0 ? (field.String.sval ?? null) : null;
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

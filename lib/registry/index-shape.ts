import type { IndexElem, IndexStmt } from 'libpg-query';
import { tableKey } from '../../lambdas/postgres/identifiers.ts';

/** What a key column of an index is: texts that are equal where PostgreSQL builds the same. */
export interface KeyShape {
  /** Undefined: an expression. */
  readonly column: string | undefined;
  /** Column or expression, collation and operator class. */
  readonly tree: string;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}

/** What an index is, however its statement is written: case, white space, comments and defaults make no difference. */
export interface IndexShape {
  /** With its schema. */
  readonly table: string;
  readonly method: string;
  readonly unique: boolean;
  readonly keys: readonly KeyShape[];
  readonly include: readonly string[];
  /** The predicate's parse tree; empty: all rows. */
  readonly where: string;
  /** Equal where the same index would be built, and stored in the same way. */
  readonly identity: string;
}

export function shapeOf(statement: IndexStmt): IndexShape {
  const { schemaname: schema = 'public', relname: table = '' } = statement.relation ?? {};
  const shape = {
    table: tableKey({ schema, table }),
    method: statement.accessMethod ?? 'btree',
    unique: statement.unique ?? false,
    keys: elements(statement.indexParams).map(keyShape),
    include: elements(statement.indexIncludingParams).flatMap(({ name }) => name ?? []),
    where: tree(statement.whereClause),
  };
  const stored = [statement.nulls_not_distinct ?? false, tree(statement.options), statement.tableSpace ?? ''];
  return { ...shape, identity: JSON.stringify([shape, stored]) };
}

function elements(params: IndexStmt['indexParams']): IndexElem[] {
  return (params ?? []).flatMap((node) => ('IndexElem' in node ? [node.IndexElem] : []));
}

function keyShape({ name, expr, collation, opclass, opclassopts, ...order }: IndexElem): KeyShape {
  const descending = order.ordering === 'SORTBY_DESC';
  return {
    column: name,
    tree: tree([name, expr, collation, opclass, opclassopts]),
    descending,
    nullsFirst:
      order.nulls_ordering === 'SORTBY_NULLS_FIRST' ||
      (order.nulls_ordering !== 'SORTBY_NULLS_LAST' && descending),
  };
}

/** A parse tree as text, without the places of its words. */
function tree(node: unknown): string {
  return JSON.stringify(node, (key, value) => (key === 'location' ? undefined : value)) ?? '';
}

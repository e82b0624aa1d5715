import type { IndexElem, IndexStmt } from 'libpg-query';
import { tableKey } from '../../lambdas/postgres/identifiers.ts';
import { treeText } from '../sql/parse-tree.ts';

/** A key column of an index. Two that are equal make PostgreSQL build the same index. */
export interface KeyShape {
  /** Undefined for an expression. */
  readonly column: string | undefined;
  /** The column or expression, the collation and the operator class. */
  readonly tree: string;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}

/** An index, independent of how its statement is written: case, white space, comments and stated defaults are ignored. */
export interface IndexShape {
  /** Key of the table, with its schema. */
  readonly table: string;
  readonly method: string;
  readonly unique: boolean;
  readonly keys: readonly KeyShape[];
  readonly include: readonly string[];
  /** Parse tree of the predicate; empty without one. */
  readonly where: string;
  /** Equal if PostgreSQL would build the same index with the same storage. */
  readonly identity: string;
}

/** @param schemaOf finds the schema of a table that the statement names without one @default public */
export function shapeOf(statement: IndexStmt, schemaOf = (_table: string) => 'public'): IndexShape {
  const { schemaname, relname: table = '' } = statement.relation ?? {};
  const schema = schemaname ?? schemaOf(table);
  const shape = {
    table: tableKey({ schema, table }),
    method: statement.accessMethod ?? 'btree',
    unique: statement.unique ?? false,
    keys: elements(statement.indexParams).map(keyShape),
    include: elements(statement.indexIncludingParams).flatMap(({ name }) => name ?? []),
    where: treeOf(statement.whereClause),
  };
  const stored = [
    statement.nulls_not_distinct ?? false,
    treeOf(statement.options),
    statement.tableSpace ?? '',
  ];
  return { ...shape, identity: JSON.stringify([shape, stored]) };
}

function elements(params: IndexStmt['indexParams']): IndexElem[] {
  return (params ?? []).flatMap((node) => ('IndexElem' in node ? [node.IndexElem] : []));
}

function keyShape({ name, expr, collation, opclass, opclassopts, ...order }: IndexElem): KeyShape {
  const descending = order.ordering === 'SORTBY_DESC';
  return {
    column: name,
    tree: treeText([name, expr, collation, opclass, opclassopts]),
    descending,
    nullsFirst:
      order.nulls_ordering === 'SORTBY_NULLS_FIRST' ||
      (order.nulls_ordering !== 'SORTBY_NULLS_LAST' && descending),
  };
}

/** Empty for a part that the statement does not have. */
function treeOf(node: unknown): string {
  return node === undefined ? '' : treeText(node);
}

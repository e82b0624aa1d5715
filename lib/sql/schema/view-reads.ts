import type { RangeVar } from 'libpg-query';
import { columnReferencesIn, nodesIn, stringsIn } from '../parse-tree.ts';
import type { Schema } from './schema-model.ts';
import { keyOf, type ReadColumns, type SchemaTable } from './schema-objects.ts';

/**
 * What the query of a view reads, by `keyOf` the relation: a view depends on those columns, and DROP … CASCADE drops it with one
 * of them. `*` stands for all columns of a relation whose columns are unknown.
 */
export function readsOf(schema: Schema, query: unknown): Map<string, ReadColumns> {
  const relations = relationsIn(schema, query);
  const reads = new Map<string, ReadColumns>();
  for (const key of new Set(relations.map((one) => one.key)))
    reads.set(key, { columns: new Set(), unclear: new Set() });
  const add = ({ key }: ReadRelation, kind: keyof ReadColumns, columns: Iterable<string>) => {
    for (const column of columns) reads.get(key)?.[kind].add(column);
  };
  const addAll = (relation: ReadRelation) => {
    const columns = relation.table?.columns;
    if (columns) add(relation, 'columns', columns);
    else add(relation, 'unclear', ['*']);
  };
  for (const { names } of columnReferencesIn(query)) {
    const column = names.at(-1) ?? '';
    const owner = names.at(-2);
    const possible = owner === undefined ? relations : relations.filter(({ alias }) => alias === owner);
    if (column === '*') for (const relation of possible) addAll(relation);
    else if (owner !== undefined) for (const relation of possible) add(relation, 'columns', [column]);
    else for (const relation of possible) add(relation, isClear(relations, relation, column), [column]);
  }
  const joins = nodesIn(query, 'JoinExpr') as {
    usingClause?: Parameters<typeof stringsIn>[0];
    isNatural?: boolean;
  }[];
  for (const { usingClause, isNatural = false } of joins) {
    for (const relation of relations) {
      add(relation, 'unclear', isNatural ? ['*'] : stringsIn(usingClause));
    }
  }
  return reads;
}

/** A relation in the FROM of a query or of a part of it. */
interface ReadRelation {
  readonly key: string;
  readonly alias: string;
  readonly table: SchemaTable | undefined;
}

function relationsIn(schema: Schema, query: unknown): ReadRelation[] {
  const expressions = nodesIn(query, 'CommonTableExpr') as { ctename?: string }[];
  const ofWith = new Set(expressions.map(({ ctename }) => ctename));
  return (nodesIn(query, 'RangeVar') as RangeVar[]).flatMap((relation) => {
    const { schemaname, relname = '', alias } = relation;
    if (schemaname === undefined && ofWith.has(relname)) return [];
    const name = schema.nameOf(relation);
    return [{ key: keyOf(name), alias: alias?.aliasname ?? relname, table: schema.table(name) }];
  });
}

/** Whether a column without a table is one of this relation: no other relation of the query can have it. */
function isClear(
  relations: readonly ReadRelation[],
  relation: ReadRelation,
  column: string,
): keyof ReadColumns {
  const { table, key } = relation;
  if (table?.columns && !table.columns.includes(column)) return 'unclear';
  const isOnly = relations.every(
    (other) => other.key === key || (other.table?.columns && !other.table.columns.includes(column)),
  );
  return isOnly ? 'columns' : 'unclear';
}

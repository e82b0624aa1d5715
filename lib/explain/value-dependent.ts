import { askedKey, type TableFacts } from '../../lambdas/postgres/table-facts.ts';
import { nodesIn } from '../sql/parse-tree.ts';
import { columnsIn, conjuncts, hasParameter, parseExpression } from './proposals/conditions.ts';
import type { TableShape } from './proposals/query-shape.ts';
import type { ReadTable } from './verdict.ts';

/** The tables that have an index which only some values of the parameters allow to use. */
export function valueDependentTables(
  shapes: readonly TableShape[],
  facts: ReadonlyMap<string, TableFacts>,
): (table: ReadTable) => boolean {
  const dependent = new Set<string>();
  for (const shape of shapes) {
    const table = facts.get(askedKey(shape.schema, shape.table));
    if (table !== undefined && hasDependentIndex(shape, table))
      dependent.add(askedKey(table.schema, table.table));
  }
  return ({ schema, table }) => dependent.has(askedKey(schema, table));
}

function hasDependentIndex({ conditions, alias }: TableShape, { indexes }: TableFacts): boolean {
  const withParameter = conditions.filter(hasParameter);
  const compared = new Set(columnsOf(withParameter, alias));
  const patterns = new Set(columnsOf(withParameter.filter(isPattern), alias));
  return indexes.some(({ where, keys }) => {
    const predicate = where === null ? null : parseExpression(where);
    const inPredicate = predicate === null ? [] : conjuncts(predicate).flatMap(namesIn);
    return (
      inPredicate.some((name) => compared.has(name)) ||
      (keys[0] !== undefined && keyNames(keys[0]).some((name) => patterns.has(name)))
    );
  });
}

function columnsOf(conditions: readonly unknown[], alias: string): string[] {
  return conditions.flatMap(columnsIn).flatMap((one) => (one.alias === alias ? [one.column] : []));
}

function keyNames({ column, text }: { column: string | null; text: string }): string[] {
  return column === null ? namesIn(parseExpression(text)) : [column];
}

/** The columns of an expression of the catalog, which names no table. */
function namesIn(tree: unknown): string[] {
  return nodesIn(tree, 'ColumnRef').flatMap((node) =>
    ((node as { fields?: { String?: { sval?: string } }[] }).fields ?? []).flatMap(
      (field) => field.String?.sval ?? [],
    ),
  );
}

/** LIKE, ILIKE and regular expressions. */
function isPattern(condition: unknown): boolean {
  return nodesIn(condition, 'A_Expr').some((node) => {
    const [name] = (node as { name?: { String?: { sval?: string } }[] }).name ?? [];
    return ['~~', '~~*', '~', '~*'].includes(name?.String?.sval ?? '');
  });
}

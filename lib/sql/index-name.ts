import type { IndexStmt, Node } from 'libpg-query';
import { clipBytes, MAX_IDENTIFIER_BYTES } from '../../lambdas/postgres/identifiers.ts';
import { expressionName } from './expression-name.ts';
import { NamePool } from './name-pool.ts';
import { chooseName, joinColumnNames } from './object-name.ts';

/*
 * PostgreSQL's rules for names that a statement leaves out; they are the same from 14 to 18. `taken` are the
 * names of the relations (tables, indexes, sequences, views, …) in the schema of the table; for the index of a constraint, those
 * of constraints too.
 */

/** The name of an index: the one in the statement, or the one that PostgreSQL chooses for `create index on customers (status)`. */
export function indexName(statement: IndexStmt, taken = new NamePool()): string {
  return statement.idxname ?? chooseIndexName(statement, taken);
}

function chooseIndexName(statement: IndexStmt, taken: NamePool): string {
  return nameOfCopy(statement.relation?.relname ?? '', indexAttributes(statement), taken);
}

/**
 * The name that PostgreSQL chooses for the copy of an index on another table.
 * @param attributes the names of the columns of the index relation
 */
export function nameOfCopy(table: string, attributes: readonly string[], taken: NamePool): string {
  return chooseName(table, joinColumnNames(attributes), 'idx', taken);
}

/** The names of the columns of the index relation that a statement creates; those of INCLUDE come last. */
export function indexAttributes({ indexParams = [], indexIncludingParams = [] }: IndexStmt): string[] {
  return indexColumnNames([...indexParams, ...indexIncludingParams]);
}

/** A constraint that has an index. */
export type IndexConstraint = 'primary' | 'unique' | 'exclusion';

/**
 * The name that PostgreSQL chooses for a constraint and its index.
 * @param columns including those of INCLUDE
 */
export function constraintName(
  kind: IndexConstraint | 'foreign',
  table: string,
  columns: readonly string[],
  taken = new NamePool(),
): string {
  const labels = { primary: 'pkey', unique: 'key', exclusion: 'excl', foreign: 'fkey' };
  // Only the columns of an index need distinct names.
  const names = kind === 'foreign' ? columns : distinctNames(columns);
  return chooseName(table, kind === 'primary' ? null : joinColumnNames(names), labels[kind], taken);
}

function indexColumnNames(elements: readonly Node[]): string[] {
  return distinctNames(
    elements.map((element) => {
      if (!('IndexElem' in element)) throw new Error('Expected an IndexElem node for a column of an index.');
      const { name, expr } = element.IndexElem;
      return name ?? (expr === undefined ? undefined : expressionName(expr)) ?? 'expr';
    }),
  );
}

/** The second column with the same name becomes `NAME1`. */
export function distinctNames(names: readonly string[]): string[] {
  const chosen = new NamePool();
  return names.map((name) => {
    const current = chosen.firstFree(name, (pass) =>
      pass === 0 ? name : `${clipBytes(name, MAX_IDENTIFIER_BYTES - String(pass).length)}${pass}`,
    );
    chosen.add(current);
    return current;
  });
}

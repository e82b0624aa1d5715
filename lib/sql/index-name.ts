import type { IndexStmt, Node } from 'libpg-query';
import { clipBytes, MAX_IDENTIFIER_BYTES } from '../../lambdas/postgres/identifiers.ts';
import { expressionName } from './expression-name.ts';
import { chooseName, joinColumnNames } from './object-name.ts';

/*
 * PostgreSQL's rules for the names that nobody wrote, the same from 14 to 18. `isTaken` tells whether a relation (table,
 * index, sequence, view, …) of the table's schema has a name already; for a constraint's index, a constraint too.
 */

/** The name of an index: as written, or as PostgreSQL gives it to `create index on customers (project_id, status)`. */
export function indexName(statement: IndexStmt, isTaken: (name: string) => boolean = () => false): string {
  return statement.idxname ?? chooseIndexName(statement, isTaken);
}

function chooseIndexName(statement: IndexStmt, isTaken: (name: string) => boolean): string {
  const elements = [...(statement.indexParams ?? []), ...(statement.indexIncludingParams ?? [])];
  const columns = joinColumnNames(indexColumnNames(elements));
  return chooseName(statement.relation?.relname ?? '', columns, 'idx', isTaken);
}

/**
 * The name of a constraint that has none, and of its index.
 * @param columns INCLUDE's as well
 */
export function constraintName(
  kind: 'primary' | 'unique' | 'exclusion' | 'foreign',
  table: string,
  columns: readonly string[],
  isTaken: (name: string) => boolean = () => false,
): string {
  const labels = { primary: 'pkey', unique: 'key', exclusion: 'excl', foreign: 'fkey' };
  // Only an index's columns must each have a name of their own.
  const names = kind === 'foreign' ? columns : distinctNames(columns);
  return chooseName(table, kind === 'primary' ? null : joinColumnNames(names), labels[kind], isTaken);
}

/** The names of an index's own columns, from its IndexElem nodes, INCLUDE's last. */
export function indexColumnNames(elements: readonly Node[]): string[] {
  return distinctNames(
    elements.map((element) => {
      if (!('IndexElem' in element)) throw new Error('A column of an index is an IndexElem.');
      const { name, expr } = element.IndexElem;
      return name ?? (expr === undefined ? undefined : expressionName(expr)) ?? 'expr';
    }),
  );
}

/** The second of a name becomes `NAME1`. */
function distinctNames(names: readonly string[]): string[] {
  const chosen: string[] = [];
  for (const name of names) {
    let current = name;
    for (let pass = 1; chosen.includes(current); pass += 1) {
      current = `${clipBytes(name, MAX_IDENTIFIER_BYTES - String(pass).length)}${pass}`;
    }
    chosen.push(current);
  }
  return chosen;
}

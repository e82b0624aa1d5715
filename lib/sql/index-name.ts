import type { IndexStmt, Node } from 'libpg-query';
import { clipBytes, MAX_IDENTIFIER_BYTES } from '../../lambdas/postgres/identifiers.ts';
import { expressionName } from './expression-name.ts';
import { chooseName, joinColumnNames } from './object-name.ts';

/*
 * PostgreSQL's rules for names that a statement leaves out; they are the same from 14 to 18. `isTaken` says whether a
 * relation (table, index, sequence, view, …) in the schema of the table has a name already; for the index of a constraint,
 * whether a constraint has it too.
 */

/** The name of an index: the one in the statement, or the one that PostgreSQL chooses for `create index on customers (status)`. */
export function indexName(statement: IndexStmt, isTaken: (name: string) => boolean = () => false): string {
  return statement.idxname ?? chooseIndexName(statement, isTaken);
}

function chooseIndexName(statement: IndexStmt, isTaken: (name: string) => boolean): string {
  const elements = [...(statement.indexParams ?? []), ...(statement.indexIncludingParams ?? [])];
  const columns = joinColumnNames(indexColumnNames(elements));
  return chooseName(statement.relation?.relname ?? '', columns, 'idx', isTaken);
}

/**
 * The name that PostgreSQL chooses for a constraint and its index.
 * @param columns including those of INCLUDE
 */
export function constraintName(
  kind: 'primary' | 'unique' | 'exclusion' | 'foreign',
  table: string,
  columns: readonly string[],
  isTaken: (name: string) => boolean = () => false,
): string {
  const labels = { primary: 'pkey', unique: 'key', exclusion: 'excl', foreign: 'fkey' };
  // Only the columns of an index need distinct names.
  const names = kind === 'foreign' ? columns : distinctNames(columns);
  return chooseName(table, kind === 'primary' ? null : joinColumnNames(names), labels[kind], isTaken);
}

/** The names of the columns of an index relation, from its IndexElem nodes; those of INCLUDE come last. */
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

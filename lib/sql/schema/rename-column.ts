import type { IndexStmt } from 'libpg-query';
import { quoteWhereNeeded } from '../quote-where-needed.ts';
import { offsetOfLocation, readSql } from '../read-sql.ts';
import { identifierName, type SqlToken, tokensOf } from '../tokens.ts';
import type { SchemaIndex } from './objects.ts';

/** Whether an index is about a column: in its columns, in INCLUDE, in an expression or in its predicate. */
export function mentionsColumn(index: SchemaIndex, column: string): boolean {
  if (index.columns.includes(column)) return true;
  if (index.written === null) return false;
  return placesOf(index.written, column).length > 0;
}

/** Writes an index's statement with the new name of one of its table's columns. */
export function renameColumn(index: SchemaIndex, from: string, to: string): void {
  index.columns = index.columns.map((column) => (column === from ? to : column));
  if (index.written === null) return;
  let { sql } = index.written;
  for (const { start, end } of placesOf(index.written, from).toSorted((a, b) => b.start - a.start)) {
    sql = sql.slice(0, start) + quoteWhereNeeded(to) + sql.slice(end);
  }
  const statement = readSql(sql).statements[0]?.node?.IndexStmt;
  if (statement !== undefined) index.written = { sql, statement };
}

/** The words of a statement that are the column: what the parser has a place of, and the columns of the index itself. */
function placesOf({ sql, statement }: { sql: string; statement: IndexStmt }, column: string): SqlToken[] {
  const tokens = tokensOf(sql);
  const starts = new Set(referencesTo(statement, column).map((location) => offsetOfLocation(sql, location)));
  return tokens.filter(
    (token, at) => starts.has(token.start) || (startsElement(tokens, at) && identifierName(token) === column),
  );
}

/** The parser gives the columns of an index no place: each is the first word behind a parenthesis or a comma of its list. */
function startsElement(tokens: readonly SqlToken[], at: number): boolean {
  const before = tokens[at - 1]?.text;
  if (before !== '(' && before !== ',') return false;
  // A name with a parenthesis behind it is a function.
  if (tokens[at + 1]?.text === '(') return false;
  const opened = tokens.slice(0, at).filter(({ text }) => text === '(').length;
  const closed = tokens.slice(0, at).filter(({ text }) => text === ')').length;
  const where = tokens.findIndex(({ keyword }) => keyword === 'where' || keyword === 'with');
  return opened - closed === 1 && (where === -1 || at < where);
}

/** Locations of the references to a column in expressions and the predicate. */
function referencesTo(node: unknown, column: string): number[] {
  if (Array.isArray(node)) return node.flatMap((one) => referencesTo(one, column));
  if (typeof node !== 'object' || node === null) return [];
  return Object.entries(node).flatMap(([key, value]) => {
    if (key !== 'ColumnRef') return referencesTo(value, column);
    const { fields, location } = value as { fields?: { String?: { sval?: string } }[]; location?: number };
    return fields?.length === 1 && fields[0]?.String?.sval === column ? [location ?? 0] : [];
  });
}

import { columnReferencesIn } from '../parse-tree.ts';
import { quoteWhereNeeded } from '../quote-where-needed.ts';
import { offsetOfLocation, readSql } from '../read-sql.ts';
import { identifierName, type SqlToken, tokensOf } from '../tokens.ts';
import type { SchemaIndex, WrittenStatement } from './schema-objects.ts';

/** Whether an index uses a column: as a key, in INCLUDE, in an expression or in its predicate. */
export function usesColumn(index: SchemaIndex, column: string): boolean {
  if (index.columns.includes(column)) return true;
  if (index.written === null) return false;
  return tokensOfColumn(index.written, column).length > 0;
}

/** Replaces a column's old name with its new one in an index and its statement. */
export function renameColumn(index: SchemaIndex, from: string, to: string): void {
  index.columns = index.columns.map((column) => (column === from ? to : column));
  if (index.written === null) return;
  let { sql } = index.written;
  for (const { start, end } of tokensOfColumn(index.written, from).toSorted((a, b) => b.start - a.start)) {
    sql = sql.slice(0, start) + quoteWhereNeeded(to) + sql.slice(end);
  }
  const statement = readSql(sql).statements[0]?.node?.IndexStmt;
  if (statement !== undefined) index.written = { sql, statement };
}

/** The tokens of a statement that name the column: its keys, and the references in expressions and the predicate. */
function tokensOfColumn({ sql, statement }: WrittenStatement, column: string): SqlToken[] {
  const tokens = tokensOf(sql);
  const starts = new Set(
    columnReferencesIn(statement)
      .filter(({ names }) => names.length === 1 && names[0] === column)
      .map(({ location }) => offsetOfLocation(sql, location)),
  );
  return tokens.filter(
    (token, at) => starts.has(token.start) || (startsElement(tokens, at) && identifierName(token) === column),
  );
}

/** Whether a token is a key of the index. The parser has no location for keys: each follows a parenthesis or a comma. */
function startsElement(tokens: readonly SqlToken[], at: number): boolean {
  const before = tokens[at - 1]?.text;
  if (before !== '(' && before !== ',') return false;
  // A name before a parenthesis is a function.
  if (tokens[at + 1]?.text === '(') return false;
  const opened = tokens.slice(0, at).filter(({ text }) => text === '(').length;
  const closed = tokens.slice(0, at).filter(({ text }) => text === ')').length;
  const where = tokens.findIndex(({ keyword }) => keyword === 'where' || keyword === 'with');
  return opened - closed === 1 && (where === -1 || at < where);
}

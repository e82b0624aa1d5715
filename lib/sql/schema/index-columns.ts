import { byteOffsetsIn } from '../byte-offsets.ts';
import { columnReferencesIn } from '../parse-tree.ts';
import { quoteWhereNeeded } from '../quote-where-needed.ts';
import { readSql } from '../read-sql.ts';
import { identifierName, type SqlToken, tokensOf } from '../tokens.ts';
import type { SchemaIndex } from './schema-objects.ts';
import { type WrittenStatement, writtenStatement } from './written-statement.ts';

/** Whether an index uses a column: as a key, in INCLUDE, in an expression or in its predicate. */
export function usesColumn(index: SchemaIndex, column: string): boolean {
  if (index.columns.includes(column) || index.include?.includes(column)) return true;
  if (index.written === null) return false;
  const used = usedColumns.get(index.written) ?? columnsUsedBy(index.written);
  usedColumns.set(index.written, used);
  return used.has(column);
}

/** Whether an expression or the predicate of an index uses a column. */
export function computesWith({ written }: SchemaIndex, column: string): boolean {
  if (written === null) return false;
  const columns =
    computedColumns.get(written) ??
    new Set(columnReferencesIn(written.statement).map(({ names }) => names.at(-1) ?? ''));
  computedColumns.set(written, columns);
  return columns.has(column);
}

/* A table can have many indexes, and a history many changes of its columns: each statement is read once. */
const usedColumns = new WeakMap<WrittenStatement, ReadonlySet<string>>();
const computedColumns = new WeakMap<WrittenStatement, ReadonlySet<string>>();

function columnsUsedBy({ sql, statement }: WrittenStatement): Set<string> {
  const table = statement.relation?.relname;
  const references = columnReferencesIn(statement).flatMap(({ names }) =>
    names.length === 1 || names.at(-2) === table ? names.slice(-1) : [],
  );
  return new Set([...references, ...Array.from(keysIn(tokensOf(sql)), identifierName)]);
}

/** Replaces a column's old name with its new one in an index and its statement. */
export function renameColumn(index: SchemaIndex, from: string, to: string): void {
  index.columns = index.columns.map((column) => (column === from ? to : column));
  if (index.include !== undefined)
    index.include = index.include.map((column) => (column === from ? to : column));
  if (index.written === null) return;
  const { sql: before } = index.written;
  const parts: string[] = [];
  let copied = 0;
  for (const { start, end } of tokensOfColumn(index.written, from)) {
    parts.push(before.slice(copied, start), quoteWhereNeeded(to));
    copied = end;
  }
  const sql = parts.join('') + before.slice(copied);
  if (readSql(sql).statements[0]?.node?.IndexStmt !== undefined) index.written = writtenStatement(sql);
}

/** The tokens of a statement that name the column: its keys, and the references in expressions and the predicate. */
function tokensOfColumn({ sql, statement }: WrittenStatement, column: string): SqlToken[] {
  const tokens = tokensOf(sql);
  const unitsBefore = byteOffsetsIn(sql);
  const starts = new Set(
    columnReferencesIn(statement)
      .filter(({ names }) => names.length === 1 && names[0] === column)
      .map(({ location }) => unitsBefore(location)),
  );
  const keys = keysIn(tokens);
  return tokens.filter(
    (token) => starts.has(token.start) || (keys.has(token) && identifierName(token) === column),
  );
}

/** The keys of the index that are names. The parser has no location for keys: each follows a parenthesis or a comma. */
function keysIn(tokens: readonly SqlToken[]): Set<SqlToken> {
  const keys = new Set<SqlToken>();
  let depth = 0;
  for (const [at, token] of tokens.entries()) {
    if (token.keyword === 'where' || token.keyword === 'with') break;
    const before = tokens[at - 1]?.text;
    // A name before a parenthesis is a function.
    const isFunction = tokens[at + 1]?.text === '(';
    if (depth === 1 && (before === '(' || before === ',') && !isFunction) keys.add(token);
    if (token.text === '(') depth += 1;
    else if (token.text === ')') depth -= 1;
  }
  return keys;
}

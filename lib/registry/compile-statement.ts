import type { IndexStmt, ScanToken } from 'libpg-query';
import type { CompiledIndex } from '../../lambdas/shared/registry.ts';
import { type IndexStatement, parseIndexStatement } from './parse-statement.ts';
import { type FieldProblem, isReserved, nameProblems, statementProblems } from './statement-problems.ts';

/** What the statement alone says of an index. */
export type IndexFromStatement = Pick<
  CompiledIndex,
  'name' | 'schema' | 'table' | 'unique' | 'definition' | 'partial' | 'expression'
>;

export type CompiledStatement =
  | { readonly index: null; readonly problems: readonly FieldProblem[] }
  | { readonly index: IndexFromStatement; readonly statement: IndexStmt; readonly problems: readonly [] };

/**
 * Takes an entry's statement apart and checks it.
 * @param name the entry's `name`; undefined where the entry has none, which is not this function's to tell.
 * @returns every problem found, or the index where there is none.
 */
export async function compileStatement(sql: string, name: string | undefined): Promise<CompiledStatement> {
  const parsed = await parseIndexStatement(sql);
  if ('refusal' in parsed) {
    const { refusal: message, offset } = parsed;
    return { index: null, problems: [{ rule: 'statement', field: 'sql', message, offset }] };
  }
  const { statement } = parsed;
  const problems: FieldProblem[] = [...nameProblems(parsed, name), ...statementProblems(parsed)];
  if (problems.length > 0) return { index: null, problems };
  return {
    problems: [],
    statement,
    index: {
      name: statement.idxname ?? '',
      schema: statement.relation?.schemaname ?? 'public',
      table: statement.relation?.relname ?? '',
      unique: statement.unique ?? false,
      definition: definitionOf(parsed),
      partial: statement.whereClause !== undefined,
      expression: (statement.indexParams ?? []).some(
        (column) => 'IndexElem' in column && column.IndexElem.expr !== undefined,
      ),
    },
  };
}

/**
 * The statement from USING on, without comments; where it has no USING, with `USING btree` put before its columns.
 * USING is a reserved word, so the first one outside of quotes, before any parenthesis, is the method's.
 */
function definitionOf({ tokens, bytes }: IndexStatement): string {
  const first = tokens.findIndex((token) => token.text === '(' || isReserved(token, 'using'));
  const start = tokens[first];
  if (start === undefined) throw new Error('A parsed CREATE INDEX statement has columns.');
  return start.text === '('
    ? `USING btree ${withoutComments(tokens.slice(first), bytes)}`
    : `USING ${withoutComments(tokens.slice(first + 1), bytes)}`;
}

/** The tokens as written, with the space between them; where a comment stood between two, one space. */
function withoutComments(tokens: readonly ScanToken[], bytes: Buffer): string {
  let text = '';
  let end: number | undefined;
  for (const token of tokens) {
    const gap = end === undefined ? '' : bytes.toString('utf8', end, token.start);
    text += gap.trim() === '' ? gap : ' ';
    text += bytes.toString('utf8', token.start, token.end);
    end = token.end;
  }
  return text;
}

import type { IndexStmt, ScanToken } from 'libpg-query';
import type { RegistryEntry } from '../../lambdas/shared/registry.ts';
import { type IndexStatement, parseIndexStatement } from './parse-statement.ts';
import { referencesOf } from './references.ts';
import { spellDefinition } from './spell-definition.ts';
import { type FieldProblem, isReserved, nameProblems, statementProblems } from './statement-problems.ts';

/** The part of an index that its statement defines. */
type IndexFromStatement = Pick<
  RegistryEntry,
  'name' | 'schema' | 'table' | 'unique' | 'definition' | 'spelling' | 'references' | 'partial' | 'expression'
>;

type CompiledStatement =
  | { readonly index: null; readonly problems: readonly FieldProblem[] }
  | { readonly index: IndexFromStatement; readonly statement: IndexStmt; readonly problems: readonly [] };

/**
 * Parses and checks the statement of an entry.
 * @param name the entry's `name`; undefined if it has none, which is reported elsewhere.
 * @returns every problem, or the index if there is none.
 */
export async function compileStatement(sql: string, name: string | undefined): Promise<CompiledStatement> {
  const parsed = parseIndexStatement(sql);
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
      schema: statement.relation?.schemaname ?? null,
      table: statement.relation?.relname ?? '',
      unique: statement.unique ?? false,
      definition: definitionOf(parsed),
      spelling: spellDefinition(statement),
      references: referencesOf(statement),
      partial: statement.whereClause !== undefined,
      expression: (statement.indexParams ?? []).some(
        (column) => 'IndexElem' in column && column.IndexElem.expr !== undefined,
      ),
    },
  };
}

/**
 * The statement from USING to its end, without comments. A statement without USING gets `USING btree`. USING is a reserved
 * word, so the first unquoted one before a parenthesis names the method.
 */
function definitionOf({ tokens, bytes }: IndexStatement): string {
  const first = tokens.findIndex((token) => token.text === '(' || isReserved(token, 'using'));
  const start = tokens[first];
  if (start === undefined) throw new Error('A parsed CREATE INDEX statement has columns.');
  return start.text === '('
    ? `USING btree ${withoutComments(tokens.slice(first), bytes)}`
    : `USING ${withoutComments(tokens.slice(first + 1), bytes)}`;
}

/** The tokens and the white space between them; a comment becomes one space. */
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

import type { ScanToken } from 'libpg-query';
import type { CompiledIndex } from '../../lambdas/shared/registry.ts';
import { type IndexStatement, parseIndexStatement } from './parse-statement.ts';

/** What the statement alone says of an index. */
export type IndexFromStatement = Pick<
  CompiledIndex,
  'name' | 'schema' | 'table' | 'unique' | 'definition' | 'partial' | 'expression'
>;

export interface FieldProblem {
  readonly field: 'name' | 'sql';
  readonly message: string;
}

/** Longest identifier that PostgreSQL keeps whole, in bytes (NAMEDATALEN - 1); a longer one is cut with a NOTICE. */
const MAX_NAME_BYTES = 63;

/**
 * Takes an entry's statement apart and checks it.
 * @param name the entry's `name`; undefined where the entry has none, which is not this function's to tell.
 * @returns every problem found, or the index where there is none.
 */
export async function compileIndex(
  sql: string,
  name: string | undefined,
): Promise<{ index: IndexFromStatement | null; problems: FieldProblem[] }> {
  const parsed = await parseIndexStatement(sql);
  if ('refusal' in parsed) return { index: null, problems: [{ field: 'sql', message: parsed.refusal }] };
  const { statement } = parsed;
  const problems: FieldProblem[] = [...nameProblems(parsed, name), ...statementProblems(parsed)];
  if (problems.length > 0) return { index: null, problems };
  return {
    problems: [],
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

function nameProblems(parsed: IndexStatement, name: string | undefined): FieldProblem[] {
  const written = parsed.statement.idxname;
  if (written === undefined) {
    const shown = name ?? 'NAME';
    return [
      {
        field: 'sql',
        message:
          'the index has no name, so a second run would build it again under another one; ' +
          `write create index concurrently if not exists ${shown} on …`,
      },
    ];
  }
  const bytes = Math.max(Buffer.byteLength(name ?? ''), nameBytes(parsed));
  if (bytes > MAX_NAME_BYTES) {
    return [
      {
        field: 'name',
        message:
          `it has ${bytes} bytes, and PostgreSQL cuts names at ${MAX_NAME_BYTES} bytes; ` +
          'shorten it here and in the statement',
      },
    ];
  }
  if (name === undefined || name === written) return [];
  const folded = name.toLowerCase() === written ? ' (PostgreSQL folds what is not quoted to lower case)' : '';
  return [
    {
      field: 'name',
      message:
        `it is "${name}", but the statement creates "${written}"${folded}; ` +
        'write the same name in both, in the statement with double quotes where it has upper case',
    },
  ];
}

/** Bytes of the name as written: the parser itself has cut it already. */
function nameBytes({ tokens }: IndexStatement): number {
  const token = tokens[tokens.findIndex((candidate) => isReserved(candidate, 'on')) - 1];
  if (token === undefined) return 0;
  const quoted = token.text.startsWith('"');
  return Buffer.byteLength(quoted ? token.text.slice(1, -1).replaceAll('""', '"') : token.text);
}

function statementProblems({ statement }: IndexStatement): FieldProblem[] {
  const messages: string[] = [];
  const table = statement.relation;
  if (statement.concurrent !== true) {
    messages.push(
      'CONCURRENTLY is missing, and without it the build locks writers out of the table; ' +
        'write create index concurrently',
    );
  }
  if (statement.idxname !== undefined && statement.if_not_exists !== true) {
    messages.push(
      `IF NOT EXISTS is missing; write create index concurrently if not exists ${statement.idxname}`,
    );
  }
  if (table?.inh !== true) {
    messages.push(
      'ON ONLY leaves out the partitions, and the index would stay invalid; ' +
        'name the table without ONLY, the builder sees to its partitions',
    );
  }
  if (table?.catalogname !== undefined) {
    messages.push(`the table names a database ("${table.catalogname}"); write SCHEMA.TABLE`);
  }
  if (/^pg_temp(_\d+)?$/.test(table?.schemaname ?? '')) {
    messages.push('the table is temporary and gone with its session; name a permanent table');
  }
  return messages.map((message) => ({ field: 'sql', message }));
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

function isReserved(token: ScanToken, word: 'on' | 'using'): boolean {
  return token.keywordName === 'RESERVED_KEYWORD' && token.text.toLowerCase() === word;
}

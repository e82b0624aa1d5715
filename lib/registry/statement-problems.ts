import type { ScanToken } from 'libpg-query';
import { MAX_IDENTIFIER_BYTES } from '../../lambdas/postgres/identifiers.ts';
import type { IndexStatement } from './parse-statement.ts';
import type { RegistryRuleName } from './registry-rules.ts';

/** A problem of a name or a statement. */
export interface FieldProblem {
  readonly rule: RegistryRuleName;
  readonly field: 'name' | 'sql';
  readonly message: string;
  /** Place in the statement, in UTF-16 units. Undefined: the whole field. */
  readonly offset?: number;
}

/** Compares the entry's name with the statement's, and checks its length. */
export function nameProblems(parsed: IndexStatement, name: string | undefined): FieldProblem[] {
  const created = parsed.statement.idxname;
  const problem = { rule: 'index-name', field: 'name' } as const;
  if (created === undefined) {
    const message =
      'the statement does not name the index, so a second run would build it again under another name; ' +
      `write create index concurrently if not exists ${name ?? 'NAME'} on …`;
    return [
      { ...problem, field: 'sql', message, offset: startOf(parsed, (token) => isReserved(token, 'on')) },
    ];
  }
  const bytes = Math.max(Buffer.byteLength(name ?? ''), nameBytes(parsed));
  if (bytes > MAX_IDENTIFIER_BYTES) {
    const message =
      `it has ${bytes} bytes, and PostgreSQL truncates names to ${MAX_IDENTIFIER_BYTES} bytes; ` +
      'shorten it here and in the statement';
    return [{ ...problem, message }];
  }
  if (name === undefined || name === created) return [];
  const folded = name.toLowerCase() === created ? ' (PostgreSQL folds unquoted names to lower case)' : '';
  const message =
    `it is "${name}", but the statement creates "${created}"${folded}; ` +
    'write the same name in both, in the statement in double quotes if it has upper case letters';
  return [{ ...problem, message }];
}

/** The length of the name as written: the parser has truncated it already. */
function nameBytes({ tokens }: IndexStatement): number {
  const token = tokens[tokens.findIndex((candidate) => isReserved(candidate, 'on')) - 1];
  if (token === undefined) return 0;
  const isQuoted = token.text.startsWith('"');
  return Buffer.byteLength(isQuoted ? token.text.slice(1, -1).replaceAll('""', '"') : token.text);
}

/** Checks that the statement can be run while the application is in use, and can be run twice. */
export function statementProblems(parsed: IndexStatement): FieldProblem[] {
  const { statement } = parsed;
  const problems: FieldProblem[] = [];
  const report = (offset: number, message: string) =>
    problems.push({ rule: 'statement', field: 'sql', message, offset });
  const index = startOf(parsed, (token) => token.text.toLowerCase() === 'index');
  const table = statement.relation;
  const tableStart = unitsBefore(parsed.bytes, table?.location ?? 0);
  if (statement.concurrent !== true) {
    report(
      index,
      'CONCURRENTLY is missing, so the build would block all writes to the table; write create index concurrently',
    );
  }
  if (statement.idxname !== undefined && statement.if_not_exists !== true) {
    report(
      index,
      `IF NOT EXISTS is missing; write create index concurrently if not exists ${statement.idxname}`,
    );
  }
  if (table?.inh !== true) {
    report(
      startOf(parsed, (token) => isReserved(token, 'only')),
      'ON ONLY skips the partitions, so the index would stay invalid; ' +
        'remove ONLY, because the deploy builds the index on each partition',
    );
  }
  if (table?.catalogname !== undefined) {
    report(tableStart, `the table has a database name ("${table.catalogname}"); write SCHEMA.TABLE`);
  }
  if (/^pg_temp(_\d+)?$/.test(table?.schemaname ?? '')) {
    report(tableStart, 'the table is temporary and ends with its session; name a permanent table');
  }
  return problems;
}

export function isReserved(token: ScanToken, word: 'on' | 'only' | 'using'): boolean {
  return token.keywordName === 'RESERVED_KEYWORD' && token.text.toLowerCase() === word;
}

/** Place of the first matching token, in UTF-16 units. */
function startOf({ tokens, bytes }: IndexStatement, matches: (token: ScanToken) => boolean): number {
  return unitsBefore(bytes, tokens.find(matches)?.start ?? 0);
}

function unitsBefore(bytes: Buffer, location: number): number {
  return bytes.toString('utf8', 0, location).length;
}

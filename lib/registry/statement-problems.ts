import type { ScanToken } from 'libpg-query';
import { MAX_IDENTIFIER_BYTES } from '../../lambdas/postgres/identifiers.ts';
import type { IndexStatement } from './parse-statement.ts';
import type { RegistryRuleName } from './registry-rules.ts';

/** One thing that is wrong with a name or a statement. */
export interface FieldProblem {
  readonly rule: RegistryRuleName;
  readonly field: 'name' | 'sql';
  readonly message: string;
  /** Where in the statement, in UTF-16 units. Undefined: the field as a whole. */
  readonly offset?: number;
}

/** What is wrong with the name, the entry's against the statement's. */
export function nameProblems(parsed: IndexStatement, name: string | undefined): FieldProblem[] {
  const written = parsed.statement.idxname;
  if (written === undefined) {
    const shown = name ?? 'NAME';
    return [
      {
        rule: 'index-name',
        field: 'sql',
        offset: startOf(parsed, (token) => isReserved(token, 'on')),
        message:
          'the index has no name, so a second run would build it again under another one; ' +
          `write create index concurrently if not exists ${shown} on …`,
      },
    ];
  }
  const bytes = Math.max(Buffer.byteLength(name ?? ''), nameBytes(parsed));
  if (bytes > MAX_IDENTIFIER_BYTES) {
    return [
      {
        rule: 'index-name',
        field: 'name',
        message:
          `it has ${bytes} bytes, and PostgreSQL cuts names at ${MAX_IDENTIFIER_BYTES} bytes; ` +
          'shorten it here and in the statement',
      },
    ];
  }
  if (name === undefined || name === written) return [];
  const folded = name.toLowerCase() === written ? ' (PostgreSQL folds what is not quoted to lower case)' : '';
  return [
    {
      rule: 'index-name',
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

/** What is wrong with the statement for a builder that runs it beside the application, and runs it again. */
export function statementProblems(parsed: IndexStatement): FieldProblem[] {
  const { statement } = parsed;
  const problems: FieldProblem[] = [];
  const tell = (message: string, offset: number) =>
    problems.push({ rule: 'statement', field: 'sql', message, offset });
  const index = startOf(parsed, (token) => token.text.toLowerCase() === 'index');
  const table = statement.relation;
  const tableStart = unitsBefore(parsed.bytes, table?.location ?? 0);
  if (statement.concurrent !== true) {
    tell(
      'CONCURRENTLY is missing, and without it the build locks writers out of the table; ' +
        'write create index concurrently',
      index,
    );
  }
  if (statement.idxname !== undefined && statement.if_not_exists !== true) {
    tell(
      `IF NOT EXISTS is missing; write create index concurrently if not exists ${statement.idxname}`,
      index,
    );
  }
  if (table?.inh !== true) {
    tell(
      'ON ONLY leaves out the partitions, and the index would stay invalid; ' +
        'name the table without ONLY, the builder sees to its partitions',
      startOf(parsed, (token) => isReserved(token, 'only')),
    );
  }
  if (table?.catalogname !== undefined) {
    tell(`the table names a database ("${table.catalogname}"); write SCHEMA.TABLE`, tableStart);
  }
  if (/^pg_temp(_\d+)?$/.test(table?.schemaname ?? '')) {
    tell('the table is temporary and gone with its session; name a permanent table', tableStart);
  }
  return problems;
}

export function isReserved(token: ScanToken, word: 'on' | 'only' | 'using'): boolean {
  return token.keywordName === 'RESERVED_KEYWORD' && token.text.toLowerCase() === word;
}

/** Where the first such token starts in the text, in UTF-16 units. */
function startOf({ tokens, bytes }: IndexStatement, wanted: (token: ScanToken) => boolean): number {
  return unitsBefore(bytes, tokens.find(wanted)?.start ?? 0);
}

function unitsBefore(bytes: Buffer, location: number): number {
  return bytes.toString('utf8', 0, location).length;
}

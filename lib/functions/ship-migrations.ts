import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { LinesError } from '../../lambdas/shared/errors.ts';
import {
  hashOfMigration,
  MANIFEST_FILE,
  type MigrationManifest,
} from '../../lambdas/shared/migration-manifest.ts';
import {
  type ShippedStatement,
  type ShippedStatements,
  STATEMENTS_FILE,
} from '../../lambdas/shared/migration-statements.ts';
import { counted } from '../../lambdas/shared/text.ts';
import { hasOtherEncoding, upMigration } from '../sources/migration-files.ts';
import { decodeUtf8, type EncodingProblem } from '../sql/decode-utf8.ts';
import { transactionProblems } from '../sql/one-transaction.ts';
import { parseSql } from '../sql/parser.ts';
import { readSql } from '../sql/read-sql.ts';

/** Migration files that the function run-migrations cannot run. The message names the file and what to do. */
export class MigrationFilesError extends LinesError {
  override readonly name = 'MigrationFilesError';
}

const CODE = ['.js', '.cjs', '.mjs', '.ts', '.cts', '.mts', '.py', '.rb'];

/**
 * Reads the SQL files of a folder. Other files that are not migrations are ignored.
 * @returns the text of each file, by its name without .sql
 * @throws MigrationFilesError when the folder does not exist, contains migrations that are not plain SQL files with numbers,
 * or files that are not UTF-8 or cannot run in one transaction; the message has the file, line and column
 */
export function readMigrations(folder: string): Record<string, string> {
  if (!existsSync(folder) || !statSync(folder).isDirectory()) {
    throw new MigrationFilesError(
      `migrations: the folder ${folder} does not exist. Enter the folder with the SQL files, or "none".`,
    );
  }
  const entries = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => !entry.name.startsWith('.'))
    .toSorted((a, b) => a.name.localeCompare(b.name));
  const files = entries.filter((entry) => !entry.isDirectory()).map((entry) => entry.name);
  for (const file of files) {
    refuseName(folder, file);
    refuseOtherTool(folder, file);
  }
  const sql = files.filter((file) => file.endsWith('.sql'));
  const inside = entries.find(
    (entry) =>
      entry.isDirectory() && readdirSync(join(folder, entry.name)).some((file) => file.endsWith('.sql')),
  );
  if (sql.length === 0 && inside !== undefined) {
    throw new MigrationFilesError(
      `migrations: the SQL files of ${folder} are in subfolders, such as ${inside.name}, which are not read. ` +
        `Put them into one folder, or run their own migration tool with ${OWN_TOOL}.`,
    );
  }
  const unnumbered = sql.find((file) => !/^\d/.test(file));
  if (unnumbered !== undefined && sql.length > 1) {
    throw new MigrationFilesError(
      `migrations: ${join(folder, unnumbered)} has no number. Files are applied in the order of the numbers at the beginning of ` +
        'their names: 0001_tables.sql, 0002_columns.sql.',
    );
  }
  const read = sql.map((file) => ({ file, ...decodeUtf8(readFileSync(join(folder, file))) }));
  refuseProblems(
    read.flatMap(({ file, text, problem }) =>
      problemsOf(text, problem).map((found) => `${join(folder, file)}:${found}`),
    ),
  );
  return Object.fromEntries(read.map(({ file, text }) => [file.slice(0, -'.sql'.length), text]));
}

const MAX_PROBLEMS = 20;

/** @param problems PATH:LINE:COLUMN: message */
function refuseProblems(problems: readonly string[]): void {
  const [first, ...others] = problems;
  if (first === undefined) return;
  if (others.length === 0) throw new MigrationFilesError(`migrations: ${first}`);
  const shown = problems.slice(0, MAX_PROBLEMS).map((problem) => `  - ${problem}`);
  const more = problems.length - shown.length;
  throw new MigrationFilesError([
    `migrations: the files cannot be applied because of ${counted(problems.length, 'problem')}:`,
    ...shown,
    ...(more > 0 ? [`  - … and ${more} more; pg-deploy-step lint shows all of them`] : []),
  ]);
}

/** Why a file cannot be applied: `LINE:COLUMN: message`. Empty: it can. */
function problemsOf(text: string, encoding: EncodingProblem | null): string[] {
  const problems = encoding === null ? transactionProblems(readSql(upMigration(text))) : [encoding];
  return problems.map(({ line, column, message }) => `${line}:${column}: ${message}`);
}

const OWN_TOOL = 'the runner ecs-task or lambda (see docs/configuration.md, migrations)';

/** node-pg-migrate inserts the name into its table without quoting it. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: it finds control characters
const WRONG_IN_NAME = /['\\\u0000-\u001f\u007f]/;

function refuseName(folder: string, file: string): void {
  const path = join(folder, file);
  if (hasOtherEncoding(folder, file)) {
    throw new MigrationFilesError(`migrations: ${path}: the name of this file is not UTF-8. Rename it.`);
  }
  if (file.endsWith('.sql') && WRONG_IN_NAME.test(file)) {
    throw new MigrationFilesError(
      `migrations: ${JSON.stringify(path)}: the name of a migration cannot contain quotes, backslashes or control characters. Rename it.`,
    );
  }
  if (/\.sql$/i.test(file) && !file.endsWith('.sql')) {
    throw new MigrationFilesError(
      `migrations: ${path} would not be applied, because its extension is not .sql in lower case. Rename it.`,
    );
  }
}

function refuseOtherTool(folder: string, file: string): void {
  if (CODE.includes(extname(file))) {
    throw new MigrationFilesError(
      `migrations: ${join(folder, file)} is not SQL, but the runner sql runs only SQL files. Rewrite it in SQL, or run your ` +
        `own migration tool with ${OWN_TOOL}.`,
    );
  }
  if (/\.(up|down)\.sql$/.test(file)) {
    throw new MigrationFilesError(
      `migrations: ${join(folder, file)} is one of the two files of a migration. Rename the up migration to ${file.replace(/\.(up|down)\.sql$/, '.sql')} ` +
        'and remove the down migration from the folder: a deploy never runs it.',
    );
  }
}

/** Writes the SQL files into the folder of a function, unchanged. */
export function shipMigrations(migrations: Record<string, string>, folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const [name, sql] of Object.entries(migrations)) writeFileSync(join(folder, `${name}.sql`), sql);
}

/** Writes the statements of each file, so that the function can report which one failed. */
export function shipStatements(migrations: Record<string, string>, folder: string): void {
  writeFileSync(join(folder, STATEMENTS_FILE), JSON.stringify(shippedStatements(migrations)));
}

/** @param migrations the text of each file, by its name without .sql */
export function shippedStatements(migrations: Record<string, string>): ShippedStatements {
  return Object.fromEntries(Object.entries(migrations).map(([name, text]) => [name, statementsOf(text)]));
}

/** Writes the hash of each file, so that preflight refuses files that were not checked here. */
export function shipManifest(migrations: Record<string, string>, folder: string): void {
  writeFileSync(join(folder, MANIFEST_FILE), JSON.stringify(manifestOf(migrations)));
}

/** @param migrations the text of each file, by its name without .sql */
export function manifestOf(migrations: Record<string, string>): MigrationManifest {
  return Object.fromEntries(
    Object.entries(migrations).map(([name, text]) => [
      name,
      { sha256: hashOfMigration(text), problems: problemsOf(text, null) },
    ]),
  );
}

/**
 * The statements of a migration, without its down migration. If PostgreSQL's parser finds an error or another number of
 * statements, the file is one statement: then no part of it is lost, and the server reports the error.
 */
export function statementsOf(text: string): ShippedStatement[] {
  const up = upMigration(text);
  const whole = [{ sql: up, line: 1, whole: true }];
  try {
    const { statements } = readSql(up);
    const count = parseSql(up).length;
    if (statements.length !== count || statements.some(({ error }) => error !== undefined)) return whole;
    return statements.map(({ start, end, line }) => ({ sql: up.slice(start, end), line, whole: false }));
  } catch {
    return whole;
  }
}

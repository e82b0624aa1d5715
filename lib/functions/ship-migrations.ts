import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { parseSync } from 'libpg-query';
import {
  type ShippedStatement,
  type ShippedStatements,
  STATEMENTS_FILE,
} from '../../lambdas/shared/migration-statements.ts';
import { upMigration } from '../sources/migration-files.ts';
import { readSql } from '../sql/read-sql.ts';

/** Migration files that the function run-migrations cannot run. The message names the file and what to do. */
export class MigrationFilesError extends Error {
  override readonly name = 'MigrationFilesError';
}

const CODE = ['.js', '.cjs', '.mjs', '.ts', '.cts', '.mts', '.py', '.rb'];

/**
 * Reads the SQL files of a folder. Other files that are not migrations are ignored.
 * @returns the content of each file, by its name without .sql
 * @throws MigrationFilesError when the folder does not exist, or contains migrations that are not plain SQL files with
 * numbers
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
  for (const file of files) refuseOtherTool(folder, file);
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
  return Object.fromEntries(
    sql.map((file) => [file.slice(0, -'.sql'.length), readFileSync(join(folder, file), 'utf8')]),
  );
}

const OWN_TOOL = 'the runner ecs-task or lambda (see docs/configuration.md, migrations)';

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
  const statements: ShippedStatements = Object.fromEntries(
    Object.entries(migrations).map(([name, text]) => [name, statementsOf(text)]),
  );
  writeFileSync(join(folder, STATEMENTS_FILE), JSON.stringify(statements));
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
    const count = parseSync(up).stmts?.length ?? 0;
    if (statements.length !== count || statements.some(({ error }) => error !== undefined)) return whole;
    return statements.map(({ start, end, line }) => ({ sql: up.slice(start, end), line, whole: false }));
  } catch {
    return whole;
  }
}

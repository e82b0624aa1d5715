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

/** SQL files that the functions cannot run as they are; the message names the file and what to do. */
export class MigrationFilesError extends Error {
  override readonly name = 'MigrationFilesError';
}

const CODE = ['.js', '.cjs', '.mjs', '.ts', '.cts', '.mts', '.py', '.rb'];

/**
 * Reads the SQL files of a folder, by their names without .sql. Files of other kinds that are no migrations are left out.
 * @throws MigrationFilesError
 */
export function readMigrations(folder: string): Record<string, string> {
  if (!existsSync(folder) || !statSync(folder).isDirectory()) {
    throw new MigrationFilesError(
      `migrations: the folder ${folder} does not exist. Name the folder with the SQL files, or "none".`,
    );
  }
  const entries = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => !entry.name.startsWith('.'))
    .toSorted((a, b) => a.name.localeCompare(b.name));
  const files = entries.filter((entry) => !entry.isDirectory()).map((entry) => entry.name);
  for (const file of files) refuseOther(folder, file);
  const sql = files.filter((file) => file.endsWith('.sql'));
  const inside = entries.find(
    (entry) =>
      entry.isDirectory() && readdirSync(join(folder, entry.name)).some((file) => file.endsWith('.sql')),
  );
  if (sql.length === 0 && inside !== undefined) {
    throw new MigrationFilesError(
      `migrations: the SQL files of ${folder} are in folders of their own, such as ${inside.name}, where they are not looked for. ` +
        `Put them into one folder, or run the tool that keeps them so by ${OWN_TOOL}.`,
    );
  }
  const unnumbered = sql.find((file) => !/^\d/.test(file));
  if (unnumbered !== undefined && sql.length > 1) {
    throw new MigrationFilesError(
      `migrations: ${join(folder, unnumbered)} has no number. Files are applied in the order of the numbers that their names ` +
        'begin with: 0001_tables.sql, 0002_columns.sql.',
    );
  }
  return Object.fromEntries(
    sql.map((file) => [file.slice(0, -'.sql'.length), readFileSync(join(folder, file), 'utf8')]),
  );
}

const OWN_TOOL = 'the runner ecs-task or lambda: see migrations in docs/configuration.md';

function refuseOther(folder: string, file: string): void {
  if (CODE.includes(extname(file))) {
    throw new MigrationFilesError(
      `migrations: ${join(folder, file)} is not SQL, and the runner sql takes SQL files only. Write it as SQL, or run the ` +
        `application's own migration tool by ${OWN_TOOL}.`,
    );
  }
  if (/\.(up|down)\.sql$/.test(file)) {
    throw new MigrationFilesError(
      `migrations: ${join(folder, file)} is half of a migration. Name the way forth ${file.replace(/\.(up|down)\.sql$/, '.sql')} ` +
        'and leave the way back out of the folder: a deploy never runs it.',
    );
  }
}

/** Writes SQL files into a function's folder, as they are. */
export function shipMigrations(migrations: Record<string, string>, folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const [name, sql] of Object.entries(migrations)) writeFileSync(join(folder, `${name}.sql`), sql);
}

/** Writes beside them what of each file is run, statement by statement, so that the one that fails is known. */
export function shipStatements(migrations: Record<string, string>, folder: string): void {
  const statements: ShippedStatements = Object.fromEntries(
    Object.entries(migrations).map(([name, text]) => [name, statementsOf(text)]),
  );
  writeFileSync(join(folder, STATEMENTS_FILE), JSON.stringify(statements));
}

/**
 * The statements of a migration, its way back left out. What PostgreSQL's parser does not read as a whole, in just as many
 * statements, is run as a whole: then nothing of it can be lost, and the server says what is wrong.
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

import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { LinesError } from '../../lambdas/shared/errors.ts';
import { hashOfMigration, type MigrationManifest } from '../../lambdas/shared/migration-manifest.ts';
import type { ShippedStatement, ShippedStatements } from '../../lambdas/shared/migration-statements.ts';
import { isMarkedOnline } from '../../lambdas/shared/online-migrations.ts';
import { counted } from '../../lambdas/shared/text.ts';
import { visible } from '../../lambdas/shared/visible-text.ts';
import { allowancesIn, allowedLinesOf } from '../lint/allow-comments.ts';
import { inWords } from '../sources/dialects.ts';
import { reasonOf } from '../sources/folder-entries.ts';
import { upMigration } from '../sources/migration-files.ts';
import { runnerFolder } from '../sources/runner-folder.ts';
import { decodeUtf8 } from '../sql/decode-utf8.ts';
import { KnownObjects } from '../sql/known-objects.ts';
import { OnlineFile, type OnlineProblem } from '../sql/online/online-file.ts';
import { parseSql } from '../sql/parser.ts';
import type { Place } from '../sql/places.ts';
import { readSql } from '../sql/read-sql.ts';
import type { SqlPiece } from '../sql/sql-piece.ts';
import { type TransactionProblems, transactionProblems } from '../sql/transaction/transaction-problems.ts';
import type { ShippedMigrations } from './shipped-migrations.ts';

/** Migration files that the function run-migrations cannot run. The message names the file and what to do. */
export class MigrationFilesError extends LinesError {
  override readonly name = 'MigrationFilesError';
}

/**
 * Reads the SQL files of a folder. Other files that are not migrations are ignored: `notesOnMigrations` lists those that look
 * like some.
 * @param searchPath in which names without a schema are looked up @default public
 * @returns the text of each file, by its name without .sql
 * @throws MigrationFilesError when the folder does not exist, contains migrations that are not plain SQL files with numbers,
 * files that cannot be read, are not UTF-8 or cannot run in one transaction; the message lists all of them, with line and
 * column
 */
export function readMigrations(folder: string, searchPath?: readonly string[]): Record<string, string> {
  if (!existsSync(folder) || !statSync(folder).isDirectory()) {
    throw new MigrationFilesError(
      `migrations: the folder ${folder} does not exist. Enter the folder with the SQL files, or "none".`,
    );
  }
  const { files, problems } = runnerFolder(folder);
  const known = new KnownObjects(searchPath);
  const read = files.map((file) => readFile(file, known));
  refuseProblems([
    ...problems.map(({ file, reason }) => `${visible(file)}: ${reason}.`),
    ...read.flatMap(({ problems: found }) => found),
  ]);
  return Object.fromEntries(read.map(({ file, text }) => [basename(file, '.sql'), text]));
}

/**
 * Reads the migrations of a folder for the functions.
 * @param searchPath in which names without a schema are looked up @default public
 * @throws MigrationFilesError as readMigrations
 */
export function migrationsToShip(folder: string, searchPath?: readonly string[]): ShippedMigrations {
  const files = readMigrations(folder, searchPath);
  return { files, statements: shippedStatements(files), manifest: manifestOf(files, searchPath) };
}

/** What is in a folder of migrations and is not applied, one line each. */
export function notesOnMigrations(folder: string): string[] {
  const { left, dialects } = runnerFolder(folder);
  return [...left.map(({ file, reason }) => `${visible(file)}: ${reason}.`), ...dialects.map(inWords)];
}

/**
 * The text of a file, and why it cannot be applied: `PATH:LINE:COLUMN: message`.
 * @param known what the files before it create; what this one creates is added
 */
function readFile(file: string, known: KnownObjects): { file: string; text: string; problems: string[] } {
  try {
    const { text, problem } = decodeUtf8(readFileSync(file));
    const problems = problem === null ? problemsOf(file, text, known).problems : [problem];
    return { file, text, problems: problems.map((found) => `${file}:${problemText(found)}`) };
  } catch (error) {
    return { file, text: '', problems: [`${file}: it cannot be read: ${reasonOf(error)}.`] };
  }
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

/** Why a file cannot be applied. @param known what the files before it create; what this one creates is added */
function problemsOf(
  file: string,
  text: string,
  known: KnownObjects,
): {
  problems: readonly (Place & { readonly message: string })[];
  conditional: TransactionProblems['conditional'];
} {
  const sql = readSql(upMigration(text));
  if (!isMarkedOnline(text)) return transactionProblems(file, sql, known);
  const online = new OnlineFile(file, known);
  const found: OnlineProblem[] = [];
  const { problems, conditional } = transactionProblems(file, sql, known, (statement) =>
    found.push(...online.problemsOf(statement)),
  );
  const isAllowed = allowedLinesOf('online-migration', allowancesIn(file, sql));
  return { problems: [...problems, ...found.filter(({ line }) => !isAllowed(line))], conditional };
}

/** `LINE:COLUMN: message` */
function problemText({ line, column, message }: Place & { readonly message: string }): string {
  return `${line}:${column}: ${message}`;
}

/** @param migrations the text of each file, by its name without .sql */
export function shippedStatements(migrations: Record<string, string>): ShippedStatements {
  return Object.fromEntries(Object.entries(migrations).map(([name, text]) => [name, statementsOf(text)]));
}

/**
 * @param migrations the text of each file, by its name without .sql
 * @param searchPath in which names without a schema are looked up @default public
 */
export function manifestOf(
  migrations: Record<string, string>,
  searchPath?: readonly string[],
): MigrationManifest {
  const known = new KnownObjects(searchPath);
  return Object.fromEntries(
    Object.entries(migrations).map(([name, text]) => {
      const { problems, conditional } = problemsOf(`${name}.sql`, text, known);
      const inDatabase = conditional.map(({ condition, ...problem }) => ({
        problem: problemText(problem),
        condition,
      }));
      return [name, { sha256: hashOfMigration(text), problems: problems.map(problemText), inDatabase }];
    }),
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
    if (statements.some(({ error }) => error !== undefined) || !areStatements(up, statements)) return whole;
    return statements.map(({ start, end, line }) => ({ sql: up.slice(start, end), line, whole: false }));
  } catch {
    return whole;
  }
}

/** The parser gets about so many characters at once: its trees need a hundred times as much memory. */
const CHARACTERS_AT_ONCE = 100_000;

/** Whether the parser finds these statements in the text, and no others. */
function areStatements(text: string, statements: readonly SqlPiece[]): boolean {
  let [first, from] = [0, 0];
  for (let after = 1; after <= statements.length; after += 1) {
    const isLast = after === statements.length;
    const to = isLast ? text.length : (statements[after - 1]?.end ?? 0);
    if (to - from < CHARACTERS_AT_ONCE && !isLast) continue;
    const part = statements.slice(first, after);
    if (parseSql(withoutData(text, part, { from, to })).length !== part.length) return false;
    [first, from] = [after, to];
  }
  return statements.length > 0 || parseSql(text).length === 0;
}

/** A part of the text as the parser reads its single statements: without rows of data. */
function withoutData(
  text: string,
  statements: readonly SqlPiece[],
  { from, to }: { from: number; to: number },
): string {
  const ends = [from, ...statements.map(({ end }) => end)];
  const parts = statements.map(({ start, end, sql, placeholders }, at) => {
    const read = placeholders.length === 0 ? sql : text.slice(start, end);
    return text.slice(ends[at], start) + read;
  });
  return parts.join('') + text.slice(ends.at(-1), to);
}

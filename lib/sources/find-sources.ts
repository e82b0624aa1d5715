import { readFileSync, statSync } from 'node:fs';
import { basename, dirname, extname, join, relative, resolve } from 'node:path';
import { counted } from '../../lambdas/shared/text.ts';
import { type OtherDialect, otherDialect, withoutOtherDialects } from './dialects.ts';
import { drizzleDialect, readDrizzle } from './drizzle.ts';
import { readFlyway } from './flyway.ts';
import { filesBelow } from './folder-entries.ts';
import { type History, historiesIn, mostLikely } from './histories.ts';
import { NUMBERED_CODE, readSources, readUpMigration } from './migration-files.ts';
import { readNodePgMigrate } from './node-pg-migrate.ts';
import { withValues } from './placeholders.ts';
import { readRails, readRuby } from './rails.ts';
import { inRunnerOrder, NOT_LOWER_CASE } from './runner-folder.ts';
import {
  NoMigrations,
  NoSourceError,
  type Skipped,
  type SourceFiles,
  type SourceReading,
  type Sources,
  type Tool,
} from './sql-source.ts';

/**
 * Reads the SQL of a path, in the order in which its tool runs it. What cannot be read, and what is beside it and belongs to
 * another history, is in `skipped`.
 * @param path a file, a folder of migrations, or a project that contains one
 * @throws NoSourceError if the path does not exist, contains no migrations, or several histories of which none is the obvious
 * one
 */
export async function findSources(path: string, reading: SourceReading = {}): Promise<Sources> {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw new NoSourceError(`The file or folder ${path} does not exist.`);
  const sources = stat.isDirectory() ? await ofFolder(path, reading) : await ofFile(path, reading);
  const { placeholders = new Map<string, string>() } = reading;
  return { ...sources, files: sources.files.map((source) => withValues(source, placeholders)) };
}

async function ofFile(path: string, { from, runCode = true }: SourceReading): Promise<Sources> {
  const isCode = NUMBERED_CODE.test(basename(path));
  const isRuby = extname(path) === '.rb';
  const tool = from ?? (isRuby ? 'rails' : isCode ? 'node-pg-migrate' : 'plain');
  const read = isRuby
    ? await readRuby([path])
    : tool === 'node-pg-migrate'
      ? await readNodePgMigrate([path], runCode)
      : readSources([path], readUpMigration);
  const [problem] = read.skipped;
  if (problem?.isError) throw new NoSourceError(`${path}: ${problem.reason}.`);
  return { tool, folder: path, dialects: [], ...read };
}

async function ofFolder(path: string, reading: SourceReading): Promise<Sources> {
  const { from } = reading;
  const found = filesBelow(path);
  const { files, dialects: ofNames } = withoutOtherDialects(found.files, path);
  const all = historiesIn(path, files, from);
  const { histories, dialects } = withoutOtherProviders(all, ofNames);
  const own = isMigrationsFolder(path, reading) ? histories.find(({ folder }) => folder === path) : undefined;
  const [history, ...equal] = own === undefined ? mostLikely(path, histories) : [own];
  if (history === undefined && from === 'drizzle') readDrizzle(path);
  if (history === undefined) throw nothingIn({ path, from, dialects, problems: found.problems });
  if (equal.length > 0) throw severalIn(path, [history, ...equal]);
  const read = await readHistory(history, reading, files);
  return {
    tool: history.tool,
    folder: history.folder,
    dialects,
    files: read.files,
    skipped: [
      ...found.problems.filter(({ file }) => isBelow(file, history.folder)),
      ...notLowerCase(history, found.files),
      ...read.skipped,
      ...others(histories.filter((one) => one !== history)),
    ],
  };
}

/** Whether the files directly in a folder are migrations, even if only its folders have numbered ones. */
function isMigrationsFolder(path: string, { appliedFolder = null }: SourceReading): boolean {
  const isApplied = appliedFolder !== null && resolve(appliedFolder) === resolve(path);
  return isApplied || /migrat/i.test(basename(resolve(path)));
}

async function readHistory(
  { tool, folder, files }: History,
  { runCode = true, prefer = 'schema' }: SourceReading,
  all: readonly string[],
): Promise<SourceFiles> {
  if (tool === 'drizzle') return readDrizzle(folder);
  if (tool === 'flyway') return readFlyway(files);
  if (tool === 'rails')
    return await readRails(
      folder,
      all.filter((file) => isBelow(file, folder)),
      prefer,
    );
  if (tool === 'node-pg-migrate') return await readNodePgMigrate(files.toSorted(byName), runCode);
  const isFlat =
    tool === 'plain' && files.every((file) => dirname(file) === folder && /^\d/.test(basename(file)));
  const read = readSources(isFlat ? files.toSorted(byName) : files, readUpMigration);
  return { files: read.files, skipped: [...read.skipped, ...codeBeside(files, all)] };
}

function byName(a: string, b: string): number {
  return inRunnerOrder(basename(a), basename(b));
}

const OTHER_CODE = /\.(?:[cm]?[jt]s|rb|py|java|kt|go|php|exs?|cs)$/;

/** Migrations that are code in folders with SQL migrations: such a project uses both. */
function codeBeside(sql: readonly string[], files: readonly string[]): Skipped[] {
  const folders = new Set(sql.map((file) => dirname(file)));
  return files
    .filter((file) => OTHER_CODE.test(file) && folders.has(dirname(file)))
    .map((file) => notRead(file, 'it is code, and only SQL and the code of node-pg-migrate can be read'));
}

function notLowerCase({ folder, files }: History, all: readonly string[]): Skipped[] {
  const folders = new Set([folder, ...files.map((file) => dirname(file))]);
  return all
    .filter((file) => extname(file) !== '.sql' && /\.sql$/i.test(file) && folders.has(dirname(file)))
    .map((file) => ({ ...notRead(file, NOT_LOWER_CASE), isError: true }));
}

function notRead(file: string, reason: string): Skipped {
  return { file, line: null, what: `file ${basename(file)}`, reason };
}

function isBelow(file: string, folder: string): boolean {
  return !relative(folder, file).startsWith('..');
}

/** Folders of Prisma and Drizzle name their database in a file. */
function withoutOtherProviders(
  histories: readonly History[],
  dialects: readonly OtherDialect[],
): { histories: History[]; dialects: OtherDialect[] } {
  const left = histories.flatMap((history): OtherDialect[] => {
    const dialect = otherDialect(providerOf(history) ?? '');
    const files = history.tool === 'drizzle' ? 1 : history.files.length;
    return dialect === null ? [] : [{ dialect, files, example: history.files[0] ?? '' }];
  });
  return {
    histories: histories.filter((history) => otherDialect(providerOf(history) ?? '') === null),
    dialects: [...dialects, ...left],
  };
}

function providerOf({ tool, folder }: History): string | null {
  if (tool === 'drizzle') return drizzleDialect(folder);
  if (tool !== 'prisma') return null;
  try {
    const lock = readFileSync(join(folder, 'migration_lock.toml'), 'utf8');
    return /^\s*provider\s*=\s*"(\w+)"/m.exec(lock)?.[1] ?? null;
  } catch {
    return null;
  }
}

/** Most folders that are named one by one. */
const MOST_FOLDERS = 10;

/** The histories that are not read, one line each. */
function others(histories: readonly History[]): Skipped[] {
  const lines = histories.map((history): Skipped => {
    const { folder } = history;
    const reason = history.isOrdered
      ? `${inWords(history)} there are another history, which is not merged with this one; read it separately, into a registry of its own`
      : `${inWords(history)} there have no numbers, so they are not read as migrations; name the folder to read it`;
    return { file: folder, line: null, what: `folder ${basename(folder)}`, reason };
  });
  const more = lines.slice(MOST_FOLDERS);
  const [last] = more;
  if (last === undefined) return lines;
  const reason = `it and ${counted(more.length - 1, 'other folder')} with SQL files are not read; name a folder to read it`;
  return [...lines.slice(0, MOST_FOLDERS), { ...last, reason }];
}

function inWords({ tool, files }: History): string {
  if (tool === 'drizzle' || tool === 'rails') return `the migrations of ${tool}`;
  return `the ${counted(files.length, tool === 'plain' ? 'SQL file' : `migration`)}${tool === 'plain' ? '' : ` of ${tool}`}`;
}

function severalIn(path: string, histories: readonly History[]): NoSourceError {
  return new NoSourceError([
    `${path} contains ${histories.length} separate histories of migrations:`,
    ...histories.map((history) => `  - ${history.folder}: ${inWords(history).replace('the ', '')}`),
    'They are not merged. Give the path of one of them, and use a registry of its own for each database. If one database gets ' +
      'several of them, give all paths in the order in which they are applied.',
  ]);
}

function nothingIn({
  path,
  from,
  dialects,
  problems,
}: {
  path: string;
  from: Tool | undefined;
  dialects: readonly OtherDialect[];
  problems: readonly Skipped[];
}): NoSourceError {
  const expected = from === undefined || from === 'plain' ? 'no SQL files' : `no migrations of ${from}`;
  const other = dialects.map(({ dialect, files }) => `${counted(files, 'file')} for ${dialect}`);
  return new NoMigrations([
    `${path} contains ${expected}${other.length === 0 ? '' : ` for PostgreSQL, only ${other.join(' and ')}`}.`,
    ...problems.slice(0, 20).map(({ file, what, reason }) => `  - ${file}: ${what}: ${reason}`),
  ]);
}

import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { JOURNAL, readDrizzle } from './drizzle.ts';
import { FLYWAY_FILE, readFlyway } from './flyway.ts';
import { filesBelow, isFolder, readSource, readUpMigration } from './migration-files.ts';
import { readNodePgMigrate } from './node-pg-migrate.ts';
import { NoSourceError, type Skipped, type SourceReading, type Sources, type Tool } from './sql-source.ts';

/** Migrations of node-pg-migrate: a timestamp or a number, and words. */
const CODE = /^\d+[_-].*\.(?:[cm]?js|[cm]?ts)$/;
const UP_MARK = /^[ \t]*--[ \t-]*up\s+migration/im;
/** Down migrations of golang-migrate and other tools. */
const DOWN_FILE = /\.(?:down|undo|rollback)\.sql$/i;

const OTHER_CODE = /\.(?:[cm]?[jt]s|rb|py|java|kt|go|php|exs?|cs)$/;

/** Where each tool keeps its migrations in a project. */
const FOLDERS: readonly string[] = ['prisma/migrations', 'drizzle', 'db', 'migrations'];

/**
 * Reads the SQL of a path, in the order in which its tool runs it.
 * @param path a file, a folder of migrations, or a project that contains one
 * @throws NoSourceError if the path does not exist or contains no migrations
 */
export async function findSources(
  path: string,
  { from, runCode = true }: SourceReading = {},
): Promise<Sources> {
  if (!existsSync(path)) throw new NoSourceError(`The file or folder ${path} does not exist.`);
  const tool = from ?? toolOf(path);
  const sources = await read(tool, isFolder(path) ? folderOf(tool, path) : path, runCode);
  if (sources.files.length === 0 && sources.skipped.length === 0) {
    const expected = tool === 'plain' ? 'no SQL files' : `no migrations of ${tool}`;
    throw new NoSourceError(`${path} contains ${expected}.${schemaRb(path)}`);
  }
  return sources;
}

function toolOf(path: string): Tool {
  if (!isFolder(path))
    return path.endsWith('.sql') ? 'plain' : CODE.test(basename(path)) ? 'node-pg-migrate' : 'plain';
  const folders = [path, ...FOLDERS.map((folder) => join(path, folder))].filter(isFolder);
  for (const folder of folders) {
    if (existsSync(join(folder, JOURNAL))) return 'drizzle';
    if (existsSync(join(folder, 'structure.sql'))) return 'rails';
    const files = filesBelow(folder);
    if (files.some((file) => basename(file) === 'migration.sql')) return 'prisma';
    if (files.some((file) => FLYWAY_FILE.test(basename(file)))) return 'flyway';
    if (files.some((file) => dirname(file) === folder && isNodePgMigrate(file))) return 'node-pg-migrate';
  }
  return 'plain';
}

function isNodePgMigrate(file: string): boolean {
  if (CODE.test(basename(file))) return true;
  return file.endsWith('.sql') && UP_MARK.test(readFileSync(file, 'utf8'));
}

/** The folder itself, or the folder of a project in which the tool keeps its files. */
function folderOf(tool: Tool, path: string): string {
  const usual: Readonly<Record<Tool, readonly string[]>> = {
    prisma: ['prisma/migrations'],
    drizzle: ['drizzle'],
    rails: ['db'],
    flyway: [],
    'node-pg-migrate': ['migrations'],
    plain: [],
  };
  return usual[tool].map((folder) => join(path, folder)).find(isFolder) ?? path;
}

async function read(tool: Tool, path: string, runCode: boolean): Promise<Sources> {
  if (!isFolder(path)) {
    return tool === 'node-pg-migrate'
      ? await readNodePgMigrate([path], runCode)
      : { tool, files: [readUpMigration(path)], skipped: [] };
  }
  if (tool === 'drizzle') return readDrizzle(path);
  if (tool === 'flyway') return readFlyway(path);
  if (tool === 'rails') return readRails(path);
  const files = filesBelow(path);
  if (tool === 'node-pg-migrate') {
    const own = files.filter((file) => dirname(file) === path);
    const migrations = own.filter((file) => file.endsWith('.sql') || CODE.test(basename(file)));
    return await readNodePgMigrate(migrations, runCode);
  }
  const wanted = files.filter((file) =>
    tool === 'prisma' ? basename(file) === 'migration.sql' : file.endsWith('.sql') && !DOWN_FILE.test(file),
  );
  return { tool, files: wanted.map(readUpMigration), skipped: codeBeside(wanted, files) };
}

/** Migrations that are code in folders with SQL migrations: such a project uses both. */
function codeBeside(sql: readonly string[], files: readonly string[]): Skipped[] {
  const folders = new Set(sql.map((file) => dirname(file)));
  return files
    .filter((file) => OTHER_CODE.test(file) && folders.has(dirname(file)))
    .map((file) => ({
      file,
      line: null,
      what: `file ${basename(file)}`,
      reason: 'it is code, and only SQL and the code of node-pg-migrate can be read',
    }));
}

/** Reads the first database's structure; each other database needs an import of its own. */
function readRails(folder: string): Sources {
  const file = join(folder, 'structure.sql');
  const others = filesBelow(folder).filter((one) => one.endsWith('_structure.sql'));
  const skipped = others.map(
    (one): Skipped => ({
      file: one,
      line: null,
      what: `file ${basename(one)}`,
      reason: 'it belongs to another database; import it separately, into a registry of its own',
    }),
  );
  return { tool: 'rails', files: existsSync(file) ? [readSource(file)] : [], skipped };
}

function schemaRb(path: string): string {
  const found = ['schema.rb', 'db/schema.rb'].some((file) => existsSync(join(path, file)));
  return found
    ? ' The schema is in schema.rb. Set config.active_record.schema_format = :sql, run bin/rails db:schema:dump, then import db/structure.sql.'
    : '';
}

import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { upPart } from '../sql/up-part.ts';
import { JOURNAL, readDrizzle } from './drizzle.ts';
import { filesBelow, isFolder, readSource } from './files.ts';
import { FLYWAY_FILE, readFlyway } from './flyway.ts';
import { readNodePgMigrate } from './node-pg-migrate.ts';
import { NoSourceError, type NotTaken, type Sources, type SqlSource, type Tool } from './source.ts';

/** Timestamp or number, words. */
const CODE = /^\d+[_-].*\.(?:[cm]?js|[cm]?ts)$/;
const UP_MARK = /^[ \t]*--[\s-]*up\s+migration/im;
/** The way back, of golang-migrate and others. */
const WAY_BACK = /\.(?:down|undo|rollback)\.sql$/i;

const OTHER_CODE = /\.(?:[cm]?[jt]s|rb|py|java|kt|go|php|exs?|cs)$/;

/** Where each tool keeps its migrations in a project. */
const FOLDERS: readonly string[] = ['prisma/migrations', 'drizzle', 'db', 'migrations'];

/**
 * Reads the SQL that a path holds, in the order in which its tool runs it.
 * @param path a file, a folder of migrations, or a project with one
 * @param from the tool; undefined: told by what is there
 * @throws NoSourceError
 */
export async function findSources(path: string, from: Tool | undefined): Promise<Sources> {
  if (!existsSync(path)) throw new NoSourceError(`There is no file or folder ${path}.`);
  const tool = from ?? toolOf(path);
  const sources = await read(tool, isFolder(path) ? folderOf(tool, path) : path);
  if (sources.files.length === 0 && sources.notTaken.length === 0) {
    throw new NoSourceError(
      `${path} holds no migrations of ${tool === 'plain' ? 'SQL' : tool}.${schemaRb(path)}`,
    );
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

/** The folder itself, or the one of a project in which the tool keeps its files. */
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

async function read(tool: Tool, path: string): Promise<Sources> {
  if (!isFolder(path)) {
    return tool === 'node-pg-migrate'
      ? await readNodePgMigrate([path])
      : { tool, files: [wayForth(readSource(path))], notTaken: [] };
  }
  if (tool === 'drizzle') return readDrizzle(path);
  if (tool === 'flyway') return readFlyway(path);
  if (tool === 'rails') return readRails(path);
  const files = filesBelow(path);
  if (tool === 'node-pg-migrate') {
    const own = files.filter((file) => dirname(file) === path);
    return await readNodePgMigrate(own.filter((file) => file.endsWith('.sql') || CODE.test(basename(file))));
  }
  const wanted = files.filter((file) =>
    tool === 'prisma' ? basename(file) === 'migration.sql' : file.endsWith('.sql') && !WAY_BACK.test(file),
  );
  return { tool, files: wanted.map(readSource).map(wayForth), notTaken: codeBeside(wanted, files) };
}

function wayForth(source: SqlSource): SqlSource {
  return { ...source, text: upPart(source.text) };
}

/** Migrations that are code, in the folders of those that are SQL: whoever has both means both. */
function codeBeside(sql: readonly string[], files: readonly string[]): NotTaken[] {
  const folders = new Set(sql.map((file) => dirname(file)));
  return files
    .filter((file) => OTHER_CODE.test(file) && folders.has(dirname(file)))
    .map((file) => ({
      file,
      line: null,
      what: `file ${basename(file)}`,
      reason: 'it is code, and no tool is known here that writes down its SQL',
    }));
}

/** The first database's; another one's structure is another import. */
function readRails(folder: string): Sources {
  const file = join(folder, 'structure.sql');
  const others = filesBelow(folder).filter((one) => one.endsWith('_structure.sql'));
  const notTaken = others.map(
    (one): NotTaken => ({
      file: one,
      line: null,
      what: `file ${basename(one)}`,
      reason: 'it is of another database; import it by itself, into its own registry',
    }),
  );
  return { tool: 'rails', files: existsSync(file) ? [readSource(file)] : [], notTaken };
}

function schemaRb(path: string): string {
  const found = ['schema.rb', 'db/schema.rb'].some((file) => existsSync(join(path, file)));
  return found
    ? ' There is a schema.rb: set config.active_record.schema_format = :sql, run bin/rails db:schema:dump, import db/structure.sql.'
    : '';
}

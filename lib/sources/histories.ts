import { basename, dirname, join, relative, sep } from 'node:path';
import { flywayFolders } from './flyway.ts';
import { grouped } from './group-files.ts';
import { hasLine } from './has-line.ts';
import { isDownFile, NUMBERED_CODE, UP_MARK } from './migration-files.ts';
import type { Tool } from './sql-source.ts';

/** The migrations of one database: one tool applies them, in one order. */
export interface History {
  readonly tool: Tool;
  readonly folder: string;
  /** The files of its tool below the folder, in the order of their paths. */
  readonly files: readonly string[];
  /** False: SQL files without numbers, whose order nobody knows. */
  readonly isOrdered: boolean;
}

/** Where a project usually keeps its migrations, the most likely first. The project's own folder comes before them. */
const USUAL = ['.', 'prisma/migrations', 'drizzle', 'db', 'migrations'].map((folder) => join(folder));

/** Folders with copies, test data and other things that no deploy applies. */
const ASIDE =
  /^(?:tests?|__tests__|testdata|fixtures?|specs?|e2e|examples?|samples?|target|build|dist|out|vendor|tmp)$/i;

/**
 * Finds the histories in the files of a project. Each file belongs to at most one of them.
 * @param root the folder that the user named
 * @param from the only tool to look for; undefined: any
 */
export function historiesIn(root: string, files: readonly string[], from?: Tool): History[] {
  const finders: readonly [Tool, Finder][] = [
    ['drizzle', drizzleFolders],
    ['rails', railsFolders],
    ['prisma', prismaFolders],
    ['flyway', flywayFolders],
    ['node-pg-migrate', nodePgMigrateFolders],
    ['plain', plainFolders],
  ];
  const histories: History[] = [];
  let rest = files;
  for (const [tool, find] of finders) {
    if (from !== undefined && from !== tool) continue;
    for (const [folder, members] of find(rest, root, from !== undefined)) {
      const names = members.filter((file) => file.endsWith('.sql')).map((file) => basename(file));
      const isOrdered = tool !== 'plain' || names.some((name) => /^[vV]?\d/.test(name));
      histories.push({ tool, folder, files: members, isOrdered });
    }
    const claimed = new Set(histories.flatMap((history) => claimedBy(history, rest)));
    rest = rest.filter((file) => !claimed.has(file));
  }
  return histories;
}

/**
 * Chooses the history that the path means.
 * @returns several: the path means none of them more than the others
 */
export function mostLikely(root: string, histories: readonly History[]): readonly History[] {
  const ranked = histories.map((history) => ({ history, rank: rankOf(root, history) }));
  const best = ranked.map(({ rank }) => rank).toSorted(compareRanks)[0];
  if (best === undefined) return [];
  return ranked.filter(({ rank }) => compareRanks(rank, best) === 0).map(({ history }) => history);
}

/** Lower is more likely. */
function rankOf(root: string, { folder, isOrdered }: History): number[] {
  const path = relative(root, folder);
  const usual = USUAL.indexOf(path === '' ? '.' : path);
  return [
    path.split(sep).some((part) => ASIDE.test(part)) ? 1 : 0,
    isOrdered ? 0 : 1,
    usual === -1 ? USUAL.length : usual,
  ];
}

function compareRanks(a: readonly number[], b: readonly number[]): number {
  return a.map((rank, at) => rank - (b[at] ?? 0)).find((difference) => difference !== 0) ?? 0;
}

/** The files of each history, by its folder. @param isForced whether the user named the tool */
type Finder = (files: readonly string[], root: string, isForced: boolean) => Map<string, string[]>;

function claimedBy({ tool, folder, files }: History, rest: readonly string[]): readonly string[] {
  // The other files in these folders belong to the tool too, which does not apply them.
  const isWhole = tool === 'drizzle' || tool === 'rails';
  return isWhole ? rest.filter((file) => file.startsWith(join(folder, sep))) : files;
}

export const JOURNAL = join('meta', '_journal.json');

function drizzleFolders(files: readonly string[]): Map<string, string[]> {
  const journals = files.filter((file) => file.endsWith(join(sep, JOURNAL)) || file === JOURNAL);
  return new Map(journals.map((journal) => [dirname(dirname(journal)), [journal]]));
}

/** Whether a file is a migration of Rails: a timestamp or a number, and words. */
export function isRailsMigration(name: string): boolean {
  return /^\d+_\w+(?:\.\w+)?\.rb$/.test(name);
}

const RAILS_SCHEMA = ['structure.sql', 'schema.rb'];

function railsFolders(files: readonly string[], root: string, isForced: boolean): Map<string, string[]> {
  const members = files.flatMap((file): [string, string][] => {
    const folder = dirname(file);
    if (
      isRailsMigration(basename(file)) &&
      (isForced || folder === root || /migrat/i.test(basename(folder)))
    ) {
      return [[folder !== root && basename(folder) === 'migrate' ? dirname(folder) : folder, file]];
    }
    const isUsual = isForced || folder === root || basename(folder) === 'db';
    return isUsual && RAILS_SCHEMA.includes(basename(file)) ? [[folder, file]] : [];
  });
  return grouped(members);
}

function prismaFolders(files: readonly string[], root: string): Map<string, string[]> {
  const migrations = files.filter((file) => basename(file) === 'migration.sql');
  return grouped(migrations.map((file) => [dirname(file) === root ? root : dirname(dirname(file)), file]));
}

function nodePgMigrateFolders(
  files: readonly string[],
  root: string,
  isForced: boolean,
): Map<string, string[]> {
  const byFolder = Map.groupBy(files, dirname);
  const found = [...byFolder].filter(([folder, members]) => {
    const usual =
      isForced || USUAL.includes(relative(root, folder) || '.') || /migrat/i.test(basename(folder));
    return usual && members.some((file) => isNodePgMigrate(file, isForced));
  });
  const isOwn = (file: string) => file.endsWith('.sql') || NUMBERED_CODE.test(basename(file));
  return new Map(found.map(([folder, members]) => [folder, members.filter(isOwn)]));
}

function isNodePgMigrate(file: string, isForced: boolean): boolean {
  if (NUMBERED_CODE.test(basename(file))) return true;
  return file.endsWith('.sql') && (isForced || hasLine(file, UP_MARK));
}

/** A folder for a version or a year: `2024`, `v1.2`, `03_views`. Its files belong to the folder that contains it. */
const VERSION_FOLDER = /^v?\d/i;

function plainFolders(files: readonly string[], root: string): Map<string, string[]> {
  const sql = files.filter((file) => file.endsWith('.sql') && !isDownFile(file));
  const byFolder = grouped(
    sql.map((file): [string, string] => {
      let folder = dirname(file);
      while (folder !== root && VERSION_FOLDER.test(basename(folder))) folder = dirname(folder);
      return [folder, file];
    }),
  );
  const isNumbered = (members: readonly string[]) => members.some((file) => /^[vV]?\d/.test(basename(file)));
  // Files without numbers are no history, so those of several folders are read together, in the order of their paths.
  const others = [...byFolder].filter(([folder, members]) => folder !== root && !isNumbered(members));
  if (byFolder.size === others.length && others.length > 1) return new Map([[root, sql]]);
  return byFolder;
}

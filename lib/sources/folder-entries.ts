import { lstatSync, readdirSync, readlinkSync, realpathSync, type Stats, statSync } from 'node:fs';
import { basename, join, sep } from 'node:path';
import { messageOf } from '../../lambdas/shared/errors.ts';
import type { Skipped } from './sql-source.ts';

/** What a folder contains, without hidden files and node_modules, in the order of the names. */
export interface FolderEntries {
  readonly entries: readonly { readonly path: string; readonly isFolder: boolean }[];
  /** What cannot be read: links that lead nowhere or in a circle, names that are not UTF-8, pipes. */
  readonly problems: readonly Skipped[];
}

/** Whether a path is a folder, or a link to one. False: it is something else, or cannot be read. */
export function isFolder(path: string): boolean {
  return statOf(path) instanceof Error ? false : (statOf(path) as Stats).isDirectory();
}

/** Lists one folder. Links count as what they point to. */
export function entriesOf(folder: string): FolderEntries {
  const names = namesIn(folder);
  if (names instanceof Error) return { entries: [], problems: [unreadable(folder, 'folder', names)] };
  const problems: Skipped[] = [];
  const entries = inNaturalOrder(names).flatMap((name) => {
    const path = join(folder, name);
    const problem = problemOf(path);
    if (problem !== null) {
      problems.push(problem);
      return [];
    }
    const stat = statOf(path);
    if (stat instanceof Error || !(stat.isDirectory() || stat.isFile())) return [];
    return [{ path, isFolder: stat.isDirectory() }];
  });
  return { entries, problems };
}

/** Paths of the files below a folder, in the order of their names, and what cannot be read. No folder is read twice. */
export function filesBelow(folder: string): { files: string[]; problems: Skipped[] } {
  const files: string[] = [];
  const problems: Skipped[] = [];
  /** The paths by which folders are read, by their real paths. */
  const visited = new Map<string, string>();
  const visit = (path: string, above: readonly string[]) => {
    const real = realpathSync(path);
    const isLoop = above.some((one) => join(one, sep).startsWith(join(real, sep)));
    const before = visited.get(real);
    if (isLoop || before !== undefined) {
      const reason = isLoop
        ? `it leads back to ${real}, which contains it, so it is not followed; remove the link`
        : `it leads to ${before}, which is read already`;
      problems.push({ ...nothing(path, 'link', reason), isError: isLoop });
      return;
    }
    visited.set(real, path);
    const { entries, problems: found } = entriesOf(path);
    problems.push(...found);
    for (const entry of entries) {
      if (entry.isFolder) visit(entry.path, [...above, real]);
      else files.push(entry.path);
    }
  };
  visit(folder, []);
  return { files, problems };
}

/** Why a file or folder cannot be read, for people, and without its path. */
export function reasonOf(error: unknown): string {
  const code = codeOf(error);
  if (code === 'EACCES' || code === 'EPERM') return 'permission denied; give this user the right to read it';
  return messageOf(error)
    .replace(/^\w+: /, '')
    .replace(/, \w+ '.*'$/s, '');
}

/** A file that cannot be read. */
export function unreadable(path: string, kind: 'file' | 'folder', error: unknown): Skipped {
  return { ...nothing(path, kind, `it cannot be read: ${reasonOf(error)}`), isError: true };
}

function nothing(path: string, kind: string, reason: string): Skipped {
  return { file: path, line: null, what: `${kind} ${basename(path)}`, reason };
}

/** Why an entry of a folder is neither a file nor a folder. Null: it is one, or nothing that can be a migration. */
function problemOf(path: string): Skipped | null {
  const stat = statOf(path);
  if (!(stat instanceof Error)) {
    if (stat.isDirectory() || stat.isFile() || !/\.sql$/i.test(path)) return null;
    const reason = 'it is a pipe, a socket or a device, and only files can be read; remove it';
    return { ...nothing(path, 'entry', reason), isError: true };
  }
  if (path.includes('\ufffd') && codeOf(stat) === 'ENOENT' && !exists(path)) {
    return { ...nothing(path, 'file', 'its name is not UTF-8; rename it'), isError: true };
  }
  const target = targetOf(path);
  if (target === null) return unreadable(path, 'file', stat);
  const reason = {
    ENOENT: `it points to ${target}, which does not exist; restore the file, or remove the link`,
    ELOOP: `it points to ${target}, which leads back to it; remove the link`,
  }[codeOf(stat) ?? ''];
  return {
    ...nothing(path, 'link', reason ?? `it points to ${target}, which cannot be read: ${reasonOf(stat)}`),
    isError: true,
  };
}

function namesIn(folder: string): string[] | Error {
  try {
    return readdirSync(folder).filter((name) => !name.startsWith('.') && name !== 'node_modules');
  } catch (error) {
    return error as Error;
  }
}

function statOf(path: string): Stats | Error {
  try {
    return statSync(path);
  } catch (error) {
    return error as Error;
  }
}

function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** What a link points to. Null: it is no link. */
function targetOf(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null;
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

/** Sorts by the numbers in names: 2_b before 10_a. */
function inNaturalOrder(names: readonly string[]): string[] {
  const collator = new Intl.Collator('en', { numeric: true });
  return names.toSorted((a, b) => collator.compare(a, b));
}

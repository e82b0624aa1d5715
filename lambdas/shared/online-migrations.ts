import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** When a deploy opens a maintenance window: see `window` in docs/configuration.md. */
export const WINDOW_POLICIES = ['always', 'when-needed', 'never'] as const;
export type WindowPolicy = (typeof WINDOW_POLICIES)[number];

/** The comment that marks a file: on a line of its own, before the first statement. */
export const ONLINE_MARK = '-- pg-deploy-step: online';

const MARK = /^[ \t]*pg-deploy-step:[ \t]*online[ \t]*$/;

/** Whether an SQL file is marked as one that is applied while the services run. */
export function isMarkedOnline(text: string): boolean {
  // White space includes a byte order mark.
  const comment = /\s*(?:--(.*)|\/\*[\s\S]*?\*\/)/y;
  for (let found = comment.exec(text); found !== null; found = comment.exec(text))
    if (MARK.test(found[1] ?? '')) return true;
  return false;
}

/**
 * The pending files that are applied while the services run: the marked ones before the first one that is not marked. Files are
 * applied in their order, so a marked file after another one waits for it, and is applied with it.
 * @param directory folder with the SQL files
 * @param pending names without .sql, in their order
 */
export async function leadingOnline(directory: string, pending: readonly string[]): Promise<string[]> {
  const marked: string[] = [];
  for (const name of pending) {
    if (!isMarkedOnline(await readFile(join(directory, `${name}.sql`), 'utf8'))) break;
    marked.push(name);
  }
  return marked;
}

/** The pending files that are not marked. @param directory and @param pending as of `leadingOnline` */
export async function notMarkedOnline(directory: string, pending: readonly string[]): Promise<string[]> {
  const texts = await Promise.all(
    pending.map(async (name) => await readFile(join(directory, `${name}.sql`), 'utf8')),
  );
  return pending.filter((_name, at) => !isMarkedOnline(texts[at] ?? ''));
}

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { visible } from '../../lambdas/shared/visible-text.ts';
import { decodeUtf8 } from '../sql/decode-utf8.ts';
import type { UnreadQuery } from './explain-queries.ts';
import { QueryProblem, type QuerySource, readQuery } from './query-source.ts';

/** The folder with the queries of a registry: the configured one, or that beside its file. */
export function queriesFolder(configured: string | undefined, registryFile: string | undefined): string {
  return configured ?? (registryFile === undefined ? 'queries' : join(dirname(registryFile), 'queries'));
}

/** The queries of a folder. None, if it does not exist. */
export function queriesFrom(folder: string): (QuerySource | UnreadQuery)[] {
  return existsSync(folder) ? queriesIn(folder) : [];
}

/** The SQL files of a folder and the folders in it. Their names are their paths without .sql. */
function queriesIn(folder: string): (QuerySource | UnreadQuery)[] {
  // Node.js 20 has no globSync.
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.sql'))
    .toSorted()
    .map((path) =>
      readQueryFile(
        join(folder, path),
        path
          .split(sep)
          .join('/')
          .replace(/\.sql$/, ''),
      ),
    );
}

function readQueryFile(file: string, name: string): QuerySource | UnreadQuery {
  const { text, problem } = decodeUtf8(readFileSync(file));
  if (problem !== null) return { name, file, line: problem.line ?? 1, problem: problem.message };
  return readOrProblem(text, { name, file });
}

/** A query, or why it cannot be read. */
export function readOrProblem(
  text: string,
  place: { readonly name: string; readonly file: string | null },
): QuerySource | UnreadQuery {
  try {
    return readQuery(text, place);
  } catch (error) {
    if (!(error instanceof QueryProblem)) throw error;
    const { message, line } = error;
    return { ...place, line, problem: `The query cannot be planned: ${message}.` };
  }
}

/** Whether an element of `serves` is the text of a query, and not the name of a file. */
function isSqlText(served: string): boolean {
  return /\s/.test(served);
}

/**
 * The queries that the registry names in `serves`: texts, and files of the folder.
 * @param found the queries of the folder
 */
export function servedQueries(
  serves: readonly string[],
  found: readonly (QuerySource | UnreadQuery)[],
  folder: string,
): (QuerySource | UnreadQuery)[] {
  return [...new Set(serves)].map((served) => {
    if (isSqlText(served)) return readOrProblem(served, { name: served, file: null });
    const file = found.find(({ name }) => name === served);
    if (file !== undefined) return file;
    const problem = `The registry names the query ${visible(served)} in serves, but ${visible(join(folder, served))}.sql does not exist.`;
    return { name: served, file: null, line: 1, problem };
  });
}

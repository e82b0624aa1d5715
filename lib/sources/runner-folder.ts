import { basename, extname } from 'node:path';
import { type OtherDialect, withoutOtherDialects } from './dialects.ts';
import { entriesOf, filesBelow } from './folder-entries.ts';
import type { Skipped } from './sql-source.ts';

/** The folder that the runner sql applies. */
export interface RunnerFolder {
  /** Paths of its migrations, in the order in which they are applied. */
  readonly files: readonly string[];
  /** What keeps the folder from being applied. */
  readonly problems: readonly Skipped[];
  /** Folders in the folder with SQL files, which are not applied. */
  readonly left: readonly Skipped[];
  /** Its files for other databases, which are not applied. */
  readonly dialects: readonly OtherDialect[];
}

const CODE = ['.js', '.cjs', '.mjs', '.ts', '.cts', '.mts', '.py', '.rb'];

export const OWN_TOOL = 'the runner ecs-task or lambda (see docs/configuration.md, migrations)';

/** node-pg-migrate inserts the name into its table without quoting it. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: it finds control characters
const WRONG_IN_NAME = /['\\\u0000-\u001f\u007f]/;

/**
 * Decides which files of a folder the runner sql applies: SQL files with a number, directly in the folder. `run`, `cdk synth`
 * and `lint` decide it here.
 */
export function runnerFolder(folder: string): RunnerFolder {
  const { entries, problems } = entriesOf(folder);
  const files = entries.filter((entry) => !entry.isFolder).map(({ path }) => path);
  const folders = entries.filter((entry) => entry.isFolder).map(({ path }) => path);
  const { files: own, dialects } = withoutOtherDialects(files, folder);
  const sql = own.filter((file) => file.endsWith('.sql'));
  const inside = folders.filter((path) => filesBelow(path).files.some((file) => file.endsWith('.sql')));
  const wrong = own.flatMap((file) => {
    const reason = whyNotApplied(basename(file), sql.length);
    return reason === null ? [] : [problem(file, reason)];
  });
  return {
    files: sql.toSorted((a, b) => inRunnerOrder(basename(a), basename(b))),
    problems: [
      ...problems,
      ...wrong,
      ...(sql.length === 0 && inside[0] !== undefined ? [onlyInside(folder, inside[0])] : []),
    ],
    left: inside.map((path) =>
      left(path, 'folder', 'its SQL files are not applied: the runner sql reads no folders in its folder'),
    ),
    dialects,
  };
}

function problem(file: string, reason: string): Skipped {
  return { ...left(file, 'file', reason), isError: true };
}

function left(file: string, kind: string, reason: string): Skipped {
  return { file, line: null, what: `${kind} ${basename(file)}`, reason };
}

function onlyInside(folder: string, inside: string): Skipped {
  const reason =
    `its SQL files are in subfolders, such as ${basename(inside)}, which are not read. ` +
    `Put them into one folder, or run their own migration tool with ${OWN_TOOL}`;
  return { ...left(folder, 'folder', reason), isError: true };
}

/** Why the runner sql cannot apply a file of its folder. Null: it can, or the file is no migration. */
function whyNotApplied(name: string, sqlFiles: number): string | null {
  if (CODE.includes(extname(name))) {
    return `it is not SQL, but the runner sql runs only SQL files. Rewrite it in SQL, or run your own migration tool with ${OWN_TOOL}`;
  }
  if (!/\.sql$/i.test(name)) return null;
  if (!name.endsWith('.sql')) return NOT_LOWER_CASE;
  if (WRONG_IN_NAME.test(name)) {
    return 'the name of a migration cannot contain quotes, backslashes or control characters. Rename it';
  }
  const pair = /\.(up|down)\.sql$/.exec(name);
  if (pair !== null) {
    return (
      `it is one of the two files of a migration. Rename the up migration to ${name.replace(pair[0], '.sql')} ` +
      'and remove the down migration from the folder: a deploy never runs it'
    );
  }
  return /^\d/.test(name) || sqlFiles === 1
    ? null
    : 'it has no number. Files are applied in the order of the numbers at the beginning of their names: 0001_tables.sql, 0002_columns.sql';
}

export const NOT_LOWER_CASE =
  'it would not be applied, because its extension is not .sql in lower case. Rename it';

/** The order of node-pg-migrate: by number, where 17 digits are a date, and then by the rest of the name. */
export function inRunnerOrder(a: string, b: string): number {
  return numberOf(a) - numberOf(b) || COLLATOR.compare(a, b);
}

const COLLATOR = new Intl.Collator(undefined, {
  numeric: true,
  sensitivity: 'variant',
  ignorePunctuation: true,
});

function numberOf(name: string): number {
  const digits = /^\d+/.exec(name)?.[0] ?? '0';
  const date = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d{3})$/.exec(digits);
  if (date === null) return Number(digits);
  const [, year, month, day, hours, minutes, seconds, ms] = date;
  return Date.parse(`${year}-${month}-${day}T${hours}:${minutes}:${seconds}.${ms}Z`);
}

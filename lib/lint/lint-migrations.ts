import { basename, dirname, extname } from 'node:path';
import type { RegisteredIndexes } from '../registry/registered-indexes.ts';
import { findSources } from '../sources/find-sources.ts';
import type { Skipped, Tool } from '../sources/sql-source.ts';
import type { Schema } from '../sql/schema/schema-model.ts';
import type { Allowance } from './allow-comments.ts';
import type { Finding } from './finding.ts';
import { MigrationLinter } from './migrations/migration-linter.ts';
import type { Move } from './migrations/movable-index.ts';

interface MigrationsToLint {
  /** Folders or files, in the order in which they are applied. */
  readonly paths: readonly string[];
  /** The tool that runs the migrations. Undefined: detected from the files. */
  readonly from?: Tool | undefined;
  /** Name of the last migration that is not linted, with or without its extension. Null: all are linted. */
  readonly startAfter: string | null;
  readonly registered: RegisteredIndexes;
  /** Called after each file. */
  readonly onProgress: (done: number, total: number) => void;
}

export interface LintedMigrations {
  readonly findings: readonly Finding[];
  /** Including those in history, where a comment can allow a foreign key. */
  readonly allowances: readonly Allowance[];
  /** Files that are read but not linted. */
  readonly history: ReadonlySet<string>;
  /** The indexes that could move into the registry, in order. */
  readonly moves: readonly Move[];
  /** Why one of them cannot move. Null: it can. */
  readonly whyNotMovable: (move: Move) => string | null;
  /** The schema that the migrations create. */
  readonly schema: Schema;
  readonly files: number;
}

/**
 * Lints migrations. Migrations up to `startAfter` are only read, for the tables and functions that they define.
 * @throws NoSourceError if a path has no migrations; Error if none of them is `startAfter`
 */
export async function lintMigrations(options: MigrationsToLint): Promise<LintedMigrations> {
  const { paths, from, startAfter, registered, onProgress } = options;
  const found = await Promise.all(paths.map((path) => findSources(path, from)));
  const files = found.flatMap((sources) => sources.files);
  const first = firstToLint(
    files.map(({ file }) => file),
    startAfter,
  );
  const linter = new MigrationLinter(registered);
  const linted = files.map((source, at) => {
    const result = linter.lint(source);
    onProgress(at + 1, files.length);
    return at < first ? { ...result, findings: [], moves: [] } : result;
  });
  const skipped = found.flatMap((sources) => sources.skipped).map(skippedFinding);
  return {
    findings: [...linted.flatMap((one) => one.findings), ...skipped],
    allowances: linted.flatMap((one) => one.allowances),
    history: new Set(files.slice(0, first).map(({ file }) => file)),
    moves: linted.flatMap((one) => one.moves),
    whyNotMovable: (move) => linter.whyNotMovable(move),
    schema: linter.schema,
    files: files.length,
  };
}

function skippedFinding({ file, line, what, reason }: Skipped): Finding {
  const message = `The ${what} is not checked: ${reason}.`;
  return { rule: 'unreadable', severity: 'warning', file, line: line ?? 1, column: 1, message };
}

function firstToLint(files: readonly string[], startAfter: string | null): number {
  if (startAfter === null) return 0;
  // Some tools give each migration its own folder.
  const namesOf = (file: string) => [
    file,
    basename(file),
    basename(file, extname(file)),
    basename(dirname(file)),
  ];
  const at = files.findLastIndex((file) => namesOf(file).includes(startAfter));
  if (at >= 0) return at + 1;
  const last = files.at(-1);
  throw new Error(
    `The migration "${startAfter}" to start after does not exist. ` +
      (last === undefined ? 'There are no migrations.' : `The last migration is ${last}.`),
  );
}

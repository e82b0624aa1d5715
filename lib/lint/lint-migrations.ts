import { basename, dirname, extname } from 'node:path';
import type { RegisteredIndexes } from '../registry/registered-indexes.ts';
import { findSources } from '../sources/find-sources.ts';
import type { NotTaken, Tool } from '../sources/source.ts';
import type { Schema } from '../sql/schema/schema.ts';
import type { Allowance } from './allow.ts';
import type { Finding } from './finding.ts';
import { MigrationLinter } from './migrations/migration-linter.ts';
import type { Move } from './migrations/movable.ts';

export interface MigrationsToLint {
  /** Folders or files, in the order in which they are applied. */
  readonly paths: readonly string[];
  /** Whose migrations they are. Undefined: told by what is there. */
  readonly from?: Tool | undefined;
  /** Name of the last migration that is not linted, with or without its extension. Null: all are. */
  readonly startAfter: string | null;
  readonly registered: RegisteredIndexes;
  /** Told after each file. */
  readonly onProgress: (done: number, total: number) => void;
}

export interface LintedMigrations {
  readonly findings: readonly Finding[];
  /** Of history as well: a foreign key can be allowed there. */
  readonly allowances: readonly Allowance[];
  /** Files that are read and not linted. */
  readonly history: ReadonlySet<string>;
  /** What could be moved into the registry, in order. */
  readonly moves: readonly Move[];
  /** Why one of them cannot; null: it can. */
  readonly whyNotMovable: (move: Move) => string | null;
  /** What the migrations make. */
  readonly schema: Schema;
  readonly files: number;
}

/**
 * Lints migrations. What is named as history is read, for what it defines, and not linted.
 * @throws NoSourceError where a path holds no migrations; Error where `startAfter` names none of them.
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
  const unread = found.flatMap((sources) => sources.notTaken).map(unreadable);
  return {
    findings: [...linted.flatMap((one) => one.findings), ...unread],
    allowances: linted.flatMap((one) => one.allowances),
    history: new Set(files.slice(0, first).map(({ file }) => file)),
    moves: linted.flatMap((one) => one.moves),
    whyNotMovable: (move) => linter.whyNotMovable(move),
    schema: linter.schema,
    files: files.length,
  };
}

function unreadable({ file, line, what, reason }: NotTaken): Finding {
  const message = `The ${what} is not checked: ${reason}.`;
  return { rule: 'unreadable', severity: 'warning', file, line: line ?? 1, column: 1, message };
}

function firstToLint(files: readonly string[], startAfter: string | null): number {
  if (startAfter === null) return 0;
  // Some tools give each migration a folder of its own.
  const namesOf = (file: string) => [
    file,
    basename(file),
    basename(file, extname(file)),
    basename(dirname(file)),
  ];
  const at = files.findLastIndex((file) => namesOf(file).includes(startAfter));
  if (at >= 0) return at + 1;
  throw new Error(
    `There is no migration "${startAfter}" to start after. The last one there is ${files.at(-1) ?? 'none'}.`,
  );
}

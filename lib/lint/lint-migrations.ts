import { readFileSync } from 'node:fs';
import { basename, extname, relative } from 'node:path';
import { migrationFiles } from '../sql/migration-files.ts';
import type { Schema } from '../sql/schema/schema.ts';
import type { Allowance } from './allow.ts';
import type { Finding } from './finding.ts';
import { MigrationLinter, type Move } from './migrations/migration-linter.ts';
import type { Registered } from './registered.ts';

export interface MigrationsToLint {
  /** Folders or files, in the order in which they are applied. */
  readonly paths: readonly string[];
  /** Name of the last migration that is not linted, with or without its extension. Null: all are. */
  readonly startAfter: string | null;
  readonly registered: Registered;
  /** Told after each file. */
  readonly onProgress: (done: number, total: number) => void;
}

export interface LintedMigrations {
  readonly findings: readonly Finding[];
  readonly allowances: readonly Allowance[];
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
 * @throws Error where `startAfter` names none of them.
 */
export function lintMigrations(options: MigrationsToLint): LintedMigrations {
  const files = options.paths.flatMap(migrationFiles);
  const first = firstToLint(files, options.startAfter);
  const linter = new MigrationLinter(options.registered);
  const linted = files.map((file, at) => {
    const shown = relative(process.cwd(), file);
    const result = linter.lint(shown, readFileSync(file, 'utf8'));
    options.onProgress(at + 1, files.length);
    return at < first ? { findings: [], allowances: [], moves: [] } : result;
  });
  return {
    findings: linted.flatMap((one) => one.findings),
    allowances: linted.flatMap((one) => one.allowances),
    moves: linted.flatMap((one) => one.moves),
    whyNotMovable: (move) => linter.whyNotMovable(move),
    schema: linter.schema,
    files: files.length,
  };
}

function firstToLint(files: readonly string[], startAfter: string | null): number {
  if (startAfter === null) return 0;
  const at = files.findIndex((file) =>
    [basename(file), basename(file, extname(file)), relative(process.cwd(), file)].includes(startAfter),
  );
  if (at >= 0) return at + 1;
  throw new Error(
    `There is no migration "${startAfter}" to start after. The last one there is ${basename(files.at(-1) ?? 'none')}.`,
  );
}

import { basename, dirname, extname, resolve } from 'node:path';
import { listed } from '../../lambdas/shared/text.ts';
import type { RegisteredIndexes } from '../registry/registered-indexes.ts';
import type { OtherDialect } from '../sources/dialects.ts';
import { findSources } from '../sources/find-sources.ts';
import { isFolder } from '../sources/folder-entries.ts';
import { runnerFolder } from '../sources/runner-folder.ts';
import type { PlaceholderValues, Skipped, Sources, SqlSource, Tool } from '../sources/sql-source.ts';
import type { Schema } from '../sql/schema/schema-model.ts';
import type { Allowance } from './allow-comments.ts';
import type { Finding } from './finding.ts';
import { type LintedMigration, MigrationLinter } from './migrations/migration-linter.ts';
import type { MigrationRuleName } from './migrations/migration-rules.ts';
import type { Move } from './migrations/movable-index.ts';
import { filesNotRun, skippedFinding } from './source-findings.ts';

interface MigrationsToLint {
  /** Folders or files, in the order in which they are applied. */
  readonly paths: readonly string[];
  /** The tool that runs the migrations. Undefined: detected from the files. */
  readonly from?: Tool | undefined;
  /** False: migrations that are code are not run, and a finding says so. @default true */
  readonly runCode?: boolean;
  /** Values of placeholders, by name. @default none */
  readonly placeholders?: PlaceholderValues | undefined;
  /** The folder that the runner sql of an environment applies. @default none is configured */
  readonly appliedFolder?: string | null;
  /** Name of the last migration that is not linted, with or without its extension. Null: all are linted. */
  readonly startAfter: string | null;
  readonly registered: RegisteredIndexes;
  /** Of the sessions that apply the migrations. @default public */
  readonly searchPath?: readonly string[] | undefined;
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
  /** Files that are code and were not run. */
  readonly notRun: readonly string[];
  /** The files for other databases, which are not checked. */
  readonly dialects: readonly OtherDialect[];
}

/**
 * Lints migrations. Migrations up to `startAfter` are only read, for the tables and functions that they define.
 * @throws NoSourceError if a path has no migrations; Error if none of them is `startAfter`
 */
export async function lintMigrations(options: MigrationsToLint): Promise<LintedMigrations> {
  const { paths, appliedFolder = null, startAfter, registered, searchPath, onProgress, ...reading } = options;
  const sources = await Promise.all(
    paths.map((path) => findSources(path, { ...reading, appliedFolder, prefer: 'migrations' })),
  );
  const files = sources.flatMap((one) => one.files);
  const applied = new Set(sources.flatMap((one) => appliedByRunner(one, appliedFolder)));
  const first = firstToLint(
    files.map(({ file }) => file),
    startAfter,
  );
  const linter = new MigrationLinter(registered, searchPath);
  const linted = files.map((source, at) => {
    const result = linter.lint(source, applied.has(source));
    onProgress(at + 1, files.length);
    if (at >= first) return result;
    // Synth refuses these in history too.
    const refused = result.findings.filter(
      ({ rule }) => applied.has(source) && REFUSED_AT_SYNTH.includes(rule),
    );
    return { ...result, findings: refused, moves: [] };
  });
  const skipped = withFolderProblems(
    sources.flatMap((one) => one.skipped),
    appliedFolder,
  );
  const history = files.slice(0, first).map(({ file }) => file);
  const notRead = skipped.filter((one) => one.isError || !isBefore(one.file, history.at(-1)));
  const found = finalFindings(linter, linted);
  return {
    findings: [...found.findings, ...notRead.map(skippedFinding)],
    allowances: linted.flatMap((one) => one.allowances),
    history: new Set(history),
    moves: found.moves,
    whyNotMovable: (move) => linter.obstacleOf(move)?.reason ?? null,
    schema: linter.schema,
    files: files.length,
    notRun: filesNotRun(skipped),
    dialects: sources.flatMap((one) => one.dialects),
  };
}

/** What the files together say about each index: a later file can need it, drop it or rename it. */
function finalFindings(
  linter: MigrationLinter,
  linted: readonly Pick<LintedMigration, 'findings' | 'moves' | 'constraints'>[],
): { findings: Finding[]; moves: Move[] } {
  const final = new Map<Finding, Finding | null>();
  const moves = linted
    .flatMap((one) => one.moves)
    .map((move) => {
      const finding = linter.finalFinding(move);
      final.set(move.finding, finding);
      return { ...move, finding: finding ?? move.finding };
    });
  for (const found of linted.flatMap((one) => one.constraints)) {
    final.set(found.finding, linter.finalFindingOfConstraint(found));
  }
  const findings = linted
    .flatMap((one) => one.findings)
    .flatMap((one) => (final.has(one) ? (final.get(one) ?? []) : [one]));
  return { findings, moves };
}

/** Whether a file that is not read comes before the end of the history: it is in the same folder, and its name does. */
function isBefore(file: string, last: string | undefined): boolean {
  if (last === undefined || dirname(file) !== dirname(last)) return false;
  return basename(file).localeCompare(basename(last), 'en', { numeric: true }) < 0;
}

/** Adds what the runner sql refuses in the folder that it applies. */
function withFolderProblems(skipped: readonly Skipped[], folder: string | null): Skipped[] {
  const problems = folder === null || !isFolder(folder) ? [] : runnerFolder(folder).problems;
  const refused = new Map(problems.map((problem) => [resolve(problem.file), problem]));
  const others = skipped.filter(({ file }) => !refused.has(resolve(file)));
  return [...others, ...refused.values()];
}

/** Rules that synth checks too. */
const REFUSED_AT_SYNTH: readonly string[] = [
  'transaction-control',
  'outside-transaction',
  'session-setting',
  'online-migration',
  'psql-only',
  'encoding',
] satisfies MigrationRuleName[];

/** Marks of tools that keep their migrations in plain SQL files and run them in their own way: dbmate, goose, sql-migrate. */
const OTHER_TOOL = /^[ \t]*--[ \t-]*(?:migrate:up|\+goose|\+migrate)\b/im;

/**
 * The files that the runner sql would apply: those of the configured folder, and otherwise the files of node-pg-migrate and
 * numbered SQL files without the marks of another tool. Other tools have their own transactions.
 */
function appliedByRunner({ tool, files }: Sources, folder: string | null): SqlSource[] {
  return files.filter(({ file, text, hasLines }) => {
    if (!hasLines || !file.endsWith('.sql')) return false;
    if (folder !== null && resolve(dirname(file)) === resolve(folder)) return true;
    if (tool !== 'node-pg-migrate' && tool !== 'plain') return false;
    const name = basename(file);
    return /^\d/.test(name) && !name.endsWith('.up.sql') && !OTHER_TOOL.test(text);
  });
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
  const [only, ...more] = files.filter((file) => namesOf(file).some((name) => name.startsWith(startAfter)));
  if (only !== undefined && more.length === 0) return files.lastIndexOf(only) + 1;
  if (only !== undefined) {
    throw new Error(
      `The migration to start after is not clear: ${listed([only, ...more])} begin with "${startAfter}". Write more of its name.`,
    );
  }
  const last = files.at(-1);
  throw new Error(
    `The migration "${startAfter}" to start after does not exist. ` +
      (last === undefined ? 'There are no migrations.' : `The last migration is ${last}.`),
  );
}

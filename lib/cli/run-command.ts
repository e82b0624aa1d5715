import { existsSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { listed, MODES, type Mode } from '../../lambdas/shared/input.ts';
import { indexId } from '../../lambdas/shared/registry.ts';
import { checkDatabaseUrl } from '../local/database-url.ts';
import { loadRegistry } from '../registry/load-registry.ts';
import type { RunSettings } from './run.ts';

const PACKAGE = join(import.meta.dirname, '../..');

/** What commander makes of the flags. */
interface Flags {
  databaseUrl?: string;
  indexes: string;
  migrations: string;
  services?: 'demo' | 'none';
  seed?: 'demo' | 'none';
  mode: Mode;
  only: string[];
  maxConcurrent?: number;
  lockTimeout?: number;
  attempts?: number;
  when?: 'before-start' | 'after-start';
  report?: string;
  json?: boolean;
}

/** The command `run`: the synthesised workflow on this machine. */
export function runCommand(onExitCode: (code: number) => void): Command {
  const command = new Command('run')
    .description(
      'Run the synthesised workflow on this machine, with the real Lambda bundles and a local engine.',
    )
    .option(
      '--database-url <url>',
      'the target (default: embedded PostgreSQL with the demo database)',
      databaseUrl,
    )
    .option(
      '--indexes <file>',
      'the registry, a .ts or a .json file',
      readableFile,
      join(PACKAGE, 'database/indexes.ts'),
    )
    .option(
      '--migrations <dir>',
      'folder with SQL migrations, or none',
      migrationsFolder,
      join(PACKAGE, 'database/migrations'),
    )
    .addOption(
      new Option(
        '--services <which>',
        'services to stop and start (default: demo with the embedded database, else none)',
      ).choices(['demo', 'none']),
    )
    .addOption(
      new Option(
        '--seed <which>',
        'rows to fill the database with (default: demo with the embedded one, else none)',
      ).choices(['demo', 'none']),
    )
    .addOption(new Option('--mode <mode>', 'what to do').choices(MODES).default('deploy'))
    .option('--only <name>', 'an index of the registry, instead of all; repeatable', collect, [])
    .option('--max-concurrent <n>', 'tables that are built on at the same time (default: 4)', integer(1, 40))
    .option(
      '--lock-timeout <seconds>',
      "wait for a table's lock, per attempt (default: 300)",
      integer(3, 600),
    )
    .option('--attempts <n>', 'attempts that an index has (default: 10)', integer(1, 100))
    .addOption(
      new Option(
        '--when <when>',
        'build the non-critical indexes before or after the services start',
      ).choices(['before-start', 'after-start']),
    )
    .option('--report <file>', 'write the report to this file, as JSON')
    .option('--json', 'print the report as JSON on standard output, and the progress on standard error');
  return command.action(async (flags: Flags) => {
    const registry = await loadRegistry(flags.indexes);
    const names = registry.map(indexId);
    const unknown = flags.only.filter((name) => !names.includes(name));
    if (unknown.length > 0) {
      command.error(
        `error: option '--only <name>': ${listed(unknown)} is not in the registry ${flags.indexes}. Valid names: ${listed(names)}.`,
      );
    }
    const { run } = await import('./run.ts');
    onExitCode(await run({ ...toSettings(flags), registry }));
  });
}

function toSettings(flags: Flags): Omit<RunSettings, 'registry'> {
  const demo = flags.databaseUrl === undefined ? 'demo' : 'none';
  const { databaseUrl: url, mode, only, maxConcurrent, lockTimeout, attempts, when, report, json } = flags;
  return {
    databaseUrl: url ?? null,
    migrations: flags.migrations,
    services: flags.services ?? demo,
    seed: flags.seed ?? demo,
    input: { mode, indexes: only, force: false },
    builds: { maxConcurrent, lockTimeoutSeconds: lockTimeout, attempts, when },
    reportFile: report === undefined ? null : resolve(report),
    json: json === true,
  };
}

function databaseUrl(text: string): string {
  try {
    return checkDatabaseUrl(text);
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : '');
  }
}

function readableFile(text: string): string {
  const file = resolve(text);
  if (!existsSync(file) || !statSync(file).isFile())
    throw new InvalidArgumentError(`There is no file ${file}.`);
  return file;
}

function migrationsFolder(text: string): string {
  if (text === 'none') return text;
  const folder = resolve(text);
  if (!existsSync(folder) || !statSync(folder).isDirectory()) {
    throw new InvalidArgumentError(
      `There is no folder ${folder}. Name the folder with the SQL files, or none.`,
    );
  }
  return folder;
}

function integer(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < least || value > most) {
      throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
    }
    return value;
  };
}

function collect(text: string, before: string[]): string[] {
  return [...before, text];
}

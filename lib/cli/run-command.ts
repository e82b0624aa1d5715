import { join } from 'node:path';
import { Command, Option } from 'commander';
import { MODES, type Mode } from '../../lambdas/shared/execution-input.ts';
import { indexId } from '../../lambdas/shared/registry.ts';
import { listed } from '../../lambdas/shared/text.ts';
import { loadRegistry } from '../registry/load-registry.ts';
import {
  databaseUrlProblem,
  fileToRead,
  fileToWrite,
  integer,
  migrationsFolder,
  shellCommand,
} from './flag-values.ts';
import type { RunSettings } from './run-settings.ts';

const PACKAGE = join(import.meta.dirname, '../..');

/** What commander makes of the flags. */
interface Flags {
  databaseUrl?: string;
  indexes: string;
  migrations: string;
  migrationCommand?: string;
  services?: 'demo' | 'none';
  seed?: 'demo' | 'none';
  mode: Mode;
  only?: string[];
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
    .option('--database-url <url>', 'the target (default: embedded PostgreSQL with the demo database)')
    .addOption(
      new Option('--indexes <file>', 'the registry, a .ts or a .json file')
        .argParser(fileToRead)
        .default(join(PACKAGE, 'database/indexes.ts'), "the demo's, database/indexes.ts"),
    )
    .addOption(
      new Option('--migrations <dir>', 'folder with SQL migrations, or none')
        .argParser(migrationsFolder)
        .default(join(PACKAGE, 'database/migrations'), "the demo's, database/migrations"),
    )
    .addOption(
      new Option(
        '--migration-command <command>',
        "the application's own migration tool, run by the shell as the task that ECS would run; it is told DATABASE_URL",
      )
        .argParser(shellCommand)
        .conflicts('migrations'),
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
    .option('--only <name>', 'an index of the registry, instead of all; repeatable', collect)
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
    .option('--report <file>', 'write the report to this file, as JSON', fileToWrite)
    .option('--json', 'print the report as JSON on standard output, and the progress on standard error');
  return command.action(async (flags: Flags) => {
    // Not as the flag's parser: commander would repeat the value, and it may hold a password.
    const problem = flags.databaseUrl === undefined ? null : databaseUrlProblem(flags.databaseUrl);
    if (problem !== null) command.error(`error: option '--database-url <url>': ${problem}`);
    const registry = await loadRegistry(flags.indexes);
    const names = registry.map(indexId);
    const unknown = (flags.only ?? []).filter((name) => !names.includes(name));
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
    migrationCommand: flags.migrationCommand ?? null,
    services: flags.services ?? demo,
    seed: flags.seed ?? demo,
    input: { mode, indexes: only ?? [], force: false },
    builds: { maxConcurrent, lockTimeoutSeconds: lockTimeout, attempts, when },
    reportFile: report ?? null,
    json: json === true,
  };
}

function collect(text: string, before: string[] = []): string[] {
  return [...before, text];
}

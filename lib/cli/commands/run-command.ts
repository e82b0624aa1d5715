import { readdirSync, statSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { Command, Option } from 'commander';
import { BadInput } from '../../../lambdas/shared/errors.ts';
import { parseExecutionInput, STARTS, type Start } from '../../../lambdas/shared/execution-input.ts';
import { MODES, type Mode } from '../../../lambdas/shared/modes.ts';
import { WINDOW_POLICIES, type WindowPolicy } from '../../../lambdas/shared/online-migrations.ts';
import type { CompiledRegistry } from '../../../lambdas/shared/registry.ts';
import type { ResolvedConnection } from '../../connection/resolve-connection.ts';
import { queriesFolder } from '../../explain/query-files.ts';
import { DEMO_DATABASE, DEMO_REGISTRY } from '../../files/package-files.ts';
import { notesOnMigrations } from '../../functions/ship-migrations.ts';
import { requireLocalPackages } from '../../local/required-packages.ts';
import { loadRegistry } from '../../registry/load-registry.ts';
import type { RunSettings } from '../run/run-context.ts';
import { terminalText } from '../terminal/terminal-text.ts';
import {
  addRevision,
  addTrustedRole,
  addValue,
  DATABASE_URL_VALUES,
  FAILED,
  fileToRead,
  fileToWrite,
  integer,
  migrationsFolder,
  requireConnection,
  SUCCEEDED,
  searchPath,
  shellCommand,
} from './command-line.ts';

/** The flags as commander parses them. */
interface Flags {
  databaseUrl?: string;
  indexes: string;
  migrations: string;
  migrationCommand?: string;
  services?: 'demo' | 'none';
  seed?: 'demo' | 'none';
  mode: Mode;
  start: Start;
  taskDefinition?: Readonly<Record<string, string>>;
  only?: string[];
  maxConcurrent?: number;
  lockTimeout?: number;
  attempts?: number;
  retiredAfterDays?: number;
  when?: 'before-start' | 'after-start';
  window?: WindowPolicy;
  searchPath?: string[];
  trustedRole?: string[];
  showRowValues?: boolean;
  report?: string;
  json?: boolean;
}

/** The command `run`: runs the synthesised workflow on this machine. */
export function runCommand(onExitCode: (code: number) => void): Command {
  const command = new Command('run')
    .description(
      'Run the deploy workflow on this machine, with the same state machines and Lambda bundles as in AWS.',
    )
    .option(
      '--database-url <url>',
      `target database (default: embedded PostgreSQL with the demo database): ${DATABASE_URL_VALUES}`,
    )
    .addOption(
      new Option('--indexes <file>', 'index registry, a .ts or .json file')
        .argParser(fileToRead)
        .default(DEMO_REGISTRY, 'database/indexes.ts of the demo'),
    )
    .addOption(
      new Option('--migrations <dir>', 'folder with SQL migrations, or none')
        .argParser(migrationsFolder)
        .default(join(DEMO_DATABASE, 'migrations'), 'database/migrations of the demo'),
    )
    .addOption(
      new Option(
        '--migration-command <command>',
        'command that runs your migrations; it runs in the shell, in place of the ECS task, with DATABASE_URL set',
      )
        .argParser(shellCommand)
        .conflicts('migrations'),
    )
    .addOption(
      new Option(
        '--services <which>',
        'services to stop and start (default: demo with the embedded database, otherwise none)',
      ).choices(['demo', 'none']),
    )
    .addOption(
      new Option(
        '--seed <which>',
        'rows to load before the deploy (default: demo with the embedded database, otherwise none)',
      ).choices(['demo', 'none']),
    )
    .addOption(new Option('--mode <mode>', 'mode of the execution').choices(MODES).default('deploy'))
    .addOption(
      new Option(
        '--start <when>',
        'hold: leave the services stopped for your own deployment, until --mode start-services',
      )
        .choices(STARTS)
        .default('at-once'),
    )
    .option(
      '--task-definition <name=revision>',
      'revision on which a service comes back after a success, such as api=api:2 for the service api; repeatable',
      addRevision,
    )
    .option('--only <name>', 'build only this index of the registry; repeatable', addValue)
    .option(
      '--max-concurrent <n>',
      'tables to build indexes on at the same time (default: 4)',
      integer(1, 40),
    )
    .option(
      '--lock-timeout <seconds>',
      'longest wait of an index build for its table lock, per attempt (default: 300)',
      integer(3, 600),
    )
    .option('--attempts <n>', 'attempts per index (default: 10)', integer(1, 100))
    .option(
      '--retired-after-days <n>',
      'days without a scan before a retired index is dropped (default: 14)',
      integer(0, 3650),
    )
    .addOption(
      new Option(
        '--when <when>',
        'build non-critical indexes before or after the services start (default: before-start)',
      ).choices(['before-start', 'after-start']),
    )
    .addOption(
      new Option(
        '--window <when>',
        'stop the services for all work, only for migrations that are not marked as online, or never (default: always)',
      ).choices(WINDOW_POLICIES),
    )
    .option(
      '--search-path <schemas>',
      'schemas in which names in migrations and index definitions are looked up, separated by commas (default: the search path of the role)',
      searchPath,
    )
    .option(
      '--trusted-role <name>',
      'database role that you trust like the deploy role, for example the owner of the tables; repeatable',
      addTrustedRole,
    )
    .option(
      '--show-row-values',
      'show values of rows in errors, also in the ledger and the report (default: they are hidden)',
    )
    .option('--report <file>', 'write the report to this file, as JSON', fileToWrite)
    .option('--json', 'print the report as JSON on standard output, and the progress on standard error');
  return command.action(async (flags: Flags) => {
    const connection = connectionOf(command, flags);
    const input = flags.report === undefined ? null : inputAt(flags.report, flags);
    if (input !== null) {
      command.error(
        `error: option '--report <file>': ${flags.report} is ${input}, which the report would overwrite.`,
      );
    }
    if (flags.start === 'hold' && flags.mode !== 'deploy' && flags.mode !== 'plan') {
      command.error(
        `error: option '--start hold': the mode ${flags.mode} stops no services. Use it with --mode deploy.`,
      );
    }
    if (flags.taskDefinition !== undefined && flags.mode !== 'deploy' && flags.mode !== 'plan') {
      command.error(
        `error: option '--task-definition <name=revision>': the mode ${flags.mode} stops no services. Use it with --mode deploy.`,
      );
    }
    const notes = flags.migrations === 'none' ? [] : notesOnMigrations(flags.migrations);
    for (const note of notes) process.stderr.write(`${terminalText(`Note: ${note}`)}\n`);
    const registry = await loadRegistry(flags.indexes);
    const settings = toSettings(flags, registry, connection);
    const { DEMO_SERVICES } = await import('../../local/demo-services.ts');
    const services = settings.services === 'demo' ? DEMO_SERVICES.map(({ name }) => name) : [];
    try {
      parseExecutionInput(settings.input, registry, services);
    } catch (error) {
      if (!(error instanceof BadInput)) throw error;
      const { message } = error;
      command.error(
        message.startsWith('indexes: ')
          ? `error: option '--only <name>', registry ${flags.indexes}: ${message.replace(/^indexes: /, '')}`
          : `error: option '--task-definition <name=revision>': ${message}`,
      );
    }
    requireLocalPackages(settings.databaseUrl === null);
    const { runWorkflow } = await import('../run/run-workflow.ts');
    onExitCode((await runWorkflow(settings)) ? SUCCEEDED : FAILED);
  });
}

/**
 * The connection of a run. Without the flag a run never uses DATABASE_URL: the shell may have set it for another program, and
 * a run stops, migrates and builds.
 * @returns null: the embedded server
 */
function connectionOf(command: Command, { databaseUrl, mode }: Flags): ResolvedConnection | null {
  if (databaseUrl !== undefined) return requireConnection(command, databaseUrl);
  if (process.env.DATABASE_URL) {
    process.stderr.write(
      `Note: DATABASE_URL is set, but this ${mode === 'plan' ? 'plan' : 'run'} uses the embedded demo database. To use DATABASE_URL, give --database-url env.\n`,
    );
  }
  return null;
}

/** What a run reads from the file at a path. Null: nothing. */
function inputAt(file: string, { indexes, migrations }: Flags): string | null {
  const isSame = (other: string) => {
    const [one, two] = [file, other].map((path) => statSync(path, { throwIfNoEntry: false }));
    return one !== undefined && two !== undefined && one.dev === two.dev && one.ino === two.ino;
  };
  if (isSame(indexes)) return 'the index registry';
  if (migrations === 'none') return null;
  const isNew = extname(file) === '.sql' && dirname(file) === migrations;
  const files = readdirSync(migrations).filter((name) => extname(name) === '.sql');
  return isNew || files.some((name) => isSame(join(migrations, name))) ? 'a migration' : null;
}

function toSettings(
  flags: Flags,
  registry: CompiledRegistry,
  connection: ResolvedConnection | null,
): RunSettings {
  const demo = connection === null ? 'demo' : 'none';
  const { maxConcurrent, lockTimeout, attempts, retiredAfterDays, when, window } = flags;
  return {
    databaseUrl: connection?.url ?? null,
    databaseFlag: connection?.given ?? null,
    registry,
    queries: queriesFolder(undefined, flags.indexes),
    migrations: flags.migrations,
    migrationCommand: flags.migrationCommand ?? null,
    services: flags.services ?? demo,
    seed: flags.seed ?? demo,
    input: {
      mode: flags.mode,
      indexes: flags.only ?? [],
      force: false,
      start: flags.start,
      taskDefinitions: flags.taskDefinition ?? {},
    },
    database: {
      searchPath: flags.searchPath,
      trustedRoles: flags.trustedRole ?? [],
      showRowValues: flags.showRowValues,
    },
    builds: { maxConcurrent, lockTimeoutSeconds: lockTimeout, attempts, retiredAfterDays, when, window },
    reportFile: flags.report ?? null,
    json: flags.json === true,
  };
}

import { Command, InvalidArgumentError, Option } from 'commander';
import { FROM_VARIABLES } from '../../connection/resolve-connection.ts';
import { CONFIDENCES, type Confidence, KINDS, type Kind } from '../../doctor/finding.ts';
import { DEFAULT_LIMITS } from '../../doctor/options.ts';
import { errorText } from '../terminal/terminal-text.ts';
import {
  addPlaceholder,
  addValue,
  DATABASE_URL_VALUES,
  FAILED,
  fileOrFolder,
  fileToRead,
  integer,
  nonEmpty,
  PLACEHOLDER_VALUES,
  requireConnection,
  SUCCEEDED,
  searchPath,
} from './command-line.ts';
import { NO_CODE } from './no-code.ts';

/** The flags as commander parses them. */
interface Flags {
  databaseUrl?: string;
  indexes?: string;
  migrations?: string[];
  replica?: string[];
  tenantColumn?: string;
  searchPath?: string[];
  placeholder?: Map<string, string>;
  window: number;
  bloatPercent: number;
  bloatSize: number;
  minRows: number;
  slow: number;
  sessionSeconds: number;
  failOn: Kind[];
  confidence: Confidence;
  all?: boolean;
  json?: boolean;
  /** False for --no-code. */
  code: boolean;
}

const MB = 1024 * 1024;

const HELP = `
Doctor changes nothing. It reads the catalog and the statistics in read-only transactions. To compare definitions with the
registry it creates empty temporary tables, in a transaction that is rolled back. Exit code 1: there is a finding that
--fail-on and --confidence name, or the database cannot be read.

Doctor runs code if --indexes is a module (.ts, .js), or --migrations has migrations in JavaScript or TypeScript. With
--no-code it runs none of them.`;

/** The command `doctor`: what is wrong with the indexes, the statements and the sessions of a live database. */
export function doctorCommand(onExitCode: (code: number) => void): Command {
  const command = new Command('doctor')
    .description('Examine a live database: indexes, statements, sessions. Changes nothing.')
    .option(
      '--database-url <url>',
      `database to examine (default: env if DATABASE_URL is set): ${DATABASE_URL_VALUES}`,
    )
    .option(
      '--indexes <file>',
      'index registry, a .ts or .json file (default: no comparison with a registry)',
      fileToRead,
    )
    .addOption(
      new Option(
        '--migrations <path>',
        'migrations whose comments allow foreign keys without an index; repeatable (default: none)',
      ).argParser((path, before?: string[]) => addValue(fileOrFolder(path), before)),
    )
    .option(
      '--replica <url>',
      'a replica, whose scans count too; repeatable, in the form of --database-url',
      (value: string, before?: string[]) => addValue(value, before),
    )
    .option(
      '--tenant-column <name>',
      'column that holds the tenant, or none (default: found by the names of columns)',
      nonEmpty,
    )
    .option(
      '--search-path <schemas>',
      'schemas in which tables of the registry without one are looked up, separated by commas (default: the search path of the role)',
      searchPath,
    )
    .option('--placeholder <name=value>', PLACEHOLDER_VALUES, addPlaceholder)
    .option(
      '--window <days>',
      'days without a scan after which an index counts as unused; 0 believes statistics of any age',
      integer(0, 3650),
      DEFAULT_LIMITS.windowDays,
    )
    .option(
      '--bloat-percent <percent>',
      'free space from which on an index is bloated',
      integer(1, 99),
      DEFAULT_LIMITS.bloatPercent,
    )
    .option(
      '--bloat-size <MB>',
      'free space from which on an index is bloated',
      integer(0, 1_000_000),
      DEFAULT_LIMITS.bloatBytes / MB,
    )
    .option(
      '--min-rows <rows>',
      'rows of a table from which on sequential scans count',
      integer(1, 1_000_000_000),
      DEFAULT_LIMITS.leastRows,
    )
    .option('--slow <ms>', 'mean duration of a slow statement', integer(1, 3_600_000), DEFAULT_LIMITS.slowMs)
    .option(
      '--session-seconds <seconds>',
      'duration of a statement or a transaction from which on it is reported',
      integer(1, 86_400),
      DEFAULT_LIMITS.sessionSeconds,
    )
    .option(
      '--fail-on <kinds>',
      `kinds that fail, separated by commas, or all, or none: ${KINDS.join(', ')}`,
      kinds,
      [...KINDS],
    )
    .addOption(
      new Option('--confidence <level>', 'least confidence of a finding that fails')
        .choices(CONFIDENCES)
        .default('medium'),
    )
    .option('--no-code', NO_CODE)
    .option('--all', 'print every finding with its whole evidence (default: what fits on a screen)')
    .option('--json', 'print all findings as JSON on standard output')
    .addHelpText('after', HELP);
  return command.action(async (flags: Flags) => {
    const database = requireConnection(command, flags.databaseUrl ?? databaseOfVariables(command));
    const replicas = (flags.replica ?? []).map((url) => requireConnection(command, url, '--replica <url>'));
    try {
      const { examineDatabase } = await import('./examine-database.ts');
      const passed = await examineDatabase({
        database: { url: database.url, name: 'The database' },
        replicas: replicas.map(({ url }, at) => ({ url, name: `replica ${at + 1}` })),
        ...{ indexes: flags.indexes, migrations: flags.migrations ?? [], tenantColumn: flags.tenantColumn },
        ...{ searchPath: flags.searchPath, placeholder: flags.placeholder, runCode: flags.code },
        limits: {
          ...DEFAULT_LIMITS,
          windowDays: flags.window,
          bloatPercent: flags.bloatPercent,
          bloatBytes: flags.bloatSize * MB,
          leastRows: flags.minRows,
          slowMs: flags.slow,
          sessionSeconds: flags.sessionSeconds,
        },
        failOn: flags.failOn,
        confidence: flags.confidence,
        all: flags.all === true,
        json: flags.json === true,
      });
      onExitCode(passed ? SUCCEEDED : FAILED);
    } catch (error) {
      process.stderr.write(`${errorText(error)}\n`);
      onExitCode(FAILED);
    }
  });
}

/** Doctor changes nothing, so it uses DATABASE_URL without a flag. */
function databaseOfVariables(command: Command): string {
  if (process.env.DATABASE_URL) return FROM_VARIABLES;
  return command.error('error: give the database with --database-url <url>, or in DATABASE_URL');
}

/** The kinds of --fail-on. */
function kinds(text: string): Kind[] {
  if (text === 'all') return [...KINDS];
  if (text === 'none') return [];
  return text.split(',').map((name) => {
    const kind = KINDS.find((one) => one === name.trim());
    if (kind === undefined) {
      throw new InvalidArgumentError(
        `There is no kind ${JSON.stringify(name)}. The kinds are ${KINDS.join(', ')}; or all, or none.`,
      );
    }
    return kind;
  });
}

import { existsSync } from 'node:fs';
import { Command, InvalidArgumentError, Option } from 'commander';
import { FROM_VARIABLES } from '../../connection/resolve-connection.ts';
import { GATED, type GatedVerdict } from '../../explain/gate.ts';
import { FORMATS } from '../../lint/format-result.ts';
import { errorText } from '../terminal/terminal-text.ts';
import {
  addValue,
  DATABASE_URL_VALUES,
  FAILED,
  fileOrFolder,
  fileToRead,
  fileToWrite,
  integer,
  nonEmpty,
  requireConnection,
  SUCCEEDED,
  searchPath,
} from './command-line.ts';
import type { ExplainFlags } from './explain-flags.ts';
import { NO_CODE } from './no-code.ts';

const VALUES_HELP = `
Queries are only planned, in a read-only transaction, unless you give --analyze. Values for the parameters of a query are in
comments of its file: "-- $1: 17", or "-- :tenant: 17" for a named parameter. "-- profile: largest tenant" begins the values
of another profile. The values are never printed.`;

/** The command `explain`: which index each query uses, and which one it needs. */
export function explainCommand(onExitCode: (code: number) => void): Command {
  const command = new Command('explain')
    .description('Plan queries: which index each one uses, and which index would help.')
    .option('--database-url <url>', `database in which the queries are planned: ${DATABASE_URL_VALUES}`)
    .option('--query <sql>', 'one query (default: those that the registry names in serves)', nonEmpty)
    .option(
      '--param <value>',
      'value of a parameter of --query, in the order of the numbers; repeatable',
      (value, before?: string[]) => addValue(value, before),
    )
    .addOption(
      new Option('--queries <folder>', 'folder with SQL files, one query in each').argParser(fileOrFolder),
    )
    .option('--indexes <file>', 'index registry, a .ts or .json file (default: from cdk.json)', fileToRead)
    .option(
      '--search-path <schemas>',
      'schemas in which names without one are looked up, separated by commas (default: database.searchPath of the environment, otherwise that of the role)',
      searchPath,
    )
    .option('--tenant-column <name>', 'column that holds the tenant, or none (default: tenant_id)', nonEmpty)
    .addOption(
      new Option(
        '--fail-on <verdict>',
        `exit with 1 for ${GATED.join(', ')}; repeatable, or separated by commas`,
      ).argParser(verdicts),
    )
    .option(
      '--min-rows <number>',
      'a table with fewer rows is too small to judge (default: 1000)',
      integer(0, Number.MAX_SAFE_INTEGER),
    )
    .option('--baseline <file>', 'file with accepted plans, so that only other ones fail', fileToWrite)
    .option('--update-baseline', 'accept the plans of today: write them to the file of --baseline')
    .option('--analyze', 'execute each query with its values, read-only, and show the real rows and time')
    .option('--timeout <seconds>', 'end a query of --analyze after this time', integer(1, 3600), 30)
    .option('--no-code', NO_CODE)
    .addOption(
      new Option(
        '--format <format>',
        'text for people, json or github for pipelines (default: text)',
      ).choices(FORMATS),
    )
    .option('--json', 'the same as --format json')
    .addHelpText('after', VALUES_HELP);
  return command.action(async (flags: ExplainFlags) => {
    const problem = usageProblem(flags);
    if (problem !== null) command.error(`error: ${problem}`);
    const { url } = requireConnection(command, flags.databaseUrl ?? FROM_VARIABLES);
    try {
      const { explainProject } = await import('./explain-project.ts');
      onExitCode((await explainProject(url, flags)) ? SUCCEEDED : FAILED);
    } catch (error) {
      process.stderr.write(`${errorText(error)}\n`);
      onExitCode(FAILED);
    }
  });
}

function verdicts(text: string, before: readonly GatedVerdict[] = []): GatedVerdict[] {
  const names = text.split(',').map((name) => name.trim());
  const wrong = names.find((name) => !(GATED as readonly string[]).includes(name));
  if (wrong !== undefined) throw new InvalidArgumentError(`Allowed verdicts are ${GATED.join(', ')}.`);
  return [...before, ...(names as GatedVerdict[])];
}

/** Combinations of flags that make no sense. Null: the usage is right. */
function usageProblem(flags: ExplainFlags): string | null {
  const { databaseUrl, query, param, queries, indexes, baseline, updateBaseline, format, json } = flags;
  if (databaseUrl === undefined && !process.env.DATABASE_URL)
    return 'give the database with --database-url <url>';
  if (query !== undefined && queries !== undefined)
    return '--query and --queries cannot be combined; choose one';
  if (param !== undefined && query === undefined) {
    return '--param gives a value to --query; write the values of query files into comments such as -- $1: 17';
  }
  if (updateBaseline && baseline === undefined) return '--update-baseline needs the file: --baseline <file>';
  if (json && format !== undefined && format !== 'json')
    return `--json and --format ${format} cannot be combined`;
  if (query === undefined && queries === undefined && indexes === undefined && !existsSync('cdk.json')) {
    return `${process.cwd()} has no cdk.json that names a registry; give --query <sql>, --queries <folder> or --indexes <file>`;
  }
  return null;
}

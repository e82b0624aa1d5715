import { existsSync } from 'node:fs';
import { Command, Option } from 'commander';
import { FROM_VARIABLES } from '../../connection/resolve-connection.ts';
import { TOOLS, type Tool } from '../../sources/sql-source.ts';
import { errorText } from '../terminal/terminal-text.ts';
import {
  addPlaceholder,
  DATABASE_URL_VALUES,
  FAILED,
  fileInAnyFolder,
  PLACEHOLDER_VALUES,
  requireConnection,
  SUCCEEDED,
  searchPath,
} from './command-line.ts';
import { NO_CODE } from './no-code.ts';

/** The flags as commander parses them. */
interface Flags {
  databaseUrl?: string;
  from?: Tool;
  format?: 'ts' | 'json';
  out?: string;
  json?: boolean;
  searchPath?: string[];
  placeholder?: Map<string, string>;
  /** False for --no-code. */
  code: boolean;
}

const CODE_HELP = `
Import runs code: the up functions of node-pg-migrate's migrations in JavaScript or TypeScript, and with --out a registry
that is a module (.ts, .js), with everything that it imports. With --no-code it runs none of them: it lists migrations
that are code as not imported, and reads the registry from its text.`;

/** The command `import`: turns existing indexes into registry entries. */
export function importCommand(onExitCode: (code: number) => void): Command {
  const command = new Command('import')
    .description('Turn the indexes of SQL files, migrations or a live database into registry entries.')
    .argument('[paths...]', 'SQL files, migration folders, project folders, or - for standard input')
    .option('--database-url <url>', `read a live database instead; needs only SELECT: ${DATABASE_URL_VALUES}`)
    .addOption(
      new Option('--from <tool>', 'tool that runs the migrations (default: detected from the files)').choices(
        TOOLS,
      ),
    )
    .addOption(
      new Option('--format <format>', 'format of the printed registry (default: ts)').choices(['ts', 'json']),
    )
    .option(
      '--out <file>',
      'add the entries to this registry (.ts or .json); existing entries stay',
      fileInAnyFolder,
    )
    .option(
      '--search-path <schemas>',
      'schemas in which names without one are looked up, separated by commas; tables in the first are written without it (default: public, or that of the role of --database-url)',
      searchPath,
    )
    .option('--placeholder <name=value>', PLACEHOLDER_VALUES, addPlaceholder)
    .option('--no-code', NO_CODE)
    .addHelpText('after', CODE_HELP)
    .option('--json', 'print everything that was imported or skipped as JSON on standard output');
  return command.action(async (paths: string[], flags: Flags) => {
    const problem = usageProblem(paths, flags);
    if (problem !== null) command.error(`error: ${problem}`);
    const { from, format = 'ts', out, json = false, code: runCode, placeholder: placeholders } = flags;
    const { searchPath: path } = flags;
    const database = databaseOf(paths, flags);
    const databaseUrl = database === undefined ? undefined : requireConnection(command, database).url;
    try {
      const { importIndexes } = await import('./import-indexes.ts');
      const isPrinted = await importIndexes({
        ...{ paths, databaseUrl, from, format, out, json, runCode, placeholders },
        searchPath: path,
      });
      onExitCode(isPrinted ? SUCCEEDED : FAILED);
    } catch (error) {
      process.stderr.write(`${errorText(error)}\n`);
      onExitCode(FAILED);
    }
  });
}

/** Without paths, the import reads the database of DATABASE_URL. It changes nothing there. */
function databaseOf(
  paths: readonly string[],
  { databaseUrl }: Pick<Flags, 'databaseUrl'>,
): string | undefined {
  return databaseUrl ?? (paths.length === 0 && process.env.DATABASE_URL ? FROM_VARIABLES : undefined);
}

/** Combinations of arguments and flags that make no sense. Null: the usage is right. */
function usageProblem(
  paths: readonly string[],
  { databaseUrl, out, format, from, json, placeholder }: Flags,
): string | null {
  if (databaseOf(paths, { databaseUrl }) === undefined && paths.length === 0) {
    return 'give SQL files or folders, - for standard input, or --database-url <url>';
  }
  if (databaseUrl !== undefined && (paths.length > 0 || from !== undefined || placeholder !== undefined)) {
    return '--database-url cannot be combined with paths, --from or --placeholder; run import once for each, with --out <file>';
  }
  if (out !== undefined && format !== undefined) {
    return '--format applies to standard output only; with --out, the file extension sets the format';
  }
  if (json && format !== undefined) return '--json and --format both print to standard output; choose one';
  if (paths.filter((path) => path === '-').length > 1) return '- can be given only once';
  const missing = paths.find((path) => path !== '-' && !existsSync(path));
  return missing === undefined ? null : `the file or folder ${missing} does not exist`;
}

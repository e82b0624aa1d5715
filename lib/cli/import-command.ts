import { existsSync } from 'node:fs';
import { Command, Option } from 'commander';
import { messageOf } from '../../lambdas/shared/errors.ts';
import { TOOLS, type Tool } from '../import/source.ts';
import { FAILED, SUCCEEDED } from './exit-codes.ts';
import { databaseUrlProblem, fileToWrite } from './flag-values.ts';

/** What commander makes of the flags. */
interface Flags {
  databaseUrl?: string;
  from?: Tool;
  format?: 'ts' | 'json';
  out?: string;
  json?: boolean;
}

/** The command `import`: indexes of SQL files, of migrations or of a live database, as entries of a registry. */
export function importCommand(onExitCode: (code: number) => void): Command {
  const command = new Command('import')
    .description('Turn the indexes of SQL files, migrations or a live database into entries of a registry.')
    .argument('[paths...]', 'SQL files, folders of migrations, projects, or - for standard input')
    .option('--database-url <url>', 'read a live database instead; SELECT is all that it takes')
    .addOption(
      new Option('--from <tool>', 'whose migrations they are (default: told by what is there)').choices(
        TOOLS,
      ),
    )
    .addOption(
      new Option('--format <format>', 'how to print the registry (default: ts)').choices(['ts', 'json']),
    )
    .option('--out <file>', 'write to this registry, .ts or .json; what it has already stays', fileToWrite)
    .option('--json', 'print what was taken and what was not, as JSON on standard output');
  return command.action(async (paths: string[], flags: Flags) => {
    const problem = usageProblem(paths, flags);
    if (problem !== null) command.error(`error: ${problem}`);
    const { databaseUrl, from, format = 'ts', out, json = false } = flags;
    try {
      const { runImport } = await import('./import.ts');
      await runImport({ paths, databaseUrl, from, format, out, json });
      onExitCode(SUCCEEDED);
    } catch (error) {
      process.stderr.write(`${messageOf(error)}\n`);
      onExitCode(FAILED);
    }
  });
}

function usageProblem(
  paths: readonly string[],
  { databaseUrl, out, format, from, json }: Flags,
): string | null {
  if (databaseUrl === undefined && paths.length === 0)
    return 'name SQL files or folders, - or --database-url';
  if (databaseUrl !== undefined && (paths.length > 0 || from !== undefined)) {
    return '--database-url takes neither paths nor --from; import them one after the other with --out';
  }
  if (out !== undefined && format !== undefined)
    return '--format is for standard output; the extension of --out tells';
  if (json && format !== undefined) return '--json and --format both print to standard output; choose one';
  if (paths.filter((path) => path === '-').length > 1) return '- can stand only once';
  const missing = paths.find((path) => path !== '-' && !existsSync(path));
  if (missing !== undefined) return `there is no file or folder ${missing}`;
  // Not as the flag's parser: commander would repeat the value, and it may hold a password.
  const url = databaseUrl === undefined ? null : databaseUrlProblem(databaseUrl);
  return url === null ? null : `option '--database-url <url>': ${url}`;
}

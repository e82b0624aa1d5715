import { existsSync } from 'node:fs';
import { text as readAll } from 'node:stream/consumers';
import { Command, Option } from 'commander';
import { messageOf } from '../../lambdas/shared/errors.ts';
import type { Imported } from '../import/entries.ts';
import { findSources } from '../import/find-sources.ts';
import { importSources } from '../import/import-sql.ts';
import { importDatabase } from '../import/live-database.ts';
import { type Sources, TOOLS, type Tool } from '../import/source.ts';
import { summaryOf } from '../import/summary.ts';
import { writeRegistry } from '../import/write-registry.ts';
import { newRegistryFile } from '../registry/append-entries.ts';
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
    try {
      const imported = await read(paths, flags);
      const written = flags.out === undefined ? null : await writeRegistry(flags.out, imported.entries);
      const taken = written?.added ?? imported.entries;
      const kept = written?.kept ?? [];
      if (flags.json)
        process.stdout.write(`${JSON.stringify({ ...imported, entries: taken, kept }, null, 2)}\n`);
      else if (flags.out === undefined) process.stdout.write(newRegistryFile(taken, flags.format ?? 'ts'));
      process.stderr.write(summaryOf(imported, taken.length, kept));
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

async function read(paths: readonly string[], { databaseUrl, from }: Flags): Promise<Imported> {
  if (databaseUrl !== undefined) return await importDatabase(databaseUrl);
  const all: Omit<Sources, 'tool'>[] = [];
  for (const path of paths) all.push(path === '-' ? await standardInput() : await findSources(path, from));
  return await importSources({
    files: all.flatMap(({ files }) => files),
    notTaken: all.flatMap(({ notTaken }) => notTaken),
  });
}

async function standardInput(): Promise<Omit<Sources, 'tool'>> {
  const text = await readAll(process.stdin);
  return { files: [{ file: '(standard input)', text, hasLines: true }], notTaken: [] };
}

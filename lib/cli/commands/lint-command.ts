import { existsSync } from 'node:fs';
import { Command, Option } from 'commander';
import { FORMATS, type Format } from '../../lint/format-result.ts';
import { TOOLS } from '../../sources/sql-source.ts';
import {
  addPlaceholder,
  addValue,
  FAILED,
  fileOrFolder,
  nonEmpty,
  PLACEHOLDER_VALUES,
  SUCCEEDED,
  searchPath,
} from './command-line.ts';
import type { LintFlags } from './lint-scope.ts';
import { NO_CODE } from './no-code.ts';

/** The flags as commander parses them. */
interface Flags extends LintFlags {
  fix?: boolean;
  strict?: boolean;
  format: Format;
}

const CODE_HELP = `
Lint runs code: a registry that is a module (.ts, .js), with everything that it imports, and migrations of
node-pg-migrate in JavaScript or TypeScript. With --no-code, lint runs none of them: it reads the registry from its
text and reports migrations that are code as not checked. Use --no-code for pull requests of strangers.`;

/** The command `lint`: checks the registry and the migrations without a database. */
export function lintCommand(onExitCode: (code: number) => void): Command {
  return new Command('lint')
    .description('Check the index registry, and that migrations create no indexes. Needs no database.')
    .option('--indexes <file>', 'index registry, a .ts or .json file (default: from cdk.json)')
    .addOption(
      new Option(
        '--migrations <path>',
        'folder with SQL migrations, or one file; repeatable (default: from cdk.json)',
      ).argParser((path, before?: string[]) => addValue(fileOrFolder(path), before)),
    )
    .addOption(
      new Option(
        '--schema <path>',
        'SQL file or folder with the schema, such as structure.sql (default: the migrations)',
      ).argParser(fileOrFolder),
    )
    .addOption(
      new Option('--from <tool>', 'tool that runs the migrations (default: detected from the files)').choices(
        TOOLS,
      ),
    )
    .option('--tenant-column <name>', 'column that holds the tenant, or none (default: tenant_id)', nonEmpty)
    .option('--start-after <name>', 'lint only migrations after this one', nonEmpty)
    .option(
      '--search-path <schemas>',
      'schemas in which names without one are looked up, separated by commas (default: database.searchPath of the environment, otherwise public)',
      searchPath,
    )
    .option('--fix', 'move CREATE INDEX statements from the migrations into the registry')
    .option('--strict', 'exit with 1 for warnings too')
    .option('--placeholder <name=value>', PLACEHOLDER_VALUES, addPlaceholder)
    .option('--no-code', NO_CODE)
    .addHelpText('after', CODE_HELP)
    .addOption(
      new Option('--format <format>', 'text for people, json or github for pipelines')
        .choices(FORMATS)
        .default('text'),
    )
    .action(async ({ fix = false, strict = false, format, ...flags }: Flags, command: Command) => {
      if (flags.indexes === undefined && flags.migrations === undefined && !existsSync('cdk.json')) {
        command.error(
          `error: ${process.cwd()} has no cdk.json that says what to lint; give --indexes <file> and --migrations <path>.`,
        );
      }
      if (fix && flags.migrations !== undefined && flags.indexes === undefined) {
        command.error(
          "error: option '--fix': give the registry that receives the indexes with --indexes <file>.",
        );
      }
      const { lintProject } = await import('./lint-project.ts');
      onExitCode((await lintProject({ flags, fix, strict, format })) ? SUCCEEDED : FAILED);
    });
}

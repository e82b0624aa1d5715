import { existsSync } from 'node:fs';
import { Command, InvalidArgumentError, Option } from 'commander';
import { FORMATS, type Format } from '../lint/format.ts';
import { TOOLS } from '../sources/source.ts';
import { fileOrFolder } from './flag-values.ts';
import type { LintFlags } from './lint-settings.ts';

interface Flags extends LintFlags {
  fix?: boolean;
  strict?: boolean;
  format: Format;
}

/** The command `lint`: registry and migrations, without a database. */
export function lintCommand(onExitCode: (code: number) => void): Command {
  return new Command('lint')
    .description('Check the registry, and that migrations leave indexes to it. Needs no database.')
    .option('--indexes <file>', 'the registry, a .ts or a .json file (default: what cdk.json configures)')
    .addOption(
      new Option(
        '--migrations <path>',
        'folder with SQL migrations, or one file; repeatable (default: what cdk.json configures)',
      ).argParser(collectPath),
    )
    .addOption(
      new Option(
        '--schema <path>',
        'SQL that makes the schema, a file or a folder (default: the migrations)',
      ).argParser(fileOrFolder),
    )
    .addOption(
      new Option('--from <tool>', 'whose migrations they are (default: told by what is there)').choices(
        TOOLS,
      ),
    )
    .option('--tenant-column <name>', "a tenant table's column, or none (default: tenant_id)", nonEmpty)
    .option('--start-after <name>', 'the last migration that is not linted', nonEmpty)
    .option('--fix', 'move CREATE INDEX statements out of migrations into the registry')
    .option('--strict', 'fail on warnings too')
    .addOption(
      new Option('--format <format>', 'for people or for pipelines').choices(FORMATS).default('text'),
    )
    .action(async ({ fix, strict, format, ...flags }: Flags, command: Command) => {
      if (flags.indexes === undefined && flags.migrations === undefined && !existsSync('cdk.json')) {
        command.error(
          `error: there is no cdk.json in ${process.cwd()} that says what to lint; name it with --indexes <file> and --migrations <path>.`,
        );
      }
      if (fix && flags.migrations !== undefined && flags.indexes === undefined) {
        command.error(
          "error: option '--fix': name the registry that the indexes move into with --indexes <file>.",
        );
      }
      const { lint } = await import('./lint.ts');
      onExitCode(await lint({ flags, fix: fix === true, strict: strict === true, format }));
    });
}

function collectPath(text: string, before: string[] = []): string[] {
  return [...before, fileOrFolder(text)];
}

function nonEmpty(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('It must not be empty.');
  return text;
}

import { existsSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { Command, InvalidArgumentError } from 'commander';
import { errorText, terminalText } from '../terminal/terminal-text.ts';
import { FAILED, fileOrFolder, SUCCEEDED } from './command-line.ts';
import { NO_CODE } from './no-code.ts';

/** The flags as commander parses them. */
interface Flags {
  migrations?: string;
  dryRun?: boolean;
  yes?: boolean;
  /** False for --no-code. */
  code: boolean;
}

const FILES_HELP = `
Init writes the files that are missing: the registry with the indexes of your migrations, cdk.json, a CDK app with a
pipeline, a job for pull requests, and in an empty folder package.json. It overwrites no file. In a terminal it asks
before it writes. A project that has a cdk.json keeps its app, and init says what to add to it.`;

/** The command `init`: makes a working project in an empty or an existing folder. */
export function initCommand(onExitCode: (code: number) => void): Command {
  return new Command('init')
    .description('Set up a project: registry, configuration, CDK app, pipeline, job for pull requests.')
    .argument('[folder]', 'folder of the project, which must exist', existingFolder, '.')
    .option('--migrations <path>', 'folder with the migrations (default: found in the folder)', fileOrFolder)
    .option('--dry-run', 'show the files, and write none')
    .option('--yes', 'do not ask before the files are written')
    .option('--no-code', NO_CODE)
    .addHelpText('after', FILES_HELP)
    .action(async (folder: string, flags: Flags) => {
      try {
        await initProject(resolve(folder), flags);
        onExitCode(SUCCEEDED);
      } catch (error) {
        process.stderr.write(`${errorText(error)}\n`);
        onExitCode(FAILED);
      }
    });
}

async function initProject(folder: string, { migrations, dryRun, yes, code }: Flags): Promise<void> {
  const { examineProject } = await import('../../init/examine-project.ts');
  const { newFilesOf, writeNewFiles } = await import('../../init/new-files.ts');
  const { filesInWords, nextSteps } = await import('../../init/summary.ts');
  const path = migrations === undefined ? undefined : resolve(migrations);
  const project = await examineProject(folder, { path, runCode: code });
  const files = newFilesOf(project);
  print(filesInWords(project, files));
  if (files.missing.length === 0) return print('\nNothing to write: the project has all files.\n');
  if (dryRun === true) return print('\nNo file was written (--dry-run).\n');
  if (yes !== true && !(await isConfirmed())) return print('No file was written.\n');
  writeNewFiles(folder, files.missing);
  print(`\nWritten: ${files.missing.length} files.\n\n${nextSteps(project, files)}`);
}

/** Without a terminal nobody can answer: no file is overwritten in any case. */
async function isConfirmed(): Promise<boolean> {
  if (process.stdin.isTTY !== true || process.stdout.isTTY !== true) return true;
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    const answer = await terminal.question('\nWrite these files? [Y/n] ');
    return /^\s*(y|yes)?\s*$/i.test(answer);
  } finally {
    terminal.close();
  }
}

function existingFolder(text: string): string {
  if (!existsSync(text))
    throw new InvalidArgumentError(`The folder ${resolve(text)} does not exist. Create it first.`);
  if (!statSync(text).isDirectory())
    throw new InvalidArgumentError(`${resolve(text)} is a file, not a folder.`);
  return text;
}

function print(text: string): void {
  process.stdout.write(terminalText(text));
}

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { processesOf } from './processes.ts';

const LOG_FOLDER = /^pg-deploy-step-log-/;
const COMMAND = join(import.meta.dirname, '../../bin/pg-deploy-step.ts');

export interface EndedCommand {
  /** Null: a signal ended it. */
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningCommand {
  /** Id of the command's process. */
  readonly pid: number;
  /** The text on standard output and standard error so far. */
  output(): string;
  /** Ctrl-C: sends SIGINT to the command's process group, as a terminal does. */
  interrupt(): void;
  /** Sends a signal to the command's own process only: `SIGKILL` is a crash. */
  signal(name: NodeJS.Signals): void;
  /** Closes the pipe, as `| head` does. */
  closeOutput(): void;
  readonly ended: Promise<EndedCommand>;
}

/** A working directory and a temporary folder for commands, so that a test can see everything that a command leaves behind. */
export interface CommandFolder {
  readonly directory: string;
  /** The folder that contains all of this. The arguments or the variables of each process of a command name it. */
  readonly root: string;
  /** Environment variables of the commands, in addition to PATH, HOME and TMPDIR or instead of them. */
  readonly variables: Record<string, string>;
  /** The path of a file in the directory. */
  file(name: string): string;
  /** Starts the command in a process. */
  start(...args: string[]): RunningCommand;
  /** Runs the command to its end. */
  run(...args: string[]): Promise<EndedCommand>;
  /** Command lines of the running processes that commands of this folder have started. */
  processes(): string[];
  /** Names of the files in the directory, or in a folder of it. */
  files(folder?: string): string[];
  /** Files that commands have left in the temporary folder, without the logs of failed deploys. */
  temporaryFiles(): string[];
  /** The logs of failed deploys. */
  logs(): string;
  remove(): void;
}

/** @param variables of the commands, in addition to PATH, HOME and TMPDIR */
export function createCommandFolder(given: Readonly<Record<string, string>> = {}): CommandFolder {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'pg-deploy-step-command-')));
  const directory = join(root, 'work');
  const temporary = join(root, 'tmp');
  mkdirSync(directory);
  mkdirSync(temporary);
  // If root runs the tests, the embedded server runs as another user.
  chmodSync(root, 0o755);
  chmodSync(temporary, 0o1777);
  const variables: Record<string, string> = { ...given };
  const start = (...args: string[]) => startCommand(args, directory, { TMPDIR: temporary, ...variables });
  return {
    directory,
    root,
    variables,
    file: (name) => join(directory, name),
    start,
    run: (...args) => start(...args).ended,
    processes: () => processesOf(root).map(({ commandLine }) => commandLine),
    files: (folder = '.') => readdirSync(join(directory, folder)).toSorted(),
    temporaryFiles: () =>
      readdirSync(temporary).filter((name) => name.startsWith('pg-deploy-step') && !LOG_FOLDER.test(name)),
    logs: () =>
      readdirSync(temporary)
        .filter((name) => LOG_FOLDER.test(name))
        .map((name) => readFileSync(join(temporary, name, 'functions.log'), 'utf8'))
        .join(''),
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}

function startCommand(
  args: readonly string[],
  directory: string,
  variables: Readonly<Record<string, string>>,
): RunningCommand {
  const { PATH, HOME } = process.env;
  const child = spawn(process.execPath, [COMMAND, ...args], {
    cwd: directory,
    detached: true,
    env: { PATH, HOME, ...variables },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return {
    pid: child.pid ?? 0,
    output: () => stdout + stderr,
    interrupt: () => {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGINT');
    },
    signal: (name) => void child.kill(name),
    closeOutput: () => {
      child.stdout.destroy();
      child.stderr.destroy();
    },
    ended: once(child, 'close').then(([exitCode]) => ({
      exitCode: exitCode as number | null,
      stdout,
      stderr,
    })),
  };
}

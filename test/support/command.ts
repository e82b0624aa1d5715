import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const COMMAND = join(import.meta.dirname, '../../bin/pg-deploy-step.ts');

export interface EndedCommand {
  /** Null: a signal ended it. */
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningCommand {
  /** What it has written so far, standard output and error. */
  output(): string;
  /** Ctrl-C: SIGINT to the command's whole process group, as a terminal sends it. */
  interrupt(): void;
  /** Reads no further, as `| head` does. */
  closeOutput(): void;
  readonly ended: Promise<EndedCommand>;
}

/** A working directory with a temporary folder of its own, so that all that a command leaves behind can be seen. */
export interface CommandPlace {
  readonly directory: string;
  /** The path of a file in the directory. */
  file(name: string): string;
  /** Starts the command as a process of its own. */
  start(...args: string[]): RunningCommand;
  /** Runs the command to its end. */
  run(...args: string[]): Promise<EndedCommand>;
  /** Command lines of processes that belong to commands of this place and still run. */
  processes(): string[];
  /** Names in the directory, or in a folder of it. */
  files(folder?: string): string[];
  /** What the commands have left in the temporary folder, logs of failed deploys apart. */
  temporaryFiles(): string[];
  /** The logs of failed deploys. */
  logs(): string;
  remove(): void;
}

export function makeCommandPlace(): CommandPlace {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'pg-deploy-step-command-')));
  const directory = join(root, 'work');
  const temporary = join(root, 'tmp');
  mkdirSync(directory);
  mkdirSync(temporary);
  // Where this process is root's, the embedded server is another user's.
  chmodSync(root, 0o755);
  chmodSync(temporary, 0o1777);
  const start = (...args: string[]) => startCommand(args, directory, temporary);
  return {
    directory,
    file: (name) => join(directory, name),
    start,
    run: (...args) => start(...args).ended,
    processes: () => processesWith(root),
    files: (folder = '.') => readdirSync(join(directory, folder)).toSorted(),
    temporaryFiles: () =>
      readdirSync(temporary).filter((name) => name.startsWith('pg-deploy-step') && !name.endsWith('.log')),
    logs: () =>
      readdirSync(temporary)
        .filter((name) => name.endsWith('.log'))
        .map((name) => readFileSync(join(temporary, name), 'utf8'))
        .join(''),
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}

function startCommand(args: readonly string[], directory: string, temporary: string): RunningCommand {
  const { PATH, HOME } = process.env;
  const child = spawn(process.execPath, [COMMAND, ...args], {
    cwd: directory,
    detached: true,
    env: { PATH, HOME, TMPDIR: temporary },
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
    output: () => stdout + stderr,
    interrupt: () => {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGINT');
    },
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

/** Each child bears the place's folder in its arguments or its environment. */
function processesWith(folder: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      const commandLine = read(`/proc/${pid}/cmdline`);
      return (commandLine + read(`/proc/${pid}/environ`)).includes(folder) ? [commandLine] : [];
    });
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8').replaceAll('\0', ' ');
  } catch {
    // It has ended, or is another user's.
    return '';
  }
}

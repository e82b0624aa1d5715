import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';
import { localArn } from '../local-arns.ts';
import type { Clock } from './clock.ts';
import type { DescribedTask } from './ecs-tasks.ts';

/** A task definition with one container, which is a command on this machine. */
export interface LocalTask {
  readonly cluster: string;
  /** Family of the task definition. */
  readonly family: string;
  readonly container: string;
  /** The image's command with its arguments. A container override can replace it. */
  readonly command: readonly string[];
  /** Environment variables of the container: DATABASE_URL at least. */
  readonly variables: Readonly<Record<string, string>>;
  /** Working directory. @default the working directory of this process */
  readonly directory?: string;
}

interface TaskStart {
  readonly task: LocalTask;
  readonly group: string;
  /** Undefined: the command of the task definition. */
  readonly command: readonly string[] | undefined;
  /** Variables in addition to those of the task definition. */
  readonly variables: Readonly<Record<string, string>>;
  readonly onLine: (line: string) => void;
  /** Between SIGTERM and SIGKILL. */
  readonly stopTimeoutMs: number;
  readonly clock: Clock;
}

/** A task that RunTask started: a process with its children. */
export class TaskProcess {
  readonly arn: string;
  readonly startedAt = new Date();
  readonly definition: LocalTask;
  readonly group: string;
  /** Resolves when the process has ended. */
  readonly ended: Promise<void>;
  /** Null: the process still runs, or could not be started. */
  exitCode: number | null = null;
  stopped = false;
  /** Why the task stopped. */
  stopCode: 'EssentialContainerExited' | 'UserInitiated' | 'TaskFailedToStart' = 'EssentialContainerExited';
  stoppedReason = 'Essential container in task exited';
  containerReason: string | undefined;
  readonly #child: ChildProcess;
  readonly #stopTimeoutMs: number;
  readonly #clock: Clock;
  #isStopping = false;

  constructor({ task, group, command, variables, onLine, stopTimeoutMs, clock }: TaskStart) {
    this.#stopTimeoutMs = stopTimeoutMs;
    this.#clock = clock;
    this.definition = task;
    this.group = group;
    this.arn = localArn('ecs', `task/${task.cluster}/${randomBytes(16).toString('hex')}`);
    const [program = '', ...args] = command ?? task.command;
    const child = spawn(program, args, {
      cwd: task.directory,
      // A separate process group: Ctrl-C in the terminal does not reach it, and a stop also reaches its children.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH, ...task.variables, ...variables },
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on('line', onLine);
    }
    this.ended = new Promise<void>((resolve) => {
      child.once('error', (error) => {
        this.stopCode = 'TaskFailedToStart';
        this.stoppedReason = 'Task failed to start';
        this.containerReason = `CannotStartContainerError: ${error.message}`;
        resolve();
      });
      // A container ends with its first process, also when other processes still run in it.
      child.once('exit', () => this.signal('SIGKILL'));
      // After a signal, a container's exit code is 128 plus the number of the signal.
      child.once('close', (code, signal) => {
        this.exitCode = code ?? 128 + (signal === 'SIGTERM' ? 15 : 9);
        resolve();
      });
    }).then(() => {
      this.stopped = true;
    });
  }

  /** Sends SIGTERM and returns at once. Sends SIGKILL after the stop timeout. */
  stop(reason: string): void {
    if (this.stopped || this.#isStopping) return;
    this.#isStopping = true;
    this.stopCode = 'UserInitiated';
    this.stoppedReason = reason;
    this.signal('SIGTERM');
    const cancel = this.#clock.after(this.#stopTimeoutMs, () => this.signal('SIGKILL'));
    void this.ended.then(cancel);
  }

  signal(name: NodeJS.Signals): void {
    const { pid } = this.#child;
    if (this.stopped || pid === undefined) return;
    try {
      process.kill(-pid, name);
    } catch {
      // The process has already ended.
    }
  }

  described(): DescribedTask {
    const { cluster, family, container } = this.definition;
    return {
      arn: this.arn,
      cluster,
      group: this.group,
      startedBy: 'AWS Step Functions',
      taskDefinition: `${family}:1`,
      container,
      startedAt: this.startedAt.toISOString(),
      desiredStatus: this.stopped || this.#isStopping ? 'STOPPED' : 'RUNNING',
      lastStatus: this.stopped ? 'STOPPED' : this.#isStopping ? 'STOPPING' : 'RUNNING',
      ...(this.exitCode !== null && { exitCode: this.exitCode }),
      containerReason: this.containerReason,
      ...(this.stopped && { stopCode: this.stopCode, stoppedReason: this.stoppedReason }),
    };
  }
}

import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';
import { localArn } from '../local-arns.ts';

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

  constructor({ task, group, command, variables, onLine }: TaskStart) {
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

  /** Sends SIGTERM, and SIGKILL after the stop timeout, as StopTask does. */
  async stop(reason: string, stopTimeoutMs: number): Promise<void> {
    if (this.stopped) return;
    this.stopCode = 'UserInitiated';
    this.stoppedReason = reason;
    this.signal('SIGTERM');
    const kill = setTimeout(() => this.signal('SIGKILL'), stopTimeoutMs);
    await this.ended;
    clearTimeout(kill);
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

  /** The result of DescribeTasks, with the names in the case that Step Functions uses. */
  describe(): Record<string, unknown> {
    const { cluster, family, container } = this.definition;
    const status = this.stopped ? 'STOPPED' : 'RUNNING';
    return {
      Attachments: [],
      ClusterArn: localArn('ecs', `cluster/${cluster}`),
      Containers: [
        {
          ContainerArn: this.arn.replace(':task/', ':container/'),
          ...(this.exitCode === null ? {} : { ExitCode: this.exitCode }),
          LastStatus: status,
          Name: container,
          ...(this.containerReason === undefined ? {} : { Reason: this.containerReason }),
          TaskArn: this.arn,
        },
      ],
      CreatedAt: this.startedAt.getTime(),
      DesiredStatus: status,
      Group: this.group,
      LastStatus: status,
      LaunchType: 'FARGATE',
      StartedBy: 'AWS Step Functions',
      ...(this.stopped ? { StopCode: this.stopCode, StoppedReason: this.stoppedReason } : {}),
      TaskArn: this.arn,
      TaskDefinitionArn: localArn('ecs', `task-definition/${family}:1`),
    };
  }
}

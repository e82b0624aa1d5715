import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';
import { ACCOUNT, REGION } from '../account.ts';

/** What stands for a task definition with one container: a command on this machine. */
export interface LocalTask {
  readonly cluster: string;
  /** Family of the task definition. */
  readonly family: string;
  readonly container: string;
  /** The image's command with its arguments, which an override of the command takes the place of. */
  readonly command: readonly string[];
  /** Variables of the container, as its task definition has them: DATABASE_URL at least. */
  readonly environment: Readonly<Record<string, string>>;
  /** @default the folder that this process runs in */
  readonly directory?: string;
}

export interface TaskStart {
  readonly task: LocalTask;
  readonly group: string;
  readonly command: readonly string[] | undefined;
  readonly environment: Readonly<Record<string, string>>;
  readonly onLine: (line: string) => void;
}

/** A task that RunTask started: one process with its children. */
export class TaskProcess {
  readonly arn: string;
  readonly startedAt = new Date();
  readonly definition: LocalTask;
  readonly group: string;
  /** Settles when the process is gone. */
  readonly ended: Promise<void>;
  /** Null: it runs, or did not come to run. */
  exitCode: number | null = null;
  stopped = false;
  /** Why it was told to stop, or did not come to run. */
  stopCode: 'EssentialContainerExited' | 'UserInitiated' | 'TaskFailedToStart' = 'EssentialContainerExited';
  stoppedReason = 'Essential container in task exited';
  containerReason: string | undefined;
  readonly #child: ChildProcess;

  constructor({ task, group, command, environment, onLine }: TaskStart) {
    this.definition = task;
    this.group = group;
    this.arn = `arn:aws:ecs:${REGION}:${ACCOUNT}:task/${task.cluster}/${randomBytes(16).toString('hex')}`;
    const [program = '', ...args] = command ?? task.command;
    const child = spawn(program, args, {
      cwd: task.directory,
      // A group of its own: Ctrl-C in the terminal is the command's to handle, and a stop reaches its children too.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH, ...task.environment, ...environment },
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
      // A container ends with its first process, whatever else runs in it.
      child.once('exit', () => this.signal('SIGKILL'));
      // 128 and the signal's number, as a container's exit code tells it.
      child.once('close', (code, signal) => {
        this.exitCode = code ?? 128 + (signal === 'SIGTERM' ? 15 : 9);
        resolve();
      });
    }).then(() => {
      this.stopped = true;
    });
  }

  /** As StopTask: asks with SIGTERM, and insists with SIGKILL when the stop timeout is over. */
  async stop(reason: string, stopTimeoutMs: number): Promise<void> {
    if (this.stopped) return;
    this.stopCode = 'UserInitiated';
    this.stoppedReason = reason;
    this.signal('SIGTERM');
    const insist = setTimeout(() => this.signal('SIGKILL'), stopTimeoutMs);
    await this.ended;
    clearTimeout(insist);
  }

  signal(name: NodeJS.Signals): void {
    const { pid } = this.#child;
    if (this.stopped || pid === undefined) return;
    try {
      process.kill(-pid, name);
    } catch {
      // It ended by itself.
    }
  }

  /** As DescribeTasks tells it, in the case that Step Functions gives the names. */
  describe(): Record<string, unknown> {
    const { cluster, family, container } = this.definition;
    const status = this.stopped ? 'STOPPED' : 'RUNNING';
    return {
      Attachments: [],
      ClusterArn: `arn:aws:ecs:${REGION}:${ACCOUNT}:cluster/${cluster}`,
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
      TaskDefinitionArn: `arn:aws:ecs:${REGION}:${ACCOUNT}:task-definition/${family}:1`,
    };
  }
}

import { z } from 'zod';
import { familyOf } from '../../../lambdas/shared/migration-runner.ts';
import { Aborted, TaskError, TimedOut } from '../engine/errors.ts';
import { type Actions, action, serviceError } from './action.ts';
import type { Clock } from './clock.ts';
import { type DescribedTask, describeTask, type TaskSource } from './ecs-tasks.ts';
import { type LocalTask, TaskProcess } from './task-process.ts';

interface RunTaskOptions {
  readonly tasks: readonly LocalTask[];
  readonly stopTimeoutSeconds: number;
  readonly clock: Clock;
  /** Receives each line that a task writes. */
  readonly onLine: (task: LocalTask, line: string) => void;
}

const runTaskSchema = z.strictObject({
  Cluster: z.string().default('default'),
  TaskDefinition: z.string(),
  LaunchType: z.enum(['FARGATE', 'EC2']).optional(),
  Group: z.string().optional(),
  NetworkConfiguration: z
    .strictObject({
      AwsvpcConfiguration: z.strictObject({
        Subnets: z.array(z.string()).min(1),
        SecurityGroups: z.array(z.string()).optional(),
        AssignPublicIp: z.enum(['ENABLED', 'DISABLED']).optional(),
      }),
    })
    .optional(),
  Overrides: z
    .strictObject({
      ContainerOverrides: z.array(
        z.strictObject({
          Name: z.string(),
          Command: z.array(z.string()).optional(),
          Environment: z.array(z.strictObject({ Name: z.string(), Value: z.string() })).optional(),
        }),
      ),
    })
    .optional(),
});

/** ECS: starts single tasks, which are commands on this machine. */
export class RunTasks implements TaskSource {
  readonly actions: Actions;
  readonly #options: RunTaskOptions;
  readonly #processes: TaskProcess[] = [];

  constructor(options: RunTaskOptions) {
    this.#options = options;
    this.actions = Object.fromEntries([
      action('arn:aws:states:::ecs:runTask.sync', runTaskSchema, (parameters, signal) =>
        this.#run(parameters, signal),
      ),
    ]);
  }

  /** The number of running tasks. */
  get running(): number {
    return this.#processes.filter(({ stopped }) => !stopped).length;
  }

  list(): DescribedTask[] {
    return this.#processes.map((task) => task.described());
  }

  stop(arn: string, reason: string): boolean {
    const task = this.#processes.find((one) => one.arn === arn);
    task?.stop(reason);
    return task !== undefined;
  }

  /** Kills all tasks (SIGKILL) and waits until their processes have ended. */
  async close(): Promise<void> {
    for (const task of this.#processes) task.signal('SIGKILL');
    await Promise.all(this.#processes.map(({ ended }) => ended));
  }

  async #run(parameters: z.output<typeof runTaskSchema>, signal: AbortSignal): Promise<unknown> {
    const { Cluster, TaskDefinition, Group, Overrides } = parameters;
    const inCluster = this.#options.tasks.filter(({ cluster }) => cluster === Cluster);
    if (inCluster.length === 0) throw serviceError('ECS.ClusterNotFoundException', 'Cluster not found.');
    const family = familyOf(TaskDefinition);
    const definition = inCluster.find((task) => task.family === family);
    if (definition === undefined) throw serviceError('ECS.ClientException', 'TaskDefinition not found.');
    const overrides = Overrides?.ContainerOverrides ?? [];
    const other = overrides.find(({ Name }) => Name !== definition.container);
    if (other !== undefined) {
      throw serviceError(
        'ECS.InvalidParameterException',
        `Override for container named ${other.Name} is not a container in the TaskDefinition.`,
      );
    }
    const [override] = overrides;
    const task = new TaskProcess({
      task: definition,
      group: Group ?? `family:${family}`,
      command: override?.Command,
      variables: Object.fromEntries((override?.Environment ?? []).map(({ Name, Value }) => [Name, Value])),
      onLine: (line) => this.#options.onLine(definition, line),
      stopTimeoutMs: this.#options.stopTimeoutSeconds * 1000,
      clock: this.#options.clock,
    });
    this.#processes.push(task);
    await this.#untilEnded(task, signal);
    const description = describeTask(task.described());
    if (task.exitCode === 0) return description;
    throw new TaskError('States.TaskFailed', JSON.stringify(description));
  }

  /**
   * Step Functions calls StopTask for an aborted execution and does not wait for the end of the task. At a timeout AWS does
   * not document it, so the task continues.
   */
  async #untilEnded(task: TaskProcess, signal: AbortSignal): Promise<void> {
    const { promise: detached, resolve } = Promise.withResolvers<void>();
    const onAbort = () => {
      if (!(signal.reason instanceof TimedOut)) task.stop('The execution was aborted');
      resolve();
    };
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    await Promise.race([task.ended, detached]);
    signal.removeEventListener('abort', onAbort);
    if (signal.aborted) throw new Aborted();
  }
}

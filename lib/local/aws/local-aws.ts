import { setTimeout as pause } from 'node:timers/promises';
import { StatesRuntime } from '../engine/errors.ts';
import type { Actions } from './action.ts';
import { newTarget, resourceIdOf, scalingActions } from './application-auto-scaling.ts';
import { type Clock, SYSTEM_CLOCK, timestampOf } from './clock.ts';
import { cloudWatchActions } from './cloudwatch.ts';
import { ecsServiceActions } from './ecs-services.ts';
import { ecsTaskActions } from './ecs-tasks.ts';
import { eventBridgeActions } from './eventbridge.ts';
import { eventSourceMappingActions } from './lambda-mappings.ts';
import { RunTasks } from './run-task.ts';
import { type LocalSchedule, schedulerActions, scheduleState } from './scheduler.ts';
import { ServiceTasks } from './service-tasks.ts';
import { snsActions } from './sns.ts';
import { ssmActions } from './ssm.ts';
import { type AwsState, type RuleState, StateFile, serviceState } from './state-file.ts';
import { targetHealthActions } from './target-health.ts';
import { taskDefinitionActions } from './task-definitions.ts';
import type { LocalTask } from './task-process.ts';

export interface LocalService {
  readonly cluster: string;
  readonly service: string;
  readonly desiredCount: number;
  /** Environment variables of its tasks: DATABASE_URL at least. See demo-service-process.ts. */
  readonly variables: Readonly<Record<string, string>>;
  /** Capacities of its scalable target. @default no scalable target */
  readonly scaling?: { readonly min: number; readonly max: number };
  /** @default REPLICA */
  readonly schedulingStrategy?: 'REPLICA' | 'DAEMON';
  /** How long a load balancer takes to deregister a task that has to stop, in seconds. @default 0, no load balancer */
  readonly deregistrationDelaySeconds?: number;
  /** Seconds between the end of a task's process and its last status STOPPED. @default 0 */
  readonly deprovisioningSeconds?: number;
  /** Number of calls of DescribeServices after a change that still return the service as before. @default 0 */
  readonly staleReads?: number;
  /** ARNs of the target groups of its load balancers. @default no load balancer */
  readonly targetGroups?: string[];
  /** Revisions of its task definition, which has its name. It has the first one. @default 3 */
  readonly revisions?: number;
}

const DEFAULT_REVISIONS = 3;

export interface LocalAwsOptions {
  /** The state of the local AWS. An existing file is continued. */
  readonly stateFile: string;
  /** The services. A service in the state file keeps its count and its processes. @default none */
  readonly services?: readonly LocalService[];
  /** The EventBridge rules. A rule in the state file keeps its state. @default none */
  readonly rules?: readonly RuleState[];
  /** The event source mappings. A mapping in the state file keeps its state. @default none */
  readonly mappings?: readonly { readonly uuid: string; readonly enabled: boolean }[];
  /** The schedules of EventBridge Scheduler. A schedule in the state file keeps its fields. @default none */
  readonly schedules?: readonly LocalSchedule[];
  /** The SNS topics. @default none */
  readonly topicArns?: readonly string[];
  /** The task definitions that RunTask can start. @default none */
  readonly tasks?: readonly LocalTask[];
  /** Receives each line that such a task writes. @default the lines are discarded */
  readonly onTaskLine?: (task: LocalTask, line: string) => void;
  /** Whether the tasks of services are started, stopped and replaced. False: the services are only described. @default true */
  readonly runsTasks?: boolean;
  /** Seconds between SIGTERM and SIGKILL. @default 30, as in ECS */
  readonly stopTimeoutSeconds?: number;
  /** The time of tasks that stop. @default the time of this machine */
  readonly clock?: Clock;
}

/**
 * Local versions of the AWS services that the state machines call: ECS, Elastic Load Balancing, Application Auto Scaling,
 * Parameter Store, EventBridge and its Scheduler, CloudWatch's metrics, Lambda's event source mappings and SNS. Names, parameters, results and errors are the same as in Step
 * Functions. Any other action is refused.
 */
export class LocalAws {
  readonly #file: StateFile;
  readonly #clock: Clock;
  readonly #tasks: ServiceTasks;
  readonly #runTasks: RunTasks;
  readonly #actions: Actions;
  #closed = false;

  constructor({
    stateFile,
    services = [],
    rules = [],
    mappings = [],
    schedules = [],
    topicArns = [],
    tasks = [],
    onTaskLine = () => undefined,
    runsTasks = true,
    stopTimeoutSeconds = 30,
    clock = SYSTEM_CLOCK,
  }: LocalAwsOptions) {
    this.#clock = clock;
    this.#file = new StateFile(stateFile);
    for (const service of services) this.#add(service);
    const { eventBridge, lambda, scheduler } = this.#file.state;
    for (const schedule of schedules.map((given) => scheduleState(given, clock))) {
      const isKnown = scheduler.schedules.some(
        ({ Name, GroupName }) => Name === schedule.Name && GroupName === schedule.GroupName,
      );
      if (!isKnown) scheduler.schedules.push(schedule);
    }
    for (const rule of rules) {
      const isKnown = eventBridge.rules.some(
        ({ name, eventBus }) => name === rule.name && eventBus === rule.eventBus,
      );
      if (!isKnown) eventBridge.rules.push({ ...rule });
    }
    for (const { uuid, enabled } of mappings) {
      const isKnown = lambda.mappings.some((mapping) => mapping.uuid === uuid);
      if (!isKnown) lambda.mappings.push({ uuid, enabled, staleReads: 0 });
    }
    this.#file.save();
    this.#tasks = new ServiceTasks(this.#file, { stopTimeoutSeconds, clock, runs: runsTasks });
    this.#runTasks = new RunTasks({ tasks, stopTimeoutSeconds, clock, onLine: onTaskLine });
    this.#actions = {
      ...this.#runTasks.actions,
      ...ecsServiceActions(this.#file, this.#tasks, clock),
      ...taskDefinitionActions(this.#file),
      ...ecsTaskActions([this.#tasks, this.#runTasks], (cluster, service) => this.#has(cluster, service)),
      ...scalingActions(this.#file, () => this.#tasks.reconcile()),
      ...targetHealthActions(this.#file, this.#tasks),
      ...ssmActions(this.#file),
      ...snsActions(this.#file, topicArns),
      ...eventBridgeActions(this.#file),
      ...schedulerActions(this.#file, clock),
      ...cloudWatchActions(this.#file, clock),
      ...eventSourceMappingActions(this.#file),
    };
  }

  /** The current state of the local AWS. */
  get state(): Readonly<AwsState> {
    return this.#file.state;
  }

  supports(resource: string): boolean {
    return Object.hasOwn(this.#actions, resource);
  }

  /**
   * Runs an action.
   * @param resource the Resource of a Task state, such as arn:aws:states:::aws-sdk:ecs:updateService
   * @throws TaskError with the name that Step Functions gives the service's error
   * @throws StatesRuntime when the parameters are wrong or the action is unknown
   */
  async call(
    resource: string,
    parameters: unknown,
    signal: AbortSignal = new AbortController().signal,
  ): Promise<unknown> {
    const action = this.supports(resource) ? this.#actions[resource] : undefined;
    if (action === undefined) {
      throw new StatesRuntime(
        `The local AWS does not support ${resource}. Supported: ${Object.keys(this.#actions).sort().join(', ')}.`,
      );
    }
    // An execution that continues after the end of the run must not start processes: nothing would stop them.
    if (this.#closed) {
      throw new StatesRuntime(`The local AWS is closed. It did not run ${resource}.`);
    }
    return structuredClone(await action.run(parameters, signal));
  }

  /** The number of running tasks that RunTask started. */
  get runningTasks(): number {
    return this.#runTasks.running;
  }

  /** Waits until every service has its desired number of tasks, all connected to the database. */
  async steady(signal?: AbortSignal): Promise<void> {
    while (!this.#file.state.ecs.services.every((service) => this.#tasks.isSteady(service))) {
      await pause(50, undefined, { signal });
    }
  }

  /**
   * Ends the tasks that RunTask started, and refuses further calls. The state file is kept.
   * @param tasks stop: also end the services' processes; leave: they continue, and belong to the next LocalAws that opens
   * the state file
   */
  async close({ tasks }: { tasks: 'stop' | 'leave' } = { tasks: 'stop' }): Promise<void> {
    this.#closed = true;
    await this.#runTasks.close();
    if (tasks === 'stop') await this.#tasks.stopAll();
    else this.#tasks.leave();
  }

  #has(cluster: string, service: string): boolean {
    return this.#file.state.ecs.services.some(
      (entry) => entry.cluster === cluster && entry.service === service,
    );
  }

  #add({
    scaling,
    variables,
    schedulingStrategy = 'REPLICA',
    revisions = DEFAULT_REVISIONS,
    ...added
  }: LocalService): void {
    const { ecs, scaling: scalings } = this.#file.state;
    const { cluster, service } = added;
    for (let revision = 1; revision <= revisions; revision += 1) {
      const isKnown = ecs.taskDefinitions.some((one) => one.family === service && one.revision === revision);
      if (!isKnown) ecs.taskDefinitions.push({ family: service, revision, status: 'ACTIVE' });
    }
    const known = ecs.services.find((entry) => entry.cluster === cluster && entry.service === service);
    if (known !== undefined) {
      // The database can have another URL in this run.
      known.variables = { ...variables };
      return;
    }
    const createdAt = timestampOf(this.#clock);
    ecs.services.push(serviceState({ ...added, schedulingStrategy, createdAt, variables: { ...variables } }));
    if (scaling === undefined) return;
    scalings.targets.push(newTarget(resourceIdOf({ cluster, service }), scaling.min, scaling.max));
  }
}

import { setTimeout as pause } from 'node:timers/promises';
import { StatesRuntime } from '../engine/errors.ts';
import type { Actions } from './action.ts';
import { scalingActions } from './application-auto-scaling.ts';
import { ecsActions } from './ecs.ts';
import { Tasks } from './ecs-tasks.ts';
import { eventSourceMappingActions } from './event-source-mappings.ts';
import { eventBridgeActions } from './eventbridge.ts';
import { RunTasks } from './run-task.ts';
import { snsActions } from './sns.ts';
import { ssmActions } from './ssm.ts';
import { type AwsState, type RuleState, StateFile } from './state-file.ts';
import type { LocalTask } from './task-process.ts';

export interface LocalService {
  readonly cluster: string;
  readonly service: string;
  readonly desiredCount: number;
  /** Variables of its tasks: see demo-service.ts; DATABASE_URL at least. */
  readonly environment: Readonly<Record<string, string>>;
  /** Limits of its scalable target. @default it has none */
  readonly scaling?: { readonly min: number; readonly max: number };
  /** @default REPLICA */
  readonly schedulingStrategy?: 'REPLICA' | 'DAEMON';
}

export interface LocalAwsOptions {
  /** Where the stand-ins remember; what is there already is gone on from. */
  readonly stateFile: string;
  /** Services that exist. One that the state file knows keeps its count and its processes. @default none */
  readonly services?: readonly LocalService[];
  /** EventBridge rules that exist. One that the state file knows keeps its state. @default none */
  readonly rules?: readonly RuleState[];
  /** Event source mappings that exist, likewise. @default none */
  readonly mappings?: readonly { readonly uuid: string; readonly enabled: boolean }[];
  /** Topics that exist. @default none */
  readonly topicArns?: readonly string[];
  /** Task definitions that RunTask can start. @default none */
  readonly tasks?: readonly LocalTask[];
  /** Every line that a started task writes. @default dropped */
  readonly onTaskLine?: (task: LocalTask, line: string) => void;
  /** From SIGTERM to SIGKILL. @default 30, as in ECS */
  readonly stopTimeoutSeconds?: number;
}

/**
 * Stands in for the AWS services that state machines call themselves: ECS, Application Auto Scaling, Parameter Store,
 * EventBridge and SNS. Names, parameters, answers and errors are those that Step Functions shows of the real ones; what is not
 * known here is refused.
 */
export class LocalAws {
  readonly #file: StateFile;
  readonly #tasks: Tasks;
  readonly #runTasks: RunTasks;
  readonly #actions: Actions;
  #closed = false;

  constructor({
    stateFile,
    services = [],
    rules = [],
    mappings = [],
    topicArns = [],
    tasks = [],
    onTaskLine = () => undefined,
    stopTimeoutSeconds = 30,
  }: LocalAwsOptions) {
    this.#file = new StateFile(stateFile);
    for (const service of services) this.#add(service);
    const { eventBridge, lambda } = this.#file.state;
    for (const rule of rules) {
      const isKnown = eventBridge.rules.some(
        ({ name, eventBus }) => name === rule.name && eventBus === rule.eventBus,
      );
      if (!isKnown) eventBridge.rules.push({ ...rule });
    }
    for (const { uuid, enabled } of mappings) {
      const isKnown = lambda.mappings.some((mapping) => mapping.uuid === uuid);
      if (!isKnown) lambda.mappings.push({ uuid, enabled, looksLeft: 0 });
    }
    this.#file.save();
    this.#tasks = new Tasks(this.#file, stopTimeoutSeconds);
    this.#runTasks = new RunTasks({ tasks, stopTimeoutSeconds, onLine: onTaskLine });
    this.#actions = {
      ...this.#runTasks.actions,
      ...ecsActions(this.#file, this.#tasks),
      ...scalingActions(this.#file, () => this.#tasks.reconcile()),
      ...ssmActions(this.#file),
      ...snsActions(this.#file, topicArns),
      ...eventBridgeActions(this.#file),
      ...eventSourceMappingActions(this.#file),
    };
  }

  /** What AWS remembers now, to read. */
  get state(): Readonly<AwsState> {
    return this.#file.state;
  }

  supports(resource: string): boolean {
    return Object.hasOwn(this.#actions, resource);
  }

  /**
   * Answers a call.
   * @param resource the Resource of a Task state, such as arn:aws:states:::aws-sdk:ecs:updateService
   * @throws an Error named as Step Functions names the service's; States.Runtime for wrong parameters
   */
  async call(
    resource: string,
    parameters: unknown,
    signal: AbortSignal = new AbortController().signal,
  ): Promise<unknown> {
    const action = this.supports(resource) ? this.#actions[resource] : undefined;
    if (action === undefined) {
      throw new StatesRuntime(
        `${resource} is not known here. Known: ${Object.keys(this.#actions).sort().join(', ')}.`,
      );
    }
    // An execution that goes on after its run's end must not start processes that nobody ends.
    if (this.#closed) throw new StatesRuntime(`The local AWS is closed: ${resource} was not called.`);
    return structuredClone(await action.run(parameters, signal));
  }

  /** How many tasks that RunTask started run now. */
  get runningTasks(): number {
    return this.#runTasks.running;
  }

  /** Waits until every service has as many tasks, all connected, as it should. */
  async steady(signal?: AbortSignal): Promise<void> {
    while (!this.#file.state.ecs.services.every((service) => this.#tasks.isSteady(service))) {
      await pause(50, undefined, { signal });
    }
  }

  /**
   * Ends the stand-ins. The state file stays.
   * @param tasks stop: end the services' processes; leave: they go on, and whoever opens the state file next has them
   */
  async close({ tasks }: { tasks: 'stop' | 'leave' } = { tasks: 'stop' }): Promise<void> {
    this.#closed = true;
    await this.#runTasks.close();
    if (tasks === 'stop') await this.#tasks.stopAll();
    else this.#tasks.leave();
  }

  #add({ cluster, service, desiredCount, environment, scaling, schedulingStrategy }: LocalService): void {
    const { ecs, scaling: scalings } = this.#file.state;
    const known = ecs.services.find((entry) => entry.cluster === cluster && entry.service === service);
    if (known !== undefined) {
      // The database may be at another address in this run.
      known.environment = { ...environment };
      return;
    }
    const now = new Date().toISOString();
    ecs.services.push({
      cluster,
      service,
      desiredCount,
      schedulingStrategy: schedulingStrategy ?? 'REPLICA',
      createdAt: now,
      environment: { ...environment },
      tasks: [],
    });
    if (scaling === undefined) return;
    scalings.targets.push({
      ServiceNamespace: 'ecs',
      ResourceId: `service/${cluster}/${service}`,
      ScalableDimension: 'ecs:service:DesiredCount',
      CreationTime: now,
      MinCapacity: scaling.min,
      MaxCapacity: scaling.max,
      SuspendedState: {
        DynamicScalingInSuspended: false,
        DynamicScalingOutSuspended: false,
        ScheduledScalingSuspended: false,
      },
    });
  }
}

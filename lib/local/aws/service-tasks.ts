import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { compiledModules } from '../../files/code-caches.ts';
import { ensureOwnFolder } from '../../files/own-folder.ts';
import { programFile } from '../../files/package-files.ts';
import { localArn } from '../local-arns.ts';
import { countAfterScaling } from './application-auto-scaling.ts';
import { type Clock, timestampOf } from './clock.ts';
import type { DescribedTask } from './ecs-tasks.ts';
import type { DeploymentState, ServiceState, StateFile, StoppedTaskState, TaskState } from './state-file.ts';

const ENTRY = programFile('lib/local/demo-service-process');
const RECONCILE_INTERVAL_MS = 100;
/** ECS also waits before it replaces a task that stopped by itself. */
const REPLACEMENT_DELAY_MS = 2000;
/** How long ECS shows a stopped task, at least. */
const SHOWN_MS = 3_600_000;

type TaskStatus = 'PENDING' | 'RUNNING' | 'DEACTIVATING' | 'STOPPING' | 'DEPROVISIONING' | 'STOPPED';

interface ServiceTasksOptions {
  readonly stopTimeoutSeconds: number;
  readonly clock: Clock;
  /** False: no task is started or stopped. */
  readonly runs: boolean;
}

/**
 * The tasks of all services. They are detached processes that outlive this one. The state file has their process ids.
 *
 * A task is PENDING until it is connected to the database, and then RUNNING. A task that has to stop is DEACTIVATING while
 * the load balancer deregisters it, STOPPING from SIGTERM until its process has ended, DEPROVISIONING, and at last STOPPED.
 */
export class ServiceTasks {
  readonly #file: StateFile;
  readonly #clock: Clock;
  readonly #folder: string;
  readonly #stopTimeoutMs: number;
  readonly #runs: boolean;
  readonly #replaceNotBefore = new Map<ServiceState, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(file: StateFile, { stopTimeoutSeconds, clock, runs }: ServiceTasksOptions) {
    this.#file = file;
    this.#runs = runs;
    this.#clock = clock;
    this.#folder = `${file.path}.tasks`;
    this.#stopTimeoutMs = stopTimeoutSeconds * 1000;
    if (file.state.ecs.services.length > 0) this.reconcile();
  }

  /** The numbers of RUNNING and of PENDING tasks, as in ECS. A task that has to stop is in neither of them. */
  count(
    service: ServiceState,
    deployment?: Pick<DeploymentState, 'id'>,
  ): { running: number; pending: number } {
    const statuses = service.tasks
      .filter((task) => deployment === undefined || task.deployment === deployment.id)
      .map((task) => this.#statusOf(service, task));
    const number = (wanted: TaskStatus) => statuses.filter((status) => status === wanted).length;
    return { running: number('RUNNING'), pending: number('PENDING') };
  }

  /** Whether exactly the desired number of tasks runs, and every other task has stopped. */
  isSteady(service: ServiceState): boolean {
    const { running } = this.count(service);
    return running === service.desiredCount && service.tasks.length === running;
  }

  /** The tasks of all services, including those that stopped within the last hour, in the order of their start. */
  list(): DescribedTask[] {
    return this.#file.state.ecs.services.flatMap((service) =>
      [...service.stoppedTasks, ...service.tasks]
        .toSorted(
          (one, other) => one.startedAt.localeCompare(other.startedAt) || one.id.localeCompare(other.id),
        )
        .map((task) => this.#describe(service, task)),
    );
  }

  /** StopTask: the task gets the desired status STOPPED, and the service replaces it. @returns false if it does not exist */
  stop(arn: string): boolean {
    for (const service of this.#file.state.ecs.services) {
      const task = service.tasks.find((one) => arnOf(service, one) === arn);
      if (task !== undefined) {
        task.stoppingSince ??= timestampOf(this.#clock);
        this.reconcile();
        return true;
      }
    }
    return false;
  }

  /** Starts and stops processes to reach the desired counts, now and from now on in the background. */
  reconcile(): void {
    if (!this.#runs) return;
    for (const service of this.#file.state.ecs.services) {
      const before = JSON.stringify(service);
      this.#reconcileService(service);
      if (JSON.stringify(service) !== before) this.#file.save();
    }
    if (this.#timer === undefined) {
      this.#timer = setInterval(() => this.reconcile(), RECONCILE_INTERVAL_MS);
      this.#timer.unref();
    }
  }

  /** Stops the background work. The processes continue to run. */
  leave(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Ends all processes, in real time and without deregistration delays. The desired counts in the state file stay. */
  async stopAll(): Promise<void> {
    this.leave();
    if (!this.#runs) return;
    const { services } = this.#file.state.ecs;
    const tasks = services.flatMap((service) => service.tasks);
    const killAt = Date.now() + this.#stopTimeoutMs;
    for (const task of tasks) signal(task, 'SIGTERM');
    while (tasks.some(isAlive)) {
      if (Date.now() >= killAt) for (const task of tasks) signal(task, 'SIGKILL');
      await pause(20);
    }
    for (const service of services) service.tasks = [];
    this.#file.save();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #reconcileService(service: ServiceState): void {
    service.desiredCount = countAfterScaling(this.#file, service);
    // Before the choice, so that a task that has ended by itself is not replaced at once.
    for (const task of service.tasks) this.#noticeEnd(service, task);
    this.#chooseTasks(service);
    for (const task of service.tasks) this.#signal(service, task);
    const stopped = service.tasks.filter((task) => this.#hasStopped(service, task));
    const stoppedAt = timestampOf(this.#clock);
    service.tasks = service.tasks.filter((task) => !stopped.includes(task));
    service.stoppedTasks = [
      ...service.stoppedTasks.filter((task) => this.#since(task.stoppedAt) < SHOWN_MS),
      ...stopped.map((task): StoppedTaskState => ({ ...task, stoppedAt })),
    ];
  }

  /** Decides which tasks have to stop, and starts those that are missing. */
  #chooseTasks(service: ServiceState): void {
    const { deployments, desiredCount } = service;
    const primary = deployments.find(({ status }) => status === 'PRIMARY');
    if (primary === undefined) return;
    const keptOf = ({ id }: DeploymentState) =>
      service.tasks.filter((task) => task.deployment === id && isWanted(task));
    const mayStart =
      primary.rolloutState !== 'FAILED' && this.#clock.now() >= (this.#replaceNotBefore.get(service) ?? 0);
    if (mayStart) {
      for (let missing = desiredCount - keptOf(primary).length; missing > 0; missing -= 1) {
        service.tasks.push(this.#start(service, primary));
      }
    }
    // The new tasks replace the old ones one by one: together at least the desired count runs.
    const { running } = this.count(service, primary);
    const old = deployments.filter((deployment) => deployment !== primary);
    const excess = [
      ...keptOf(primary).slice(desiredCount),
      ...old.flatMap(keptOf).slice(Math.max(0, desiredCount - running)),
    ];
    for (const task of excess) task.stoppingSince = timestampOf(this.#clock);
    service.deployments = [primary, ...old.filter((deployment) => keptOf(deployment).length > 0)];
    if (
      primary.rolloutState === 'IN_PROGRESS' &&
      !primary.bakes &&
      service.deployments.length === 1 &&
      running === desiredCount
    ) {
      primary.rolloutState = 'COMPLETED';
    }
  }

  /** Notices the end of a task's process. */
  #noticeEnd(service: ServiceState, task: TaskState): void {
    if (task.endedAt !== undefined || isAlive(task)) return;
    task.endedAt = timestampOf(this.#clock);
    rmSync(this.#readyFile(task), { force: true });
    if (!isWanted(task)) return;
    task.stoppingSince = task.endedAt;
    this.#replaceNotBefore.set(service, this.#clock.now() + REPLACEMENT_DELAY_MS);
  }

  /** Signals a task that has to stop. */
  #signal(service: ServiceState, task: TaskState): void {
    if (task.endedAt !== undefined) return;
    if (task.signalledAt !== undefined) {
      if (this.#since(task.signalledAt) >= this.#stopTimeoutMs) signal(task, 'SIGKILL');
    } else if (task.stoppingSince !== undefined && this.#isDeregistered(service, task)) {
      task.signalledAt = timestampOf(this.#clock);
      signal(task, 'SIGTERM');
    }
  }

  /** A load balancer knows only tasks that were RUNNING. */
  #isDeregistered({ deregistrationDelaySeconds }: ServiceState, task: TaskState): boolean {
    const wasRegistered = existsSync(this.#readyFile(task));
    return !wasRegistered || this.#since(task.stoppingSince ?? '') >= deregistrationDelaySeconds * 1000;
  }

  #hasStopped({ deprovisioningSeconds }: ServiceState, { endedAt }: TaskState): boolean {
    return endedAt !== undefined && this.#since(endedAt) >= deprovisioningSeconds * 1000;
  }

  #since(timestamp: string): number {
    return this.#clock.now() - Date.parse(timestamp);
  }

  #statusOf(service: ServiceState, task: TaskState): TaskStatus {
    if (service.stoppedTasks.some(({ id }) => id === task.id)) return 'STOPPED';
    if (task.endedAt !== undefined || !isAlive(task)) return 'DEPROVISIONING';
    if (task.signalledAt !== undefined) return 'STOPPING';
    if (task.stoppingSince !== undefined) return 'DEACTIVATING';
    return existsSync(this.#readyFile(task)) ? 'RUNNING' : 'PENDING';
  }

  #describe(service: ServiceState, task: TaskState): DescribedTask {
    return {
      arn: arnOf(service, task),
      cluster: service.cluster,
      group: `service:${service.service}`,
      startedBy: task.deployment,
      taskDefinition: task.taskDefinition,
      container: service.service,
      startedAt: task.startedAt,
      desiredStatus: isWanted(task) ? 'RUNNING' : 'STOPPED',
      lastStatus: this.#statusOf(service, task),
    };
  }

  #start(service: ServiceState, { id: deployment, taskDefinition }: DeploymentState): TaskState {
    ensureOwnFolder(this.#folder);
    const id = randomBytes(16).toString('hex');
    const child = spawn(process.execPath, [ENTRY, id], {
      // The service continues when the command gets Ctrl-C or is killed.
      detached: true,
      stdio: 'ignore',
      env: {
        PATH: process.env.PATH,
        ...compiledModules(),
        ...service.variables,
        SERVICE_NAME: service.service,
        READY_FILE: this.#readyFile({ id }),
      },
    });
    child.on('error', () => undefined);
    child.unref();
    return { id, pid: child.pid ?? 0, deployment, taskDefinition, startedAt: timestampOf(this.#clock) };
  }

  #readyFile({ id }: Pick<TaskState, 'id'>): string {
    return path.join(this.#folder, `${id}.ready`);
  }
}

/** Whether its desired status is RUNNING. */
function isWanted({ stoppingSince }: TaskState): boolean {
  return stoppingSince === undefined;
}

function arnOf({ cluster }: ServiceState, { id }: TaskState): string {
  return localArn('ecs', `task/${cluster}/${id}`);
}

/** Is the task's process running? False if the process has ended, or if another process now has its id. */
function isAlive({ pid, id }: TaskState): boolean {
  if (pid === 0) return false;
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  if (!existsSync('/proc/self/cmdline')) return true;
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(id);
  } catch {
    return false;
  }
}

function signal(task: TaskState, name: NodeJS.Signals): void {
  if (!isAlive(task)) return;
  try {
    process.kill(task.pid, name);
  } catch {
    // The process has already ended.
  }
}

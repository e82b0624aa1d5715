import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { countWantedByScaling } from './application-auto-scaling.ts';
import type { ServiceState, StateFile, TaskState } from './state-file.ts';

const ENTRY = path.join(import.meta.dirname, '../demo-service.ts');
const LOOKS_EVERY_MS = 100;
/** A task that ended by itself is replaced after a pause, as ECS throttles it. */
const REPLACES_AFTER_MS = 2000;

/**
 * The tasks of all services: detached processes that survive this one, found again by what the state file says of them.
 */
export class Tasks {
  readonly #file: StateFile;
  readonly #folder: string;
  readonly #stopTimeoutMs: number;
  readonly #replaceNotBefore = new Map<ServiceState, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(file: StateFile, stopTimeoutSeconds: number) {
    this.#file = file;
    this.#folder = `${file.path}.tasks`;
    this.#stopTimeoutMs = stopTimeoutSeconds * 1000;
    if (file.state.ecs.services.length > 0) this.reconcile();
  }

  /** Running: up, and connected. Pending: coming up. What was told to end counts until it is gone. */
  count(service: ServiceState): { running: number; pending: number } {
    const alive = service.tasks.filter((task) => isAlive(task));
    const running = alive.filter(
      (task) => task.stoppingSince !== undefined || existsSync(this.#readyFile(task)),
    ).length;
    return { running, pending: alive.length - running };
  }

  isSteady(service: ServiceState): boolean {
    const { running, pending } = this.count(service);
    return pending === 0 && running === service.desiredCount;
  }

  /** Starts and ends processes until there are as many as desired; goes on looking after them in the background. */
  reconcile(): void {
    for (const service of this.#file.state.ecs.services) this.#reconcileService(service);
    if (this.#timer === undefined) {
      this.#timer = setInterval(() => this.reconcile(), LOOKS_EVERY_MS);
      this.#timer.unref();
    }
  }

  leave(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Ends all processes, whatever is desired; the state file goes on saying what is desired. */
  async stopAll(): Promise<void> {
    this.leave();
    const { services } = this.#file.state.ecs;
    for (const task of services.flatMap(({ tasks }) => tasks)) this.#stop(task);
    while (services.some(({ tasks }) => tasks.some((task) => isAlive(task)))) {
      for (const task of services.flatMap(({ tasks }) => tasks)) this.#stop(task);
      await pause(20);
    }
    for (const service of services) service.tasks = [];
    this.#file.save();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #reconcileService(service: ServiceState): void {
    let changed = false;
    const wanted = countWantedByScaling(this.#file, service);
    if (wanted !== service.desiredCount) {
      service.desiredCount = wanted;
      changed = true;
    }
    const dead = service.tasks.filter((task) => !isAlive(task));
    if (dead.length > 0) {
      service.tasks = service.tasks.filter((task) => !dead.includes(task));
      for (const task of dead) rmSync(this.#readyFile(task), { force: true });
      if (dead.some(({ stoppingSince }) => stoppingSince === undefined)) {
        this.#replaceNotBefore.set(service, Date.now() + REPLACES_AFTER_MS);
      }
      changed = true;
    }
    const staying = service.tasks.filter(({ stoppingSince }) => stoppingSince === undefined);
    for (const task of service.tasks.filter((entry) => !staying.includes(entry))) this.#stop(task);
    for (const task of staying.slice(service.desiredCount)) {
      this.#stop(task);
      changed = true;
    }
    if (Date.now() >= (this.#replaceNotBefore.get(service) ?? 0)) {
      for (let missing = service.desiredCount - staying.length; missing > 0; missing -= 1) {
        service.tasks.push(this.#start(service));
        changed = true;
      }
    }
    if (changed) this.#file.save();
  }

  #start(service: ServiceState): TaskState {
    mkdirSync(this.#folder, { recursive: true });
    const id = randomBytes(16).toString('hex');
    const child = spawn(process.execPath, [ENTRY, id], {
      // The command's Ctrl-C and its death are not the service's.
      detached: true,
      stdio: 'ignore',
      env: {
        PATH: process.env.PATH,
        ...service.environment,
        SERVICE_NAME: service.service,
        READY_FILE: this.#readyFile({ id }),
      },
    });
    child.on('error', () => undefined);
    child.unref();
    return { id, pid: child.pid ?? 0, startedAt: new Date().toISOString() };
  }

  /** Asks with SIGTERM, and insists with SIGKILL when the stop timeout is over. */
  #stop(task: TaskState): void {
    if (!isAlive(task)) return;
    if (task.stoppingSince === undefined) {
      task.stoppingSince = new Date().toISOString();
      signal(task, 'SIGTERM');
    } else if (Date.now() - Date.parse(task.stoppingSince) > this.#stopTimeoutMs) signal(task, 'SIGKILL');
  }

  #readyFile({ id }: Pick<TaskState, 'id'>): string {
    return path.join(this.#folder, `${id}.ready`);
  }
}

/** Is the task's process there? A number that now belongs to another process, or to a dead one, does not count. */
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

function signal({ pid }: TaskState, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It ended by itself.
  }
}

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { compiledModules } from '../../files/code-caches.ts';
import { ensureOwnFolder } from '../../files/own-folder.ts';
import { countAfterScaling } from './application-auto-scaling.ts';
import type { ServiceState, StateFile, TaskState } from './state-file.ts';

const ENTRY = path.join(import.meta.dirname, '../demo-service-process.ts');
const RECONCILE_INTERVAL_MS = 100;
/** ECS also waits before it replaces a task that stopped by itself. */
const REPLACEMENT_DELAY_MS = 2000;

/** The tasks of all services. They are detached processes that outlive this one. The state file has their process ids. */
export class ServiceTasks {
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

  /** Running: connected to the database. Pending: not yet. A task that is stopping counts until its process has ended. */
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

  /** Starts and stops processes to reach the desired counts, now and from now on in the background. */
  reconcile(): void {
    for (const service of this.#file.state.ecs.services) this.#reconcileService(service);
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

  /** Stops all processes. The desired counts in the state file stay as they are. */
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
    const desired = countAfterScaling(this.#file, service);
    if (desired !== service.desiredCount) {
      service.desiredCount = desired;
      changed = true;
    }
    const dead = service.tasks.filter((task) => !isAlive(task));
    if (dead.length > 0) {
      service.tasks = service.tasks.filter((task) => !dead.includes(task));
      for (const task of dead) rmSync(this.#readyFile(task), { force: true });
      if (dead.some(({ stoppingSince }) => stoppingSince === undefined)) {
        this.#replaceNotBefore.set(service, Date.now() + REPLACEMENT_DELAY_MS);
      }
      changed = true;
    }
    const kept = service.tasks.filter(({ stoppingSince }) => stoppingSince === undefined);
    for (const task of service.tasks.filter((entry) => !kept.includes(entry))) this.#stop(task);
    for (const task of kept.slice(service.desiredCount)) {
      this.#stop(task);
      changed = true;
    }
    if (Date.now() >= (this.#replaceNotBefore.get(service) ?? 0)) {
      for (let missing = service.desiredCount - kept.length; missing > 0; missing -= 1) {
        service.tasks.push(this.#start(service));
        changed = true;
      }
    }
    if (changed) this.#file.save();
  }

  #start(service: ServiceState): TaskState {
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
    return { id, pid: child.pid ?? 0, startedAt: new Date().toISOString() };
  }

  /** Sends SIGTERM, and SIGKILL after the stop timeout. */
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

function signal({ pid }: TaskState, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // The process has already ended.
  }
}

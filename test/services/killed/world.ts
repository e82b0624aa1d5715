import { expect } from 'vitest';
import { type EngineClock, type EngineEvent, REAL_CLOCK, type Refuse } from '../../../lib/local/engine.ts';
import { localArn } from '../../../lib/local/local-arns.ts';
import { LOCAL_NAMES } from '../../../lib/local/local-environment.ts';
import { lockName } from '../../../lib/workflow/deploy-lock.ts';
import { createDatabase, type TestDatabase } from '../../support/database.ts';
import { ALL_KINDS, ALL_KINDS_IN_AWS, CUSTOM_SERVICE } from '../../support/service-kinds.ts';
import { waitUntil } from '../../support/waits.ts';
import { openTestWorkflow, type TestWorkflow } from '../../support/workflow.ts';

/** Undoes a change. */
export type Undo = () => Promise<unknown>;

/** Name of the parameter with the lock of the deploys. */
export const LOCK = lockName(LOCAL_NAMES);

/** Makes the pauses of Wait states and before retries a fifth as long, and so the minutes of the environment. */
const FAST_CLOCK: EngineClock = {
  ...REAL_CLOCK,
  sleep: async (seconds, ...rest) => await REAL_CLOCK.sleep(seconds / 5, ...rest),
};

export interface WorldOptions {
  /** The only migration is marked as online, and so no deploy needs a window. @default false */
  readonly online?: boolean;
}

const MARKED = `-- pg-deploy-step: online
  -- pg-deploy-step: allow online-migration it reads a table of no rows
  `;

/** A database, a workflow with services of every kind, and what the scenarios change in them. */
export class World {
  /** Called for each event of the workflow. */
  observe: (event: EngineEvent) => void = () => {};
  /** Refuses calls of Task states. */
  refuse: Refuse = () => undefined;
  readonly database: TestDatabase;
  #workflow: TestWorkflow | undefined;

  private constructor(database: TestDatabase) {
    this.database = database;
  }

  static async open({ online = false }: WorldOptions = {}): Promise<World> {
    const database = await createDatabase();
    await database.query(`
      create table orders (id int primary key, status text);
      create table people (id int primary key, email text);
      create table switches (name text);
    `);
    CUSTOM_SERVICE.reset();
    const world = new World(database);
    world.#workflow = await openTestWorkflow({
      databaseUrl: database.url,
      indexes: [
        {
          name: 'idx_orders_status',
          sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_orders_status ON orders (status)',
          description: 'orders by status',
        },
        {
          name: 'people_email_key',
          sql: 'CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS people_email_key ON people (email)',
          critical: true,
          description: 'sign-in',
        },
      ],
      migrations: {
        '0001_switch': `${online ? MARKED : ''}do $$ begin
            if exists (select from switches where name = 'fail') then raise exception 'failed as requested'; end if;
          end $$;`,
      },
      builds: { when: 'after-start', waitSeconds: 1 },
      environment: {
        services: ALL_KINDS,
        window: online ? 'when-needed' : 'always',
        drain: { roles: [], applicationNames: ['cron'], seconds: 1 },
        deploymentMinutes: 0.2,
        // Far longer than the services need, also on a busy machine. Only the scenarios with timeouts wait as long.
        stopMinutes: 1,
        startMinutes: 2,
        // The fewest that have a second check of the same tasks.
        steadyChecks: 2,
      },
      aws: ALL_KINDS_IN_AWS,
      engineClock: FAST_CLOCK,
      onEvent: (event) => world.observe(event),
      refuse: (...call) => world.refuse(...call),
    });
    return world;
  }

  async close(): Promise<void> {
    await this.#workflow?.close();
    await this.database.drop();
  }

  get opened(): TestWorkflow {
    return this.#workflow ?? expect.fail('The workflow is not open.');
  }

  get workflow(): TestWorkflow['workflow'] {
    return this.opened.workflow;
  }

  /** The state of the local AWS. */
  get aws(): TestWorkflow['workflow']['aws']['state'] {
    return this.workflow.aws.state;
  }

  /** Runs the first deploy of this database, unless it has run: it creates the ledger and the history of the migrations. */
  async firstDeploy(): Promise<void> {
    const [{ exists } = { exists: false }] = await this.database.query<{ exists: boolean }>(
      "select to_regclass('pgmigrations') is not null and to_regclass('deploy_step.index_builds') is not null as exists",
    );
    if (exists) return;
    await this.workflow.start({}).ended;
    await this.reset();
  }

  /** Waits for the functions that were running when an execution was killed: they continue, as in AWS. */
  async functionsEnded(): Promise<void> {
    await this.workflow.lambdas.idle();
    await waitUntil('the end of all sessions of the functions', async () => {
      const sessions = await this.database.query(
        "select from pg_stat_activity where datname = current_database() and application_name like 'pg-deploy-step%'",
      );
      return sessions.length === 0;
    });
  }

  /** Removes what a deploy leaves behind, so that the next one is the first again. */
  async reset(): Promise<void> {
    await this.functionsEnded();
    await this.database.query(`
      drop index if exists idx_orders_status;
      drop index if exists people_email_key;
      do $$ begin if to_regclass('pgmigrations') is not null then truncate pgmigrations; end if; end $$;
    `);
    delete this.aws.ssm.parameters[LOCK];
  }

  /** The service `worker`. */
  get worker() {
    return (
      this.aws.ecs.services.find(({ service }) => service === 'worker') ??
      expect.fail('The service worker does not exist.')
    );
  }

  signalWorker(signal: NodeJS.Signals): void {
    for (const { pid } of this.worker.tasks) {
      try {
        process.kill(pid, signal);
      } catch {
        // The process has already ended.
      }
    }
  }

  /** Deletes the service `worker`. @returns a function that creates it again */
  deleteWorker(): () => void {
    const { services } = this.aws.ecs;
    const [worker] = services.splice(services.indexOf(this.worker), 1);
    return () => {
      if (worker !== undefined) services.push(worker);
    };
  }

  /** The parameters with the saved states. */
  get savedStates() {
    return Object.entries(this.aws.ssm.parameters).filter(([name]) => name.includes('/services/'));
  }

  /**
   * Writes the lock of the deploys as another program would.
   * @param version its version after the write @default one more than before
   * @returns a function that deletes the lock
   */
  async writeLock(value: unknown, version?: number): Promise<Undo> {
    const deleteLock = async () => void delete this.aws.ssm.parameters[LOCK];
    if (version === 1) await deleteLock();
    await this.workflow.aws.call('arn:aws:states:::aws-sdk:ssm:putParameter', {
      ...{ Name: LOCK, Value: JSON.stringify(value), Type: 'String', Overwrite: true },
    });
    return deleteLock;
  }

  /** The ARN of an execution of `deploy`. */
  deployArn(name: string): string {
    return `arn:aws:states:eu-west-1:000000000000:execution:${this.workflow.machines.deploy}:${name}`;
  }

  /** Aborts the executions of the maintenance window. */
  stopWindow(): void {
    const { engine, machines } = this.workflow;
    const machineArn = localArn('states', `stateMachine:${machines.maintenanceWindow}`);
    for (const { arn } of engine.running(machineArn)) engine.stop(arn);
  }
}

/** Removes the last element of a list. @returns a function that adds it again */
export function removeLast<T>(list: T[]): Undo {
  const removed = list.splice(-1);
  return async () => list.push(...removed);
}

/** Removes the first element of a list. @returns a function that adds it again */
export function removeFirst<T>(list: T[]): Undo {
  const removed = list.splice(0, 1);
  return async () => list.unshift(...removed);
}

/** Changes fields of an object. @returns a function that restores these fields */
export function change<T extends object>(
  what: T | undefined,
  fields: Partial<Record<keyof T, unknown>>,
): Undo {
  const before = Object.fromEntries(Object.keys(fields).map((name) => [name, what?.[name as keyof T]]));
  Object.assign(what ?? {}, fields);
  return async () => Object.assign(what ?? {}, before);
}

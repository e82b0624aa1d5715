import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type EngineClock, REAL_CLOCK } from '../../lib/local/engine.ts';
import { localArn } from '../../lib/local/local-arns.ts';
import { FUNCTION_START_SECONDS } from '../../lib/workflow/migrations/wait-for-function.ts';
import { MIGRATIONS, MIGRATIONS_END } from '../../lib/workflow/state-names.ts';
import { connect, createDatabase, type TestDatabase } from '../support/database.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { eventually, waitUntil } from '../support/waits.ts';
import { openTestWorkflow, type TestWorkflow, type TestWorkflowOptions } from '../support/workflow.ts';

/*
 * The error of a migration, a time-out or an abort says nothing about the task or the function that was started. While one of
 * them still runs, no service starts.
 */

const SERVICES_UP = { api: 2, worker: 1 };

let database: TestDatabase;
let folder: string;
let opened: TestWorkflow | undefined;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-end-'));
  database = await createDatabase();
  await database.query('create table orders (id int primary key, status text)');
});

afterEach(async () => {
  await opened?.close();
  opened = undefined;
  await database.drop();
  rmSync(folder, { recursive: true, force: true });
});

/** Whether a migration ran at a moment in which a service was running after all of them had been stopped. */
interface Overlap {
  seen: boolean;
}

async function open(
  options: Omit<TestWorkflowOptions, 'databaseUrl' | 'indexes'>,
  isMigrating: () => boolean,
): Promise<{ workflow: TestWorkflow; overlap: Overlap; entered: string[] }> {
  const overlap = { seen: false };
  const entered: string[] = [];
  let areStopped = false;
  const workflow = await openTestWorkflow({
    databaseUrl: database.url,
    indexes: [],
    ...options,
    onEvent: ({ type, state }) => {
      if (type === 'StateEntered') entered.push(state ?? '');
      if (opened === undefined) return;
      const running = Object.values(opened.running()).reduce((sum, count) => sum + count, 0);
      areStopped ||= state === MIGRATIONS.run;
      overlap.seen ||= areStopped && running > 0 && isMigrating();
    },
  });
  opened = workflow;
  return { workflow, overlap, entered };
}

describe('a migration task that ignores SIGTERM', () => {
  /** The first one writes a file and ends for SIGKILL only. The next one ends at once. */
  const TOOL = `
    import { existsSync, writeFileSync } from 'node:fs';
    if (existsSync(process.argv[2])) process.exit(0);
    process.on('SIGTERM', () => writeFileSync(process.argv[2] + '.term', ''));
    setInterval(() => {}, 1000);
    writeFileSync(process.argv[2], '');
  `;

  async function openWithTool(clock: ManualClock, more: { timeoutMinutes?: number; stopMinutes?: number }) {
    const started = join(folder, 'started');
    writeFileSync(join(folder, 'tool.mjs'), TOOL);
    const tools = await open(
      {
        runner: {
          runner: 'ecs-task',
          ...{ cluster: 'demo', taskDefinition: 'shop-migrate', container: 'migrate' },
          roles: { task: 'none', execution: 'none' },
          network: { subnetIds: ['subnet-1'], securityGroupIds: ['sg-1'] },
          ...(more.timeoutMinutes && { timeoutMinutes: more.timeoutMinutes }),
        },
        ...(more.stopMinutes && { environment: { stopMinutes: more.stopMinutes } }),
        aws: {
          clock,
          tasks: [
            {
              ...{ cluster: 'demo', family: 'shop-migrate', container: 'migrate' },
              command: [process.execPath, join(folder, 'tool.mjs'), started],
              variables: { DATABASE_URL: database.url },
            },
          ],
        },
      },
      () => (opened?.workflow.aws.runningTasks ?? 0) > 0,
    );
    return { ...tools, started };
  }

  test('is waited for until it is STOPPED after its time limit, and then the services start', async () => {
    const clock = new ManualClock();
    const { workflow, overlap, entered, started } = await openWithTool(clock, { timeoutMinutes: 0.2 });

    const deploying = workflow.deploy();
    await eventually(() => existsSync(`${started}.term`)).toBe(true);
    await eventually(() => entered.includes(MIGRATIONS_END.countTaskCheck)).toBe(true);
    expect(workflow.running()).toEqual({ api: 0, worker: 0 });
    clock.advance(30);
    const { status, report } = await deploying;

    expect(status).toBe('FAILED');
    expect(overlap).toEqual({ seen: false });
    expect(report.failure).toMatch(/so the deploy stopped its task/);
    expect(report.failure).not.toContain('still running');
    expect(workflow.running()).toEqual(SERVICES_UP);
  });

  test('of an aborted deploy is waited for by the recovery', async () => {
    const clock = new ManualClock();
    const { workflow, overlap, entered, started } = await openWithTool(clock, {});

    const { execution, ended } = workflow.workflow.start({});
    await eventually(() => existsSync(started)).toBe(true);
    execution.abort();
    const { result } = await ended;
    const recovering = workflow.workflow.recover({ reason: 'deploy-ended' });
    await eventually(() => entered.includes(MIGRATIONS_END.countTaskCheck)).toBe(true);
    expect(workflow.workflow.aws.runningTasks).toBe(1);
    expect(workflow.running()).toEqual({ api: 0, worker: 0 });
    clock.advance(30);
    await recovering;

    expect(result.status).toBe('ABORTED');
    expect(overlap).toEqual({ seen: false });
    expect(workflow.running()).toEqual(SERVICES_UP);
    expect(workflow.workflow.servicesWithSavedState).toEqual([]);
  });

  test('of an earlier deploy is waited for before the next one migrates', async () => {
    const clock = new ManualClock();
    const { workflow, entered, started } = await openWithTool(clock, {});
    const { execution, ended } = workflow.workflow.start({});
    await eventually(() => existsSync(started)).toBe(true);
    execution.abort();
    await ended;
    entered.length = 0;

    const deploying = workflow.deploy();
    await eventually(() => entered.includes(MIGRATIONS_END.countTaskCheck)).toBe(true);
    expect(entered).not.toContain(MIGRATIONS.run);
    expect(workflow.workflow.aws.runningTasks).toBe(1);
    clock.advance(30);
    const { status, report } = await deploying;

    expect(report.failure).toBeNull();
    expect(status).toBe('SUCCEEDED');
    expect(workflow.running()).toEqual(SERVICES_UP);
  });

  test('is no longer waited for after stopMinutes: the services start, and the report says that it still runs', async () => {
    const clock = new ManualClock();
    const { workflow, started } = await openWithTool(clock, { timeoutMinutes: 0.2, stopMinutes: 0.25 });

    const { status, report } = await workflow.deploy();

    expect(existsSync(`${started}.term`)).toBe(true);
    expect(status).toBe('FAILED');
    expect(report.failure).toContain(
      'When the services were started, the migration was still running: its task.',
    );
    expect(workflow.alerts[0]?.Message).toContain('Check whether the migration has ended.');
    expect(workflow.running()).toEqual(SERVICES_UP);
  });
});

/** Holds a lock that the migration waits for, until it is released. */
async function blockMigration() {
  const blocker = await connect(database.url, 'blocker');
  await blocker.query('begin; lock table orders');
  return {
    waiting: async () =>
      (
        await database.query(
          "select 1 from pg_locks join pg_stat_activity using (pid) where datname = current_database() and not granted and application_name = 'pg-deploy-step migrate'",
        )
      ).length,
    release: async () => {
      await blocker.query('rollback');
      await blocker.end();
    },
  };
}

describe('the function that runs SQL files', () => {
  const migrations = { '0001_note': 'alter table orders add column note text;' };

  test('that runs twice for one call: the second run waits for the first one, also without further attempts', async () => {
    const block = await blockMigration();
    let isFirst = true;
    const { workflow } = await open(
      {
        migrations,
        migrationLimits: { lockTimeoutSeconds: 60, attempts: 1 },
        aws: {
          delivery: (name) => {
            if (isFirst && name.endsWith('run-migrations')) {
              isFirst = false;
              return {
                responseLostAfter: waitUntil('the migration', async () => (await block.waiting()) > 0),
              };
            }
            return 'once';
          },
        },
      },
      () => false,
    );

    const deploying = workflow.deploy();
    await eventually(() =>
      workflow.events.some(({ type, error }) => type === 'StateFailed' && error === 'MigrationsRunning'),
    ).toBe(true);
    expect(workflow.running()).toEqual({ api: 0, worker: 0 });
    await block.release();
    const { status, report } = await deploying;

    expect(report.failure).toBeNull();
    expect(status).toBe('SUCCEEDED');
    expect(report.migrations).toMatchObject({ outcome: 'succeeded', applied: ['0001_note'] });
    expect(workflow.running()).toEqual(SERVICES_UP);
  });

  test('of an aborted deploy is waited for by the recovery: its advisory lock tells', async () => {
    const block = await blockMigration();
    const { workflow, entered } = await open(
      { migrations, migrationLimits: { lockTimeoutSeconds: 60, attempts: 1 } },
      () => false,
    );

    const { execution, ended } = workflow.workflow.start({});
    await eventually(block.waiting).toBe(1);
    execution.abort();
    await ended;
    const recovering = workflow.workflow.recover({ reason: 'deploy-ended' });
    await eventually(() => entered.includes(MIGRATIONS_END.lock.count)).toBe(true);
    expect(workflow.running()).toEqual({ api: 0, worker: 0 });
    expect(await block.waiting()).toBe(1);
    await block.release();
    await recovering;

    expect(workflow.running()).toEqual(SERVICES_UP);
    expect(await database.query('select name from pgmigrations')).toEqual([{ name: '0001_note' }]);
  });

  test('of a maintenance window that was aborted is waited for by the deploy', async () => {
    const block = await blockMigration();
    const { workflow, entered } = await open(
      { migrations, migrationLimits: { lockTimeoutSeconds: 60, attempts: 1 } },
      () => false,
    );

    const deploying = workflow.deploy();
    await eventually(block.waiting).toBe(1);
    const { engine, machines } = workflow.workflow;
    const [window] = engine.running(localArn('states', `stateMachine:${machines.maintenanceWindow}`));
    engine.stop(window?.arn ?? '');
    await eventually(() => entered.includes(MIGRATIONS_END.lock.count)).toBe(true);
    expect(workflow.running()).toEqual({ api: 0, worker: 0 });
    await block.release();
    const { status } = await deploying;

    expect(status).toBe('FAILED');
    expect(workflow.running()).toEqual(SERVICES_UP);
  });
});

/** A function that Lambda starts only when the test says so. */
function coldStartOf(function_: string) {
  const { promise: mayBegin, resolve: begin } = Promise.withResolvers<void>();
  const calls = { count: 0 };
  const coldStart = async (name: string) => {
    if (!name.endsWith(function_)) return;
    calls.count += 1;
    await mayBegin;
  };
  return { coldStart, begin, calls };
}

describe('the function that runs SQL files, which begins only after the services have started', () => {
  const migrations = { '0001_note': 'alter table orders add column note text;' };

  /** Aborts a deploy that has called the function, recovers, and then lets the function begin. */
  async function recoverBeforeItBegins(): Promise<TestWorkflow> {
    const { coldStart, begin, calls } = coldStartOf('run-migrations');
    const { workflow } = await open({ migrations, aws: { coldStart } }, () => false);
    const { execution, ended } = workflow.workflow.start({});
    await eventually(() => calls.count).toBe(1);
    execution.abort();
    await ended;
    await workflow.workflow.recover({ reason: 'deploy-ended' });
    expect(workflow.running()).toEqual(SERVICES_UP);
    begin();
    await workflow.workflow.lambdas.idle();
    return workflow;
  }

  test('applies nothing', async () => {
    const { log } = await recoverBeforeItBegins();

    expect(log.join('\n')).toContain('Nothing was applied, because the services were started meanwhile');
    expect(await database.query("select to_regclass('pgmigrations') as migrations")).toEqual([
      { migrations: null },
    ]);
  });

  test('does not keep the next deploy from applying them', async () => {
    const workflow = await recoverBeforeItBegins();

    const { status, report } = await workflow.deploy();

    expect(status).toBe('SUCCEEDED');
    expect(report.migrations).toMatchObject({ outcome: 'succeeded', applied: ['0001_note'] });
  });
});

describe('the migration function of the application', () => {
  /** Holds the lock 42 until the table `proceed` exists. */
  const FUNCTION = `
    import pg from ${JSON.stringify(import.meta.resolve('pg'))};
    export const handler = async () => {
      const client = new pg.Client({ connectionString: process.env.DATABASE_URL, application_name: 'shop' });
      await client.connect();
      await client.query('select pg_advisory_lock(42)');
      for (;;) {
        const { rows } = await client.query("select to_regclass('proceed') as proceed");
        if (rows[0].proceed !== null) break;
        await new Promise((done) => setTimeout(done, 100));
      }
      await client.end();
    };
  `;

  test('whose response is lost is waited for, also if Lambda has not started it yet: its advisory lock tells', async () => {
    writeFileSync(join(folder, 'index.mjs'), FUNCTION);
    const { coldStart, begin } = coldStartOf('shop-migrate');
    const clock = new PausedWait();
    const { workflow, entered } = await open(
      {
        runner: { runner: 'lambda', function: 'shop-migrate:live', advisoryLock: '42' },
        engineClock: clock,
        aws: {
          migrationFunction: { directory: folder, timeoutSeconds: 600 },
          delivery: (name) => (name === 'shop-migrate' ? 'lost-response' : 'once'),
          coldStart,
        },
      },
      () => false,
    );
    clock.pauseAt(FUNCTION_START_SECONDS);
    const holders = async () =>
      (
        await database.query(
          "select 1 from pg_locks join pg_stat_activity using (pid) where datname = current_database() and application_name = 'shop' and locktype = 'advisory' and granted",
        )
      ).length;

    const deploying = workflow.deploy();
    await eventually(() => entered.includes(MIGRATIONS_END.functionStart.wait)).toBe(true);
    begin();
    await eventually(holders).toBe(1);
    clock.proceed();
    await eventually(() => entered.includes(MIGRATIONS_END.lock.count)).toBe(true);
    expect(workflow.running()).toEqual({ api: 0, worker: 0 });
    await database.query('create table proceed ()');
    const { status, report } = await deploying;

    expect(status).toBe('FAILED');
    expect(report.failure).toContain('Lambda.SdkClientException');
    expect(workflow.running()).toEqual(SERVICES_UP);
  });

  test('that throws an error has ended, so that the services start at once', async () => {
    writeFileSync(
      join(folder, 'index.mjs'),
      "export const handler = async () => { throw new Error('no'); };",
    );
    const { workflow, entered } = await open(
      {
        runner: { runner: 'lambda', function: 'shop-migrate:live', advisoryLock: '42' },
        aws: { migrationFunction: { directory: folder, timeoutSeconds: 600 } },
      },
      () => false,
    );
    const { status } = await workflow.deploy();

    expect(status).toBe('FAILED');
    expect(entered).toContain(MIGRATIONS_END.lock.check);
    expect(entered).not.toContain(MIGRATIONS_END.functionStart.wait);
    expect(workflow.running()).toEqual(SERVICES_UP);
  });
});

/** Pauses that last until a test says so: those of one duration. All others take their real time. */
class PausedWait implements EngineClock {
  #seconds: number | undefined;
  readonly #proceed = Promise.withResolvers<void>();

  now = () => Date.now();
  proceed = () => this.#proceed.resolve();

  pauseAt(seconds: number): void {
    this.#seconds = seconds;
  }

  async sleep(seconds: number, signal: AbortSignal, purpose: 'wait' | 'retry'): Promise<void> {
    if (seconds === this.#seconds) await this.#proceed.promise;
    else await REAL_CLOCK.sleep(seconds, signal, purpose);
  }
}

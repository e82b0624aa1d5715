import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BUILD_INDEXES, WINDOW } from '../../lib/workflow/state-names.ts';
import { connect, createDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { servicesNow } from '../support/services.ts';
import { openTestWorkflow, type TestWorkflow, type TestWorkflowOptions } from '../support/workflow.ts';

const INDEX = {
  name: 'idx_orders_status',
  sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_orders_status ON orders (status)',
  critical: true,
  description: 'orders by status',
};
const UP = { processes: { api: 2, worker: 1 }, desired: { api: 2, worker: 1 }, withSavedState: [] };
const DOWN = {
  processes: { api: 0, worker: 0 },
  desired: { api: 0, worker: 0 },
  withSavedState: ['api', 'worker'],
};

let database: TestDatabase;
let folder: string;
let opened: TestWorkflow | undefined;

beforeEach(async () => {
  database = await createDatabase();
  await database.query('create table orders (id int primary key, status text)');
  folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-test-'));
});

afterEach(async () => {
  await opened?.close();
  opened = undefined;
  rmSync(folder, { recursive: true, force: true });
  await database.drop();
});

async function open(options: Partial<TestWorkflowOptions> = {}): Promise<TestWorkflow> {
  opened = await openTestWorkflow({
    databaseUrl: database.url,
    indexes: [INDEX],
    stateFile: join(folder, 'aws.json'),
    ...options,
  });
  return opened;
}

/** A run that dies when the services are stopped, and all of its process with it. */
async function dieAfterStopping(): Promise<void> {
  const died = Promise.withResolvers<void>();
  const dying = await open({
    onEvent: (event) => {
      if (event.type === 'StateEntered' && event.state === WINDOW.buildIndexes) died.resolve();
    },
  });
  const { execution } = dying.workflow.start({});
  await died.promise;
  execution.abort();
  await execution.result;
  await dying.close('leave');
}

describe('a run that died after it had stopped the services', () => {
  test('is made good by the next full deploy: the original counts come back, not 0', async () => {
    await dieAfterStopping();
    const next = await open();
    expect(servicesNow(next)).toMatchObject(DOWN);
    await database.query('drop index if exists idx_orders_status');

    const { report } = await next.deploy();

    expect(report.status).toBe('succeeded');
    expect(servicesNow(next)).toMatchObject(UP);
  });

  test('is made good by the reconciler, which tells people', async () => {
    await dieAfterStopping();
    const next = await open();

    const result = await next.workflow.recover({ reason: 'reconcile' });

    expect(result.status).toBe('SUCCEEDED');
    expect(servicesNow(next)).toMatchObject(UP);
    expect(next.alerts).toHaveLength(1);
    expect(next.alerts[0]?.Subject).toBe('pg-deploy-step: the recovery started services');
    expect(next.alerts[0]?.Message).toContain('"name":"worker"');
  });
});

describe('the reconciler', () => {
  test('leaves services alone while the deploy that stopped them runs', async () => {
    const workflow = await open();
    const blocker = await connect(database.url);
    await blocker.query('begin');
    await blocker.query('lock table orders in access exclusive mode');
    const deploying = workflow.deploy();
    await eventually(() => workflow.events.some((event) => event.state === BUILD_INDEXES.buildIndex)).toBe(
      true,
    );

    const { output } = await workflow.workflow.recover({ reason: 'reconcile' });
    const meanwhile = servicesNow(workflow);
    await blocker.query('rollback');
    await blocker.end();
    await deploying;

    expect(output).toMatchObject({
      services: [{ outcome: 'left-to-its-deploy' }, { outcome: 'left-to-its-deploy' }],
    });
    expect(meanwhile).toMatchObject(DOWN);
    expect(servicesNow(workflow)).toMatchObject(UP);
    expect(workflow.alerts).toEqual([]);
  });

  test('and the rule leave services alone that a critical failure stopped on purpose, until a person starts them', async () => {
    const workflow = await open({ indexes: [{ ...INDEX, sql: INDEX.sql.replace('(status)', '(colour)') }] });
    await workflow.deploy();

    await workflow.workflow.recover({ reason: 'reconcile' });
    await workflow.workflow.recover({ reason: 'deploy-ended', deploy: 'it', status: 'FAILED' });
    expect(servicesNow(workflow)).toMatchObject(DOWN);

    const { status } = await workflow.deploy({ mode: 'start-services' });
    expect(status).toBe('SUCCEEDED');
    expect(servicesNow(workflow)).toMatchObject(UP);
    expect(workflow.workflow.aws.state.ssm.parameters).toEqual({});
  });

  test('does nothing, and tells nobody, when nothing is stopped', async () => {
    const workflow = await open();

    const { output } = await workflow.workflow.recover({ reason: 'reconcile' });

    expect(output).toMatchObject({
      services: [{ outcome: 'nothing-remembered' }, { outcome: 'nothing-remembered' }],
    });
    expect(workflow.alerts).toEqual([]);
    expect(servicesNow(workflow)).toMatchObject(UP);
  });
});

test("the report's downtime is what a process that watches the connections saw", async () => {
  const workflow = await open();
  const watcher = await connect(database.url);
  const seen = { down: 0, up: 0 };
  const watching = new AbortController();
  const watch = (async () => {
    while (!watching.signal.aborted) {
      const { rows } = await watcher.query<{ sessions: number }>(
        `select count(*)::int as sessions from pg_stat_activity
          where datname = current_database() and application_name in ('api', 'worker')`,
      );
      const all = rows[0]?.sessions === 6;
      if (!all && seen.down === 0) seen.down = Date.now();
      if (all && seen.down > 0 && seen.up === 0) seen.up = Date.now();
      await sleep(20);
    }
  })();

  const { report } = await workflow.deploy();
  await eventually(() => seen.up).toBeGreaterThan(0);
  watching.abort();
  await watch;
  await watcher.end();

  // Within a second, and the second that lies between two looks at whether the services run.
  expect(Math.abs((report.downtimeMs ?? 0) - (seen.up - seen.down))).toBeLessThan(2_000);
});

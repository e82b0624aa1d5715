import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { TaskError } from '../../lib/local/engine/errors.ts';
import { BUILD_INDEXES, DEPLOY, WINDOW } from '../../lib/workflow/state-names.ts';
import { connect, createDatabase, type TestDatabase } from '../support/database.ts';
import { readServices } from '../support/service-kinds.ts';
import { eventually } from '../support/waits.ts';
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

/** A deploy that is killed after it has stopped the services. The services' processes continue. */
async function killAfterStopping(): Promise<void> {
  const stopped = Promise.withResolvers<void>();
  const killed = await open({
    onEvent: (event) => {
      if (event.type === 'StateEntered' && event.state === WINDOW.buildIndexes) stopped.resolve();
    },
  });
  const { execution } = killed.workflow.start({});
  await stopped.promise;
  execution.abort();
  await execution.result;
  await killed.close('leave');
}

describe('a deploy that was killed after it had stopped the services', () => {
  test('is completed by the next full deploy, which starts the services with the original counts, not with 0', async () => {
    await killAfterStopping();
    const next = await open();
    expect(readServices(next)).toMatchObject(DOWN);
    await database.query('drop index if exists idx_orders_status');

    const { report } = await next.deploy();

    expect(report.status).toBe('succeeded');
    expect(readServices(next)).toMatchObject(UP);
  });

  test('is completed by the reconciler, which starts the services and sends an alert', async () => {
    await killAfterStopping();
    const next = await open();

    const result = await next.workflow.recover({ reason: 'reconcile' });

    expect(result.status).toBe('SUCCEEDED');
    expect(readServices(next)).toMatchObject(UP);
    expect(next.alerts).toHaveLength(1);
    expect(next.alerts[0]?.Subject).toBe('pg-deploy-step: the recovery started services');
    expect(next.alerts[0]?.Message).toContain('"name":"worker"');
  });
});

test('the recovery after the end of a deploy starts the services, also if Step Functions still shows the deploy as running', async () => {
  const workflow = await open({ staleReads: 1000 });
  const { execution, ended } = workflow.workflow.start({}, 'killed');
  await eventually(() =>
    workflow.events.some((event) => event.type === 'StateEntered' && event.state === WINDOW.buildIndexes),
  ).toBe(true);
  execution.abort();
  await ended;
  expect(readServices(workflow)).toMatchObject(DOWN);

  // The end of an earlier deploy does not concern these services.
  await workflow.workflow.recover({ reason: 'deploy-ended', deploy: 'an-earlier-one', status: 'FAILED' });
  expect(readServices(workflow).withSavedState).toEqual(DOWN.withSavedState);
  await workflow.workflow.recover({ reason: 'deploy-ended', deploy: 'killed', status: 'ABORTED' });

  expect(readServices(workflow)).toMatchObject(UP);
});

describe('the reconciler', () => {
  test('reports to CloudWatch that services are stopped, with alarms, and nothing once they have started', async () => {
    await killAfterStopping();
    const workflow = await open({ environment: { alarms: true } });
    const data = () => workflow.workflow.aws.state.cloudWatch.data;

    expect((await workflow.workflow.recover({ reason: 'reconcile' })).status).toBe('SUCCEEDED');
    expect(data()).toMatchObject([
      { namespace: 'pg-deploy-step/local', metric: 'ServicesStopped', value: 1 },
    ]);
    expect(readServices(workflow)).toMatchObject(UP);

    expect((await workflow.workflow.recover({ reason: 'reconcile' })).status).toBe('SUCCEEDED');
    expect(data()).toHaveLength(1);
  });

  test('starts the services if CloudWatch refuses the metric', async () => {
    await killAfterStopping();
    const workflow = await open({
      environment: { alarms: true },
      refuse: (resource) =>
        resource.includes(':cloudwatch:')
          ? new TaskError('CloudWatch.InvalidParameterValueException', 'refused by the test')
          : undefined,
    });

    expect((await workflow.workflow.recover({ reason: 'reconcile' })).status).toBe('SUCCEEDED');
    expect(readServices(workflow)).toMatchObject(UP);
    expect(workflow.workflow.aws.state.cloudWatch.data).toEqual([]);
  });

  test('does not start services while the deploy that stopped them is running', async () => {
    // The deploy waits for the lock until this test releases it, however long the recovery takes.
    const workflow = await open({ builds: { lockTimeoutSeconds: 300 } });
    const blocker = await connect(database.url);
    await blocker.query('begin');
    await blocker.query('lock table orders in access exclusive mode');
    const deploying = workflow.deploy();
    await eventually(() => workflow.events.some((event) => event.state === BUILD_INDEXES.buildIndex)).toBe(
      true,
    );

    const { output } = await workflow.workflow.recover({ reason: 'reconcile' });
    const meanwhile = readServices(workflow);
    await blocker.query('rollback');
    await blocker.end();
    await deploying;

    expect(output).toMatchObject({
      services: [{ outcome: 'deploy-running' }, { outcome: 'deploy-running' }],
    });
    expect(meanwhile).toMatchObject(DOWN);
    expect(readServices(workflow)).toMatchObject(UP);
    expect(workflow.alerts).toEqual([]);
  });

  test('and the recovery rule do not start services that a critical failure left stopped, until you start them', async () => {
    await database.query("insert into orders values (1, 'new')");
    const byZero = INDEX.sql.replace('(status)', '((1 / (id - id)))');
    const workflow = await open({ indexes: [{ ...INDEX, sql: byZero }] });
    await workflow.deploy();

    await workflow.workflow.recover({ reason: 'reconcile' });
    await workflow.workflow.recover({ reason: 'deploy-ended', deploy: 'it', status: 'FAILED' });
    expect(readServices(workflow)).toMatchObject(DOWN);

    const { status } = await workflow.deploy({ mode: 'start-services' });
    expect(status).toBe('SUCCEEDED');
    expect(readServices(workflow)).toMatchObject(UP);
    expect(Object.keys(workflow.workflow.aws.state.ssm.parameters)).toEqual([
      '/pg-deploy-step/local/deploy-lock',
    ]);
  });

  test('does nothing and sends no alert when no service is stopped', async () => {
    const workflow = await open();

    const { output } = await workflow.workflow.recover({ reason: 'reconcile' });

    expect(output).toMatchObject({
      services: [{ outcome: 'nothing-saved' }, { outcome: 'nothing-saved' }],
    });
    expect(workflow.alerts).toEqual([]);
    expect(readServices(workflow)).toMatchObject(UP);
  });
});

test('the downtime in the report covers the time without connections, and nothing before the stop or after the start', async () => {
  const workflow = await open();
  const watcher = await connect(database.url);
  const sessions = async () =>
    (
      await watcher.query<{ openedAt: Date }>(
        `select backend_start as "openedAt" from pg_stat_activity
          where datname = current_database() and application_name in ('api', 'worker')`,
      )
    ).rows;
  let firstClosedAt: number | undefined;
  const watching = new AbortController();
  const watch = (async () => {
    while (firstClosedAt === undefined && !watching.signal.aborted) {
      if ((await sessions()).length < 6) firstClosedAt = Date.now();
      await sleep(20);
    }
  })();

  const { report } = await workflow.deploy();
  watching.abort();
  await watch;
  const lastOpenedAt = Math.max(...(await sessions()).map(({ openedAt }) => openedAt.getTime()));
  await watcher.end();

  // Compared by order, not by duration: a busy machine delays every step, but does not change their order.
  const timeOf = (type: string, state: string) =>
    Date.parse(workflow.events.find((event) => event.type === type && event.state === state)?.at ?? '');
  // The time of the stop is recorded with the saved state, immediately before the service is stopped.
  const stopToStart =
    timeOf('StateExited', DEPLOY.startServices) - timeOf('StateEntered', WINDOW.saveServices);
  const withoutConnections = lastOpenedAt - (firstClosedAt ?? Number.NaN);
  expect(withoutConnections).toBeGreaterThan(0);
  expect(report.downtimeMs).toBeGreaterThanOrEqual(withoutConnections);
  expect(report.downtimeMs).toBeLessThanOrEqual(stopToStart);
});

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BUILD_INDEXES, DEPLOY, ECS, WINDOW } from '../../lib/workflow/state-names.ts';
import { connect, createDatabase, type TestDatabase } from '../support/database.ts';
import { readServices } from '../support/service-kinds.ts';
import { eventually } from '../support/waits.ts';
import { openTestWorkflow, type TestWorkflow, type TestWorkflowOptions } from '../support/workflow.ts';

const ORDERS = {
  name: 'idx_orders_status',
  sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_orders_status ON orders (status)',
  description: 'orders by status',
};
const PEOPLE = {
  name: 'people_email_key',
  sql: 'CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS people_email_key ON people (email)',
  critical: true,
  description: 'sign-in',
};
const UP = { processes: { api: 2, worker: 1 }, desired: { api: 2, worker: 1 }, withSavedState: [] };

let database: TestDatabase;
let opened: TestWorkflow | undefined;

beforeEach(async () => {
  database = await createDatabase();
  await database.query(
    'create table orders (id int primary key, status text); create table people (id int, email text); create table other (id int)',
  );
});

afterEach(async () => {
  await opened?.close();
  opened = undefined;
  await database.drop();
});

async function open(options: Partial<TestWorkflowOptions> = {}): Promise<TestWorkflow> {
  opened = await openTestWorkflow({ databaseUrl: database.url, indexes: [ORDERS, PEOPLE], ...options });
  return opened;
}

const entered = (workflow: TestWorkflow, state: string) =>
  workflow.events.filter((event) => event.type === 'StateEntered' && event.state === state);

describe('services that do not stop within stopMinutes', () => {
  test('are started again, and the deploy fails before it has changed anything', async () => {
    const signal = (name: string, signalName: NodeJS.Signals) => {
      for (const service of opened?.workflow.aws.state.ecs.services ?? []) {
        for (const { pid } of service.service === name ? service.tasks : []) {
          try {
            process.kill(pid, signalName);
          } catch {
            // The process has already ended: both services enter the wait.
          }
        }
      }
    };
    const workflow = await open({
      migrations: { '0001_total': 'alter table orders add column total numeric;' },
      environment: { stopMinutes: 0.01 },
      onEvent: (event) => {
        if (event.type !== 'StateEntered') return;
        // The worker does not react to SIGTERM until SIGCONT.
        if (event.state === WINDOW.checkServices) signal('worker', 'SIGSTOP');
        // The api stops before the last check, also when the machine is too busy for its SIGTERM handler.
        if (event.state === ECS.stopped.wait) signal('api', 'SIGKILL');
        if (event.state === WINDOW.verdicts.servicesNotStopped) signal('worker', 'SIGCONT');
      },
    });

    const { status, cause, report } = await workflow.deploy();

    expect(status).toBe('FAILED');
    expect(cause).toContain('Services did not stop in time: worker');
    expect(report.migrations).toMatchObject({ outcome: 'not-run', applied: [], pending: ['0001_total'] });
    expect(report.totals.created).toBe(0);
    expect(readServices(workflow)).toMatchObject(UP);
  });
});

describe('sessions of the application', () => {
  const DRAIN = { roles: [], applicationNames: ['api%', 'worker%'], seconds: 2 };

  test('that are still open after the services have stopped fail the deploy, and the message lists them', async () => {
    const cron = await connect(`${database.url}?application_name=ignored`);
    await cron.query("set application_name = 'api-cron'");
    const { rows } = await cron.query<{ pid: number }>('select pg_backend_pid() as pid');
    const workflow = await open({ environment: { drain: DRAIN } });

    const { status, cause } = await workflow.deploy();
    await cron.end();

    expect(status).toBe('FAILED');
    expect(cause).toContain(
      `sessions of the application remain: pid ${rows[0]?.pid} (api-cron, role postgres`,
    );
    expect(readServices(workflow)).toMatchObject(UP);
    expect(workflow.alerts.at(-1)?.Message).toContain('api-cron');
  });

  test('that close while the deploy waits for them do not fail it', async () => {
    const cron = await connect(database.url);
    await cron.query("set application_name = 'worker-cron'");
    const workflow = await open({
      environment: { drain: { ...DRAIN, seconds: 60 } },
      onEvent: (event) => {
        if (event.type === 'StateEntered' && event.state === WINDOW.drain.wait) void cron.end();
      },
    });

    const { report } = await workflow.deploy();

    expect(report.status).toBe('succeeded');
    expect(entered(workflow, WINDOW.drain.check).length).toBeGreaterThan(1);
  });
});

describe('a window that lasts longer than windowMinutes', () => {
  test('starts the services, and waits for the remaining builds until they end', async () => {
    await database.query('create unique index people_email_key on people (email)');
    // Long enough for the build to begin inside the window, also on a busy machine.
    const workflow = await open({ builds: { waitSeconds: 1 }, environment: { windowMinutes: 0.6 } });
    // The build of the non-critical index waits for this transaction.
    const reader = await connect(database.url);
    await reader.query('begin isolation level repeatable read');
    await reader.query('select from other');

    const deploying = workflow.deploy();
    await eventually(() => entered(workflow, DEPLOY.buildOnline).length).toBe(1);
    const meanwhile = readServices(workflow);
    const building = await database.query(
      "select indisvalid from pg_index where indexrelid = 'idx_orders_status'::regclass",
    );
    await reader.query('rollback');
    await reader.end();
    const { report } = await deploying;

    expect(meanwhile).toMatchObject(UP);
    expect(building).toEqual([{ indisvalid: false }]);
    expect(report).toMatchObject({ status: 'succeeded', totals: { created: 1, failed: 0 } });
    const attempts = await database.query<{ item: string; attempts: number }>(
      'select item, count(*)::int as attempts from deploy_step.index_builds group by item order by item',
    );
    expect(attempts).toEqual([{ item: 'idx_orders_status', attempts: 1 }]);
  });

  test('stays open until the critical indexes are built', async () => {
    const workflow = await open({
      indexes: [PEOPLE],
      builds: { waitSeconds: 1 },
      environment: { windowMinutes: 0.02 },
    });
    const reader = await connect(database.url);
    await reader.query('begin isolation level repeatable read');
    await reader.query('select from other');

    const deploying = workflow.deploy();
    // The second check of the build comes after the window's 1.2 seconds.
    await eventually(() => entered(workflow, BUILD_INDEXES.checkIndex).length).toBeGreaterThan(1);
    const meanwhile = readServices(workflow);
    await reader.query('rollback');
    await reader.end();
    const { report } = await deploying;

    expect(meanwhile.processes).toEqual({ api: 0, worker: 0 });
    expect(report).toMatchObject({ status: 'succeeded', totals: { created: 1 } });
    expect(readServices(workflow)).toMatchObject(UP);
  });
});

describe('two deploys', () => {
  test('do not run at the same time: the second one names the first one and changes nothing', async () => {
    const blocker = await connect(database.url);
    await blocker.query('begin');
    await blocker.query('lock table people in access exclusive mode');
    // The first deploy waits for the lock until this test releases it, however long the second deploy takes.
    const workflow = await open({ builds: { lockTimeoutSeconds: 300 } });
    const first = workflow.workflow.start({}, 'the-first').ended;
    await eventually(() => entered(workflow, BUILD_INDEXES.buildIndex).length).toBeGreaterThan(0);

    const second = await workflow.workflow.start({}, 'the-second').ended;
    const meanwhile = readServices(workflow);
    await blocker.query('rollback');
    await blocker.end();

    expect(second.result.status).toBe('FAILED');
    expect(second.result.cause).toContain('Another deploy is running: the-first, started at ');
    expect(meanwhile.processes).toEqual({ api: 0, worker: 0 });
    expect((await first).result.status).toBe('SUCCEEDED');
    expect(readServices(workflow)).toMatchObject(UP);
  });

  test('from different machines do not migrate at the same time: the advisory lock refuses the second one', async () => {
    const elsewhere = await connect(database.url);
    await elsewhere.query('select pg_advisory_lock(7241865325823964)');
    const workflow = await open({
      migrations: { '0001_total': 'alter table orders add column total numeric;' },
    });

    const { status, cause } = await workflow.deploy();
    await elsewhere.end();

    expect(status).toBe('FAILED');
    expect(cause).toMatch(
      /Another session is applying migrations to this database: pid \d+ \(role "postgres", application "test"\)/,
    );
    expect(readServices(workflow)).toMatchObject(UP);
  });
});

test('a deploy without changes runs only the functions preflight and report', async () => {
  const workflow = await open();
  await workflow.deploy();
  const before = workflow.workflow.lambdas.invocations.length;

  await workflow.deploy();

  const functions = workflow.workflow.lambdas.invocations
    .slice(before)
    .map((invocation) => invocation.function);
  expect(functions).toEqual(['pg-deploy-step-local-preflight', 'pg-deploy-step-local-report']);
});

test('a deploy without changes starts the services that a critical failure left stopped', async () => {
  await database.query("insert into people values (1, 'a@example.com'), (2, 'a@example.com')");
  const workflow = await open();
  await workflow.deploy();
  expect(readServices(workflow).processes).toEqual({ api: 0, worker: 0 });
  await database.query('delete from people where id = 2');
  await workflow.deploy({ mode: 'indexes' });
  expect(readServices(workflow).processes).toEqual({ api: 0, worker: 0 });

  const { report } = await workflow.deploy();

  expect(report.status).toBe('succeeded');
  expect(readServices(workflow)).toMatchObject(UP);
});

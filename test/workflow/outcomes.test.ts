import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { IndexEntry } from '../../lib/registry/define-indexes.ts';
import { BUILD_INDEXES } from '../../lib/workflow/state-names.ts';
import { connect, createDatabase, type TestDatabase } from '../support/database.ts';
import { openTestWorkflow, type TestWorkflow, type TestWorkflowOptions } from '../support/workflow.ts';

const ORDERS_STATUS: IndexEntry = {
  name: 'idx_orders_status',
  sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_orders_status ON orders (status)',
  description: 'orders by status',
};
const ORDERS_OPEN: IndexEntry = {
  name: 'idx_orders_open',
  sql: "CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_orders_open ON orders (id) WHERE status = 'open'",
  description: 'open orders',
};
const PEOPLE_EMAIL: IndexEntry = {
  name: 'people_email_key',
  sql: 'CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS people_email_key ON people (lower(email))',
  critical: true,
  description: 'sign-in',
};
/** Only the build shows that it fails: the rows decide. */
const DIVIDES: IndexEntry = {
  name: 'idx_orders_share',
  sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_orders_share ON orders ((100 / (id - 7)))',
  description: 'an expression that one row does not have',
};
const GOOD = [ORDERS_STATUS, ORDERS_OPEN, PEOPLE_EMAIL];

let database: TestDatabase;
let opened: TestWorkflow | undefined;

beforeEach(async () => {
  database = await createDatabase();
  await database.query(`
    create table orders (id int primary key, status text not null);
    insert into orders select n, case when n % 10 = 0 then 'open' else 'done' end from generate_series(1, 5000) n;
    create table people (id int primary key, email text not null);
    insert into people select n, 'person' || n || '@example.com' from generate_series(1, 1000) n;
  `);
});

afterEach(async () => {
  await opened?.close();
  opened = undefined;
  await database.drop();
});

async function open(options: Omit<TestWorkflowOptions, 'databaseUrl'>): Promise<TestWorkflow> {
  opened = await openTestWorkflow({ databaseUrl: database.url, ...options });
  return opened;
}

async function validIndexes(): Promise<string[]> {
  const rows = await database.query<{ name: string }>(
    `select c.relname as name from pg_index i join pg_class c on c.oid = i.indexrelid
      where i.indisvalid and not i.indisprimary and c.relnamespace = 'public'::regnamespace order by 1`,
  );
  return rows.map((row) => row.name);
}

async function invalidIndexes(): Promise<number> {
  return (await database.query('select 1 from pg_index where not indisvalid')).length;
}

const SERVICES_UP = { api: 2, worker: 1 };

describe('a deploy', () => {
  test('applies the migrations, builds every index and starts the services again', async () => {
    // Prepare
    const workflow = await open({
      indexes: GOOD,
      migrations: { '0001_total': 'alter table orders add column total numeric;' },
    });
    const before = workflow.running();

    // Act
    const { status, report } = await workflow.deploy();

    // Assess
    expect(status).toBe('SUCCEEDED');
    expect(report).toMatchObject({
      status: 'succeeded',
      failure: null,
      migrations: { applied: ['0001_total'], pending: [] },
      totals: { created: 3, skipped: 0, failed: 0, remaining: 0 },
    });
    expect(await validIndexes()).toEqual(['idx_orders_open', 'idx_orders_status', 'people_email_key']);
    expect(before).toEqual(SERVICES_UP);
    expect(workflow.running()).toEqual(SERVICES_UP);
    for (const service of report.services) {
      expect(Date.parse(service.stoppedAt ?? '')).toBeLessThan(Date.parse(service.startedAt ?? ''));
    }
    expect(report.downtimeMs).toBeGreaterThan(0);
    expect(workflow.workflow.servicesWithSavedState).toEqual([]);
    expect(workflow.alerts).toEqual([]);
  });

  test('stops the services: no session of a service is open while the migrations run', async () => {
    const workflow = await open({
      indexes: GOOD,
      migrations: {
        '0001_count_sessions': `create table sessions_seen as
          select count(*)::int as n from pg_stat_activity where datname = current_database() and application_name in ('api', 'worker');`,
      },
    });
    const sessions =
      "select count(*)::int as n from pg_stat_activity where datname = current_database() and application_name in ('api', 'worker')";
    expect(await database.query(sessions)).toEqual([{ n: 6 }]);

    await workflow.deploy();

    expect(await database.query('select n from sessions_seen')).toEqual([{ n: 0 }]);
    expect(await database.query(sessions)).toEqual([{ n: 6 }]);
  });

  test('with nothing to do does not stop the services, and the report says so', async () => {
    const workflow = await open({ indexes: GOOD });
    await workflow.deploy();
    const processes = workflow.workflow.aws.state.ecs.services.flatMap((service) =>
      service.tasks.map((task) => task.pid),
    );

    const { status, report } = await workflow.deploy();

    expect(status).toBe('SUCCEEDED');
    expect(report).toMatchObject({ downtimeMs: 0, totals: { created: 0, skipped: 3 } });
    expect(report.indexes.map((index) => index.status)).toEqual(['present', 'present', 'present']);
    expect(report.warnings).toEqual([expect.stringContaining('Nothing to do')]);
    expect(
      workflow.workflow.aws.state.ecs.services.flatMap((service) => service.tasks.map((task) => task.pid)),
    ).toEqual(processes);
  });

  test('with force stops the services also when nothing is pending', async () => {
    const workflow = await open({ indexes: GOOD });
    await workflow.deploy();

    const { report } = await workflow.deploy({ force: true });

    expect(report.downtimeMs).toBeGreaterThan(0);
    expect(workflow.running()).toEqual(SERVICES_UP);
  });
});

describe('a non-critical index that cannot be built', () => {
  test('causes a warning and an alert, and the services start', async () => {
    const workflow = await open({ indexes: [...GOOD, DIVIDES] });

    const { status, report } = await workflow.deploy();

    expect(status).toBe('SUCCEEDED');
    expect(report).toMatchObject({ status: 'succeeded', failure: null, totals: { created: 3, failed: 1 } });
    expect(report.indexes.find((index) => index.name === 'idx_orders_share')).toMatchObject({
      status: 'failed',
      attempts: 1,
      error: { sqlstate: '22012', message: expect.stringContaining('division by zero') },
    });
    expect(report.warnings).toEqual([expect.stringContaining('idx_orders_share')]);
    expect(workflow.running()).toEqual(SERVICES_UP);
    expect(workflow.alerts).toHaveLength(1);
    const [alert] = workflow.alerts;
    expect(alert?.Subject).toBe('pg-deploy-step local: deploy succeeded, 1 index failed');
    expect(alert?.Message).toContain('Services: up; they were down for');
    expect(alert?.Message).toContain('idx_orders_share on orders: division by zero (SQLSTATE 22012)');
    expect(alert?.Message).toContain(
      'start an execution of pg-deploy-step-local-build-indexes with the input {"indexes": ["idx_orders_share"]}',
    );
  });
});

describe('a critical index that cannot be built', () => {
  test('leaves the services stopped, and the alert shows how to start them', async () => {
    await database.query(
      "insert into people select 100000 + n, 'PERSON' || n || '@example.com' from generate_series(1, 3) n",
    );
    const workflow = await open({ indexes: GOOD });

    const { status, cause, report } = await workflow.deploy();

    expect(status).toBe('FAILED');
    expect(cause).toContain('Critical index not built: people_email_key on people');
    expect(report).toMatchObject({ status: 'failed', downtimeMs: null, totals: { created: 2, failed: 1 } });
    expect(report.indexes.find((index) => index.name === 'people_email_key')).toMatchObject({
      status: 'failed',
      attempts: 1,
      error: { sqlstate: '23505', message: expect.stringContaining('Key (lower(email))=') },
    });
    expect(await invalidIndexes()).toBe(0);
    expect(workflow.running()).toEqual({ api: 0, worker: 0 });
    expect(workflow.workflow.servicesWithSavedState.toSorted()).toEqual(['api', 'worker']);
    const [alert] = workflow.alerts;
    expect(alert?.Subject).toBe('pg-deploy-step local: deploy FAILED');
    expect(alert?.Message).toContain('Services: STOPPED: api, worker');
    expect(alert?.Message).toContain(
      'start an execution of the state machine pg-deploy-step-local-start-services with the input {}',
    );

    // The command in the alert starts the services with their previous counts.
    await workflow.workflow.recover();
    expect(workflow.running()).toEqual(SERVICES_UP);
    expect(workflow.workflow.servicesWithSavedState).toEqual([]);
  });

  test('starts the services with onCriticalFailure: start', async () => {
    await database.query("insert into people values (100001, 'PERSON1@example.com')");
    const workflow = await open({ indexes: GOOD, environment: { onCriticalFailure: 'start' } });

    const { status, report } = await workflow.deploy();

    expect(status).toBe('FAILED');
    expect(report.failure).toContain('people_email_key');
    expect(workflow.running()).toEqual(SERVICES_UP);
  });
});

describe('a migration that fails', () => {
  const FAILING = {
    '0001_fine': 'alter table orders add column total numeric;',
    '0002_wrong': 'alter table orders add column note text; alter table nowhere add column x int;',
  };

  test('is rolled back completely, no index is built, and the services start', async () => {
    const workflow = await open({ indexes: GOOD, migrations: FAILING });

    const { status, cause, report } = await workflow.deploy();

    expect(status).toBe('FAILED');
    expect(cause).toContain(
      'Migration 0002_wrong.sql, line 1, failed, and no migration was applied: alter table nowhere add column x int: relation "nowhere" does not exist',
    );
    expect(report.migrations).toMatchObject({
      outcome: 'failed',
      failure: { file: '0002_wrong', line: 1, sqlstate: '42P01' },
      applied: [],
      pending: ['0001_fine', '0002_wrong'],
    });
    expect(await validIndexes()).toEqual([]);
    const columns = await database.query(
      "select 1 from information_schema.columns where column_name in ('total', 'note')",
    );
    expect(columns).toEqual([]);
    expect(workflow.running()).toEqual(SERVICES_UP);
    const [alert] = workflow.alerts;
    expect(alert?.Subject).toBe('pg-deploy-step local: deploy FAILED');
    expect(alert?.Message).toContain('Migration 0002_wrong.sql, line 1, failed');
    expect(alert?.Message).toContain('Services: up; they were down for');
    expect(alert?.Message).toContain('start the deploy again with the input {}');
  });

  test('leaves the services stopped with onMigrationFailure: leave-stopped', async () => {
    const workflow = await open({
      indexes: GOOD,
      migrations: FAILING,
      environment: { onMigrationFailure: 'leave-stopped' },
    });

    const { status } = await workflow.deploy();

    expect(status).toBe('FAILED');
    expect(workflow.running()).toEqual({ api: 0, worker: 0 });
    expect(workflow.alerts[0]?.Message).toContain('Services: STOPPED: api, worker');
  });
});

describe("a lock on an index's table", () => {
  test('is retried until it is released, and then the index is built', async () => {
    const workflow = await open({ indexes: GOOD, services: 'none' });
    const blocker = await connect(database.url);
    await blocker.query('begin');
    await blocker.query('lock table orders in access exclusive mode');

    const deploying = workflow.deploy();
    await untilRetried(workflow);
    await blocker.query('rollback');
    await blocker.end();
    const { report } = await deploying;

    expect(report.status).toBe('succeeded');
    const attempts = report.indexes.map((index) => index.attempts);
    expect(Math.max(...attempts)).toBeGreaterThan(1);
    expect(report.totals).toMatchObject({ created: 3, failed: 0 });
    const rows = await database.query<{ message: string; sqlstate: string }>(
      "select message, sqlstate from deploy_step.index_builds where status = 'retrying' order by started_at limit 1",
    );
    expect(rows[0]?.sqlstate).toBe('55P03');
    expect(rows[0]?.message).toMatch(
      /Could not acquire the lock on table orders within 3 s\. Blocked by pid \d+ \(test, idle in transaction/,
    );
  });
});

describe('builds with when: after-start', () => {
  test('build only the critical indexes inside the window', async () => {
    const workflow = await open({ indexes: GOOD, builds: { when: 'after-start' } });

    const { report } = await workflow.deploy();

    expect(report.totals).toMatchObject({ created: 3, failed: 0 });
    const rows = await database.query<{ name: string; started_at: Date }>(
      'select index_name as name, started_at from deploy_step.index_builds',
    );
    const up = Math.max(...report.services.map((service) => Date.parse(service.startedAt ?? '')));
    const online = rows.filter((row) => row.started_at.getTime() > up).map((row) => row.name);
    expect(online.toSorted()).toEqual(['idx_orders_open', 'idx_orders_status']);
  });
});

describe('the modes', () => {
  test('indexes: builds indexes while the services run', async () => {
    const workflow = await open({
      indexes: GOOD,
      migrations: { '0001_total': 'alter table orders add column total numeric;' },
    });

    const { report } = await workflow.deploy({ mode: 'indexes', indexes: ['idx_orders_open'] });

    expect(report).toMatchObject({
      status: 'succeeded',
      downtimeMs: 0,
      migrations: { applied: [], pending: ['0001_total'] },
    });
    expect(await validIndexes()).toEqual(['idx_orders_open']);
    expect(workflow.running()).toEqual(SERVICES_UP);
  });

  test('plan: changes nothing, also not the ledger, and reports the missing indexes', async () => {
    const workflow = await open({ indexes: GOOD, services: 'none' });

    const { report } = await workflow.deploy({ mode: 'plan' });

    expect(report).toMatchObject({ status: 'succeeded', mode: 'plan', totals: { remaining: 3 } });
    expect(await validIndexes()).toEqual([]);
    expect(await database.query("select 1 from pg_namespace where nspname = 'deploy_step'")).toEqual([]);
  });
});

describe('build-indexes alone', () => {
  test('accepts an input from the console and builds until no index remains', async () => {
    const workflow = await open({ indexes: GOOD, services: 'none' });

    const { engine, machines } = workflow.workflow;
    const result = await engine.start(machines.buildIndexes, { indexes: ['people_email_key'] }).result;

    expect(result).toMatchObject({
      status: 'SUCCEEDED',
      output: { decision: 'done', failed: { critical: 0, nonCritical: 0 } },
    });
    expect(await validIndexes()).toEqual(['people_email_key']);
  });
});

async function untilRetried(workflow: TestWorkflow): Promise<void> {
  while (
    !workflow.events.some(
      (event) => event.type === 'StateRetried' && event.state === BUILD_INDEXES.buildIndex,
    )
  )
    await sleep(50);
}

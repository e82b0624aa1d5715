import { afterAll, describe, expect, test } from 'vitest';
import type { Environment } from '../../lib/config/environment-config.ts';
import { connect, type TestDatabase } from '../support/database.ts';
import type { Migrations } from '../support/migration-files.ts';
import { onEachMajor, serverOf } from '../support/servers.ts';
import { openTestWorkflow, type TestWorkflow } from '../support/workflow.ts';

const INDEXES = [
  {
    name: 'orders_status',
    sql: 'create index concurrently if not exists orders_status on orders (status)',
    description: 'orders by status',
  },
];

const TABLE = { '0001_orders': 'create table orders (id int primary key, status text);' };
const ONLINE = `-- pg-deploy-step: online
set local lock_timeout = '3s';
alter table orders add column note text;`;
const OFFLINE = 'alter table orders alter column id type bigint;';

interface Opened {
  readonly database: TestDatabase;
  readonly workflow: TestWorkflow;
}

onEachMajor('online migrations', (major) => {
  const opened: Opened[] = [];

  /** A workflow whose database has the table, and no index. */
  async function open(
    window: Environment['window'],
    migrations: Migrations,
    more: { before?: Migrations; attempts?: number; indexes?: typeof INDEXES } = {},
  ): Promise<Opened> {
    const database = await serverOf(major).createDatabase();
    const { before = TABLE } = more;
    if (Object.keys(before).length > 0) {
      const first = await openTestWorkflow({
        databaseUrl: database.url,
        indexes: [],
        migrations: before,
        services: 'none',
      });
      expect((await first.deploy()).status).toBe('SUCCEEDED');
      await first.close();
    }
    const workflow = await openTestWorkflow({
      databaseUrl: database.url,
      indexes: more.indexes ?? INDEXES,
      migrations: { ...before, ...migrations },
      migrationLimits: { lockTimeoutSeconds: 3, attempts: more.attempts ?? 2 },
      environment: { window },
    });
    opened.push({ database, workflow });
    return { database, workflow };
  }

  afterAll(async () => {
    for (const { workflow, database } of opened) {
      await workflow.close();
      await database.drop();
    }
  });

  /** The names of the states of `deploy`, and of the other machines that ran. */
  function ran({ events }: TestWorkflow): { states: string[]; machines: string[] } {
    const entered = events.filter(({ type }) => type === 'StateEntered');
    const machines = entered.map(({ machine }) => machine.replace('pg-deploy-step-local-', ''));
    return {
      states: entered.flatMap(({ state }, at) => (machines[at] === 'deploy' ? [state ?? ''] : [])),
      machines: [...new Set(machines)],
    };
  }

  describe('window: when-needed', () => {
    test('marked files are applied while the services run, and indexes are built then too', async () => {
      const { workflow, database } = await open('when-needed', {
        '0002_note': ONLINE,
        '0003_note2': ONLINE.replace('note', 'note2'),
      });

      const { status, report } = await workflow.deploy();

      expect(status).toBe('SUCCEEDED');
      expect(ran(workflow).machines).not.toContain('maintenance-window');
      expect(report.services.map(({ status: one, stoppedAt }) => [one, stoppedAt])).toEqual([
        ['unchanged', null],
        ['unchanged', null],
      ]);
      expect(report).toMatchObject({ window: 'when-needed', downtimeMs: 0 });
      expect(report.migrations).toMatchObject({
        outcome: 'succeeded',
        applied: ['0002_note', '0003_note2'],
        appliedOnline: ['0002_note', '0003_note2'],
        pending: [],
      });
      expect(report.indexes.map(({ name, status: one }) => [name, one])).toEqual([
        ['orders_status', 'built'],
      ]);
      // Each file in a transaction of its own, so that its locks end with it.
      const rows = await database.query<{ transactions: number }>(
        'select count(distinct transaction)::int as transactions from deploy_step.applied_migrations where deploy = $1',
        [report.deploy],
      );
      expect(rows).toEqual([{ transactions: 2 }]);
    });

    test('a file that is not marked opens the window, after the marked ones before it and with those after it', async () => {
      const { workflow, database } = await open('when-needed', {
        '0002_note': ONLINE,
        '0003_bigint': OFFLINE,
        '0004_note2': ONLINE.replace('note', 'note2'),
      });

      const { status, report } = await workflow.deploy();

      expect(status).toBe('SUCCEEDED');
      const { states } = ran(workflow);
      expect(states.indexOf('Apply Online Migrations')).toBeGreaterThan(0);
      expect(states.indexOf('Apply Online Migrations')).toBeLessThan(states.indexOf('Maintenance Window'));
      expect(report.migrations).toMatchObject({
        applied: ['0002_note', '0003_bigint', '0004_note2'],
        appliedOnline: ['0002_note'],
      });
      expect(report.services.every(({ status: one }) => one === 'started')).toBe(true);
      const applied = await database.query<{ name: string }>('select name from pgmigrations order by id');
      expect(applied.map(({ name }) => name)).toEqual([
        '0001_orders',
        '0002_note',
        '0003_bigint',
        '0004_note2',
      ]);
    });

    test('missing indexes alone stop nothing', async () => {
      const { workflow } = await open('when-needed', {});

      const { status, report } = await workflow.deploy();

      expect(status).toBe('SUCCEEDED');
      expect(ran(workflow).machines).not.toContain('maintenance-window');
      expect(report.indexes.map(({ status: one }) => one)).toEqual(['built']);
      expect((await workflow.deploy()).report.warnings).toEqual([expect.stringContaining('Nothing to do')]);
    });

    test('force opens the window', async () => {
      const { workflow } = await open('when-needed', { '0002_note': ONLINE });

      const { report } = await workflow.deploy({ force: true });

      expect(report.services.every(({ status: one }) => one === 'started')).toBe(true);
      expect(report.migrations.appliedOnline).toEqual(['0002_note']);
    });

    test('a lock that is not acquired is waited for in several attempts, and then the services still run', async () => {
      const { workflow, database } = await open('when-needed', {
        '0002_first': ONLINE.replace('note', 'first'),
        '0003_note': ONLINE.replace('3s', '100ms'),
        '0004_bigint': OFFLINE,
      });
      const reader = await connect(database.url, 'a long report');
      await reader.query('begin; select * from orders');
      // The first file waits for the same lock.
      const waiting = await workflow.deploy();
      expect(waiting.status).toBe('FAILED');
      expect(waiting.report.migrations).toMatchObject({
        applied: [],
        failure: { file: '0002_first', sqlstate: '55P03' },
      });
      expect(waiting.report.migrations.failure?.message).toMatch(/attempt 2 of 2/);
      expect(waiting.cause).toMatch(/while the services ran/);
      expect(waiting.report.services.every(({ stoppedAt }) => stoppedAt === null)).toBe(true);
      expect(ran(workflow).machines).toEqual(['deploy']);
      expect(workflow.running()).toEqual({ api: 2, worker: 1 });
      expect(workflow.alerts.at(-1)?.Message).toMatch(/up; they were not stopped/);
      await reader.query('rollback');
      await reader.end();

      const { status } = await workflow.deploy();

      expect(status).toBe('SUCCEEDED');
    });

    test('what was applied before a file that fails stays applied, and is reported', async () => {
      const { workflow } = await open('when-needed', {
        '0002_note': ONLINE,
        '0003_wrong': '-- pg-deploy-step: online\ninsert into nowhere values (1);',
        '0004_bigint': OFFLINE,
      });

      const { status, report } = await workflow.deploy();

      expect(status).toBe('FAILED');
      expect(report.migrations).toMatchObject({
        outcome: 'failed',
        applied: ['0002_note'],
        appliedOnline: ['0002_note'],
        pending: ['0003_wrong', '0004_bigint'],
        failure: { file: '0003_wrong', line: 2, sqlstate: '42P01', changes: 'none' },
      });
      expect(workflow.running()).toEqual({ api: 2, worker: 1 });
    });

    test('a plan says what is applied while the services run, and whether they stop', async () => {
      const { workflow } = await open('when-needed', { '0002_note': ONLINE, '0003_bigint': OFFLINE });

      const { report } = await workflow.deploy({ mode: 'plan' });

      expect(report).toMatchObject({
        window: 'when-needed',
        migrations: { pending: ['0002_note', '0003_bigint'], pendingOnline: ['0002_note'] },
      });
    });

    test('services that an earlier deploy left stopped start once everything is built', async () => {
      const { workflow, database } = await open(
        'when-needed',
        { '0002_bigint': OFFLINE },
        {
          indexes: INDEXES.map((index) => ({
            ...index,
            critical: true,
            sql: 'create unique index concurrently if not exists orders_status on orders (status)',
          })),
        },
      );
      await database.query("insert into orders values (1, 'a'), (2, 'a')");
      expect((await workflow.deploy()).status).toBe('FAILED');
      expect(workflow.running()).toEqual({ api: 0, worker: 0 });
      // Still the same duplicates: nothing is pending but the index, and they stay stopped.
      expect((await workflow.deploy()).status).toBe('FAILED');
      expect(workflow.running()).toEqual({ api: 0, worker: 0 });
      await database.query('delete from orders where id = 2');

      const { status } = await workflow.deploy();

      expect(status).toBe('SUCCEEDED');
      expect(workflow.running()).toEqual({ api: 2, worker: 1 });
    });
  });

  describe('window: never', () => {
    test('a file that is not marked is refused before anything is changed, by its name', async () => {
      const { workflow, database } = await open('never', {
        '0002_note': ONLINE,
        '0003_bigint': OFFLINE,
        '0004_note2': ONLINE.replace('note', 'note2'),
        '0005_bigint': OFFLINE,
      });

      const { status, cause } = await workflow.deploy();

      expect(status).toBe('FAILED');
      expect(cause).toMatch(/0003_bigint\.sql, 0005_bigint\.sql/);
      expect(cause).toContain('-- pg-deploy-step: online');
      expect(cause).toContain('when-needed');
      expect(await database.query("select from pgmigrations where name <> '0001_orders'")).toEqual([]);
      const { report } = await workflow.deploy({ mode: 'plan' });
      expect(report.warnings).toEqual([expect.stringMatching(/A deploy would be refused\. .*0003_bigint/)]);
    });

    test('marked files and indexes are applied and built; force is refused', async () => {
      const { workflow } = await open('never', { '0002_note': ONLINE });

      expect((await workflow.deploy({ force: true })).cause).toMatch(/force/);
      const { status, report } = await workflow.deploy();

      expect(status).toBe('SUCCEEDED');
      expect(report.migrations.appliedOnline).toEqual(['0002_note']);
      expect(ran(workflow).machines).not.toContain('maintenance-window');
    });
  });

  test('window: always, the default, applies marked files in the window', async () => {
    const { workflow } = await open('always', { '0002_note': ONLINE });

    const { report } = await workflow.deploy();

    expect(report.services.every(({ status }) => status === 'started')).toBe(true);
    expect(report.migrations).toMatchObject({ applied: ['0002_note'], appliedOnline: [] });
    expect(report.window).toBe('always');
  });
});

import type { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../lib/local/embedded-postgres.ts';
import { connect, createDatabase, type TestDatabase } from '../support/database.ts';
import { onEachMajor } from '../support/servers.ts';
import { waitForLogLine, waitForRows, waitForTableLockRequest, waitUntil } from '../support/waits.ts';
import { openTestWorkflow, type TestWorkflow, type TestWorkflowOptions } from '../support/workflow.ts';

const MIGRATIONS = {
  '0001_new': 'create table fresh (id int);',
  '0002_column': '-- takes ACCESS EXCLUSIVE\n\nalter table events add column path text;',
};

onEachMajor('locks that a migration waits for', (major) => {
  let server: EmbeddedPostgres;
  let database: TestDatabase;
  let workflow: TestWorkflow | undefined;
  let sessions: Client[];

  beforeAll(async () => {
    server = await startEmbeddedPostgres({
      major,
      settings: { fsync: 'off', max_prepared_transactions: '5' },
    });
  });
  afterAll(async () => await server?.stop('immediate'));
  beforeEach(async () => {
    sessions = [];
    database = await createDatabase({ adminUrl: server.url() });
    await database.query('create table events (id int); insert into events values (1)');
  });
  afterEach(async () => {
    await Promise.all(sessions.map((client) => client.end()));
    await workflow?.close();
    await database.drop();
  });

  async function open(options: Partial<TestWorkflowOptions>): Promise<TestWorkflow> {
    workflow = await openTestWorkflow({
      ...{ databaseUrl: database.url, services: 'none', indexes: [], migrations: MIGRATIONS },
      ...options,
    });
    return workflow;
  }

  async function session(application: string): Promise<Client> {
    const client = await connect(database.url, application);
    sessions.push(client);
    return client;
  }

  /** A transaction that has read the table and stays open. */
  async function openReader(): Promise<Client> {
    const reader = await session('the long report');
    await reader.query('begin; select from events');
    return reader;
  }

  const pidOf = async (client: Client) => (await client.query('select pg_backend_pid() as pid')).rows[0].pid;

  /** What the migrations have changed. */
  async function changes() {
    const [found] = await database.query(
      `select to_regclass('fresh') is not null as fresh,
              exists (select from pg_attribute where attrelid = 'events'::regclass and attname = 'path') as path`,
    );
    const history = await database.query("select to_regclass('pgmigrations') as history");
    return {
      ...found,
      applied:
        history[0]?.history === null
          ? []
          : (await database.query('select name from pgmigrations order by id')).map((row) => row.name),
    };
  }

  test('let the queries behind it through after the lock timeout, and another attempt applies all files', async () => {
    const reader = await openReader();
    const visitor = await session('a visitor');
    const visitorPid = await pidOf(visitor);
    const { deploy, log } = await open({ migrationLimits: { lockTimeoutSeconds: 10, attempts: 20 } });
    const ended = deploy();
    let hasWaited = false;
    let visit = visitor.query('select');
    // On a busy machine an attempt may end before the visitor waits behind it. Then the next one is used.
    while (!hasWaited) {
      await waitForTableLockRequest(database, 'events');
      let isDone = false;
      visit = visitor.query('select count(*)::int as rows from events');
      visit.finally(() => {
        isDone = true;
      });
      await waitUntil('the visitor waits, or has its answer', async () => {
        const waiting = await database.query('select from pg_locks where pid = $1 and not granted', [
          visitorPid,
        ]);
        hasWaited = waiting.length > 0;
        return hasWaited || isDone;
      });
      await visit;
    }

    // The reader still holds its lock, and the deploy continues: only the lock timeout lets the visitor through.
    expect((await visit).rows).toEqual([{ rows: 1 }]);
    expect(await changes()).toEqual({ fresh: false, path: false, applied: [] });
    await waitForLogLine({ log }, 'The whole transaction is retried.');
    await reader.query('commit');

    const { status, report } = await ended;

    expect({ status, failure: report.failure }).toEqual({ status: 'SUCCEEDED', failure: null });
    expect(report.migrations).toMatchObject({ applied: ['0001_new', '0002_column'], failure: null });
    expect(await changes()).toEqual({ fresh: true, path: true, applied: ['0001_new', '0002_column'] });
  });

  test.each([
    ['start', { api: 2, worker: 1 }],
    ['leave-stopped', { api: 0, worker: 0 }],
  ] as const)(
    'are reported after the last attempt with file, line, blockers and what to do; services: %s',
    async (onMigrationFailure, running) => {
      const reader = await openReader();
      const pid = await pidOf(reader);
      const opened = await open({
        services: 'demo',
        migrationLimits: { lockTimeoutSeconds: 4, attempts: 2 },
        environment: { onMigrationFailure },
      });

      const { status, cause, report } = await opened.deploy();

      const blocker = `pid ${pid} \\(the long report, idle in transaction, transaction open for \\d+ s\\)`;
      const message = new RegExp(
        `^Migration 0002_column\\.sql, line 3, failed, and no migration was applied: alter table events add column path text: canceling statement due to lock timeout \\(SQLSTATE 55P03\\)\\. Blocked by ${blocker}\\. This was attempt 2 of 2\\.$`,
      );
      expect(status).toBe('FAILED');
      expect(cause).toMatch(message);
      expect(report.migrations).toMatchObject({
        ...{ outcome: 'failed', applied: [], pending: ['0001_new', '0002_column'] },
        failure: {
          ...{ file: '0002_column', line: 3, statement: 'alter table events add column path text' },
          ...{ sqlstate: '55P03', message: expect.stringMatching(message) },
          blockedBy: expect.stringMatching(new RegExp(`^${blocker}$`)),
          next: [
            'Wait until the sessions that block it have ended, or end them: select pg_terminate_backend(PID); (a prepared transaction as the status above says). Then start the deploy again with the input {}. To wait longer for locks, raise migrations.attempts or migrations.lockTimeoutSeconds.',
          ],
        },
      });
      expect(opened.alerts.at(-1)?.Message).toContain('or end them: select pg_terminate_backend(PID);');
      expect(opened.running()).toEqual(running);
      expect(await changes()).toMatchObject({ fresh: false, path: false, applied: [] });
    },
  );

  test('are reported with unknown blockers if the role has only one connection', async () => {
    const role = `migrator_of_${database.name}`;
    await database.query(
      `create role ${role} login password 'migrator' connection limit 1; alter table events owner to ${role};
       grant create on database ${database.name} to ${role}; grant create on schema public to ${role}`,
    );
    const reader = await openReader();
    try {
      const { deploy } = await open({
        databaseUrl: Object.assign(new URL(database.url), { username: role, password: 'migrator' }).href,
        migrationLimits: { lockTimeoutSeconds: 3, attempts: 1 },
      });

      const { report } = await deploy();

      expect(report.migrations.failure).toMatchObject({
        ...{ file: '0002_column', sqlstate: '55P03', blockedBy: null },
        message: expect.stringContaining(
          `The blocking sessions are unknown, because the second connection, which reads them, failed: The database cannot be reached: too many connections for role "${role}"`,
        ),
      });
      await reader.query('commit');
      expect((await deploy()).report.migrations).toMatchObject({ applied: ['0001_new', '0002_column'] });
    } finally {
      await database.query(`drop owned by ${role} cascade; drop role ${role}`);
    }
  });

  test('name a prepared transaction and how to end it', async () => {
    const coordinator = await session('the coordinator');
    await coordinator.query("begin; select from events; prepare transaction 'order-17'");
    const { deploy } = await open({ migrationLimits: { lockTimeoutSeconds: 4, attempts: 1 } });
    try {
      const { report } = await deploy();

      expect(report.migrations.failure).toMatchObject({
        sqlstate: '55P03',
        blockedBy: expect.stringContaining("prepared transaction 'order-17' (owner postgres,"),
        message: expect.stringContaining("or ROLLBACK PREPARED 'order-17' in that database"),
      });
    } finally {
      await coordinator.query("rollback prepared 'order-17'");
    }
  });

  test('that end in a deadlock are retried with the whole transaction', async () => {
    await database.query('create table gate (id int); create table other (id int)');
    const gate = await session('the gate');
    await gate.query('begin; lock table gate');
    const rival = await session('the rival');
    // The migration detects the deadlock, not the rival.
    await rival.query("set deadlock_timeout = '10min'; begin; lock table other");
    const rivalPid = await pidOf(rival);
    const { deploy, log } = await open({
      migrations: {
        '0001_locks': `insert into events values (2); lock table events; lock table gate; lock table other;`,
      },
      migrationLimits: { lockTimeoutSeconds: 600, attempts: 20 },
    });
    const ended = deploy();
    await waitForTableLockRequest(database, 'gate');
    const rivalLocks = rival.query('lock table events');
    await waitForRows(database, 'select from pg_locks where pid = $1 and not granted', [rivalPid]);
    await gate.query('commit');
    await rivalLocks;
    await rival.query('commit');

    const { report } = await ended;

    expect(report.migrations).toMatchObject({ applied: ['0001_locks'], failure: null });
    expect(await database.query('select count(*)::int as rows from events where id = 2')).toEqual([
      { rows: 1 },
    ]);
    await waitForLogLine({ log }, 'deadlock detected');
  });
});

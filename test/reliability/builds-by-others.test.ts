import { readFileSync } from 'node:fs';
import type { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { databaseOf, withClient } from '../../lambdas/postgres/client.ts';
import { probeTableLock } from '../../lambdas/postgres/table-lock.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../lib/local/embedded-postgres.ts';
import { openBuilds } from '../support/builds.ts';
import { connect, createDatabase, type TestDatabase } from '../support/database.ts';
import { readLedger } from '../support/ledger.ts';
import { expectNoLeftovers } from '../support/leftovers.ts';
import { MAJORS } from '../support/servers.ts';
import { waitForBuildPhase, waitForLogLine, waitForRows, waitForTableLockRequest } from '../support/waits.ts';

const BOOKS_N = { name: 'books_n', sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS books_n ON books (n)' };
const SETTINGS = { waitSeconds: 1 };

describe.each(MAJORS)('builds by other sessions, PostgreSQL %i', (major) => {
  let server: EmbeddedPostgres;
  let database: TestDatabase;
  let sessions: Client[];

  beforeAll(async () => {
    server = await startEmbeddedPostgres({ major, settings: { fsync: 'off' } });
  });
  afterAll(async () => await server?.stop('immediate'));
  beforeEach(async () => {
    sessions = [];
    database = await createDatabase({ adminUrl: server.url() });
    await database.query('create table books (n int); insert into books select generate_series(1, 10000)');
  });
  afterEach(async () => {
    await Promise.all(sessions.map(async (session) => await session.end()));
    await expectNoLeftovers(async (sql) => await database.query(sql));
    await database.drop();
  });

  async function session(application: string): Promise<Client> {
    const client = await connect(database.url, application);
    sessions.push(client);
    return client;
  }
  const deadlocks = () =>
    readFileSync(server.logFile, 'utf8')
      .split('\n')
      .filter((line) => line.includes('deadlock detected') && line.includes(database.name));

  test.each([
    ['the same index', 'books_n', 'n', { status: 'present', attempts: 0 }],
    ['another index of the table', 'books_by_hand', 'n desc', { status: 'built', attempts: 1 }],
  ])(
    'the deploy waits for a DBA who builds %s by hand, and then its index is there',
    async (_, name, key, report) => {
      const writer = await session('writer');
      await writer.query('begin; insert into books values (0)');
      const dba = await session('dba');
      const byHand = dba.query(`create index concurrently ${name} on books (${key})`).then(() => 'built');
      await waitForBuildPhase(database, 'books', 'waiting for writers before build');
      const builds = await openBuilds(database.url, [BOOKS_N], SETTINGS);

      const deploy = builds.deploy('first');
      await waitForLogLine(builds, 'Still building.');
      await writer.query('commit');

      expect(await byHand).toBe('built');
      expect((await deploy).books_n).toMatchObject(report);
      expect(deadlocks()).toEqual([]);
    },
  );

  test("an attempt to lock the table never ends another session's build, however long it waits", async () => {
    const writer = await session('writer');
    await writer.query('begin; insert into books values (0)');
    const dba = await session('dba');
    const byHand = dba.query('create index concurrently books_by_hand on books (n desc)').then(() => 'built');
    await waitForBuildPhase(database, 'books', 'waiting for writers before build');

    const attempt = withClient(databaseOf({ DATABASE_URL: database.url }), 'try', async (client) => {
      await probeTableLock(client, { schema: 'public', table: 'books' }, 60);
    });
    await waitForTableLockRequest(database, 'books');
    // After deadlock_timeout: its session does not check for a deadlock again while it waits for the writer.
    await waitForRows(
      database,
      `select from pg_stat_activity
        where datname = current_database() and application_name = 'dba' and query_start < clock_timestamp() - interval '4 seconds'`,
    );
    await writer.query('commit');

    expect(await byHand).toBe('built');
    await attempt;
  });

  test('if a DBA starts a build on the table during a build, the deadlock ends the build of the deploy, which is repeated', async () => {
    // Prepare: the DBA's statement waits for the table, and has a snapshot that the build must wait for in turn.
    const writer = await session('writer');
    await writer.query('begin; insert into books values (0)');
    const builds = await openBuilds(database.url, [BOOKS_N]);
    const deploy = builds.deploy('first');
    await waitForBuildPhase(database, 'books', 'waiting for writers before build');
    const dba = await session('dba');
    const byHand = dba.query('create index concurrently books_by_hand on books (n desc)').then(() => 'built');
    // After deadlock_timeout, so that the DBA's session does not detect the deadlock.
    await waitForRows(
      database,
      `select from pg_stat_activity where datname = current_database() and application_name = 'dba' and wait_event_type = 'Lock'
          and query_start < clock_timestamp() - interval '2 seconds'`,
    );

    // Act
    await writer.query('commit');

    // Assess
    expect(await byHand).toBe('built');
    expect((await deploy).books_n).toMatchObject({ status: 'repaired', attempts: 2 });
    expect(await readLedger(database, 'books_n')).toMatchObject([
      { status: 'retrying', sqlstate: '40P01' },
      { status: 'repaired', sqlstate: null },
    ]);
    expect(deadlocks()).toHaveLength(1);
  });
});

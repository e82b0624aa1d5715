import type { Client } from 'pg';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  indexLock,
  LEDGER_LOCK,
  MIGRATION_LOCK,
  partitionTreeLock,
  RUN_LOCK,
  tableLock,
} from '../../lambdas/postgres/advisory-lock.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../lib/local/embedded-postgres.ts';
import { type OtherRun, RunLock } from '../../lib/local/run-lock.ts';
import { openBuilds } from '../support/builds.ts';
import { connect, createDatabase, type TestDatabase } from '../support/database.ts';
import { readLedger } from '../support/ledger.ts';
import { openPreflight } from '../support/open-preflight.ts';
import { onEachMajor } from '../support/servers.ts';
import { waitForBuildPhase, waitForLogLine, waitForRows } from '../support/waits.ts';
import { openTestWorkflow } from '../support/workflow.ts';

const BOOKS_N = {
  name: 'books_n',
  sql: 'create index concurrently if not exists books_n on books (n)',
  critical: true,
  description: 'of a plain table',
};
const VISITS_AT = {
  name: 'visits_at',
  sql: 'create index concurrently if not exists visits_at on visits (at)',
  description: 'of a table with two levels of partitions',
};
const INDEXES = [BOOKS_N, VISITS_AT];
const TABLES = `
  create table books (n int); insert into books select generate_series(1, 1000);
  create table visits (at int) partition by range (at);
  create table visits_low partition of visits for values from (0) to (10) partition by range (at);
  create table visits_0 partition of visits_low for values from (0) to (5);
  create table visits_9 partition of visits for values from (10) to (20)`;

const named = (name: string) => ({ schema: 'public', name });
const table = (name: string) => ({ schema: 'public', table: name });

/** The keys of all locks of a deploy of INDEXES. */
const KEYS = [
  ...[MIGRATION_LOCK, RUN_LOCK, LEDGER_LOCK],
  ...['books_n', 'visits_at'].flatMap((name) => [indexLock(named(name)), partitionTreeLock(named(name))]),
  ...['books', 'visits', 'visits_0', 'visits_9'].map((name) => tableLock(table(name))),
];

onEachMajor('advisory locks held by a weaker role', (major) => {
  let server: EmbeddedPostgres;
  let database: TestDatabase;
  let app: string;
  let sessions: Client[];

  beforeAll(async () => {
    server = await startEmbeddedPostgres({
      major,
      settings: { fsync: 'off', max_prepared_transactions: '5' },
    });
    return async () => await server.stop('immediate');
  });
  beforeEach(async () => {
    sessions = [];
    database = await createDatabase({ adminUrl: server.url() });
    app = `app_${database.name}`;
    await database.query(`${TABLES}; create role ${app} login password 'app'`);
  });
  afterEach(async () => {
    await Promise.all(sessions.map((session) => session.end().catch(() => undefined)));
    await database.drop();
  });

  async function open(application = 'shop', role = app): Promise<Client> {
    const url = new URL(database.url);
    url.username = role;
    url.password = role === app ? 'app' : 'postgres';
    const session = await connect(role === app ? url.href : database.url, application);
    sessions.push(session);
    return session;
  }

  /** Locks all keys, and those that earlier versions used. */
  async function lockAll(
    session: Client,
    scope: '' | '_xact' = '',
    mode: '' | '_shared' = '',
  ): Promise<void> {
    await session.query(`select pg_advisory${scope}_lock${mode}(key) from unnest($1::bigint[]) key`, [KEYS]);
    await session.query(
      `select pg_advisory${scope}_lock${mode}(hashtext(name)) from unnest($1::text[]) name`,
      [['pg-deploy-step ledger', 'pg-deploy-step skeleton visits_at']],
    );
  }
  const pidOf = async (session: Client) =>
    (await session.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]?.pid;

  test.each([
    ['a session', '', ''],
    ['a session that shares them', '', '_shared'],
    ['an open transaction', '_xact', ''],
  ] as const)('%s that holds all of them delays no deploy, and is named', async (_, scope, mode) => {
    const session = await open('pg-deploy-step build books_n');
    if (scope === '_xact') await session.query('begin');
    await lockAll(session, scope, mode);
    // A statement with parameters keeps its snapshot until the next statement, and a build waits for snapshots.
    await session.query('select');
    const workflow = await openTestWorkflow({
      ...{ databaseUrl: database.url, indexes: INDEXES, services: 'none' },
      migrations: { '0001_more': 'alter table books add column title text' },
    });

    const { status, cause, report } = await workflow.deploy();
    await workflow.close();

    expect({ status, cause }).toEqual({ status: 'SUCCEEDED', cause: undefined });
    expect(report.indexes.map((index) => [index.name, index.status, index.attempts])).toEqual([
      ['books_n', 'built', 1],
      ['visits_at', 'built', 1],
    ]);
    expect(report.migrations).toMatchObject({ applied: ['0001_more'], pending: [] });
    const pid = await pidOf(session);
    expect(report.warnings).toEqual([
      expect.stringMatching(
        new RegExp(
          `^pid ${pid} \\(role "${app}", application "pg-deploy-step build books_n"\\) holds advisory locks that deploys use: .*` +
            `Its role is not trusted, so the deploy ignores the locks\\..*select pg_terminate_backend\\(${pid}\\);.*` +
            `REVOKE CONNECT ON DATABASE "${database.name}" FROM PUBLIC, "${app}";$`,
        ),
      ),
    ]);
  });

  test('a prepared transaction that holds all of them delays no deploy, and is named with how to end it', async () => {
    const session = await open();
    await session.query('begin');
    await lockAll(session, '_xact');
    await session.query("prepare transaction 'x''y'");
    const builds = await openBuilds(database.url, INDEXES);
    const { preflight } = await openPreflight(database.url, INDEXES);

    const { decision, warnings } = await preflight();
    const report = await builds.deploy('first');
    await session.query("rollback prepared 'x''y'");

    expect(decision).toBe('deploy');
    expect(warnings).toEqual([expect.stringContaining("ROLLBACK PREPARED 'x''y'")]);
    expect(Object.values(report)).toMatchObject([{ status: 'built' }, { status: 'built' }]);
  });

  test('a detached build is monitored while a weaker role holds the locks, and its table has one build at a time', async () => {
    const squatter = await open();
    await lockAll(squatter);
    const writer = await open('writer', 'postgres');
    await writer.query('begin; insert into books values (0)');
    const more = { ...BOOKS_N, name: 'books_more', sql: BOOKS_N.sql.replaceAll('books_n', 'books_more') };
    const builds = await openBuilds(database.url, [BOOKS_N, more], { waitSeconds: 0.1 });
    const deploy = builds.deploy('first');
    await waitForLogLine(builds, 'Still building.');
    const other = await openBuilds(database.url, [more, BOOKS_N], { waitSeconds: 0.1 });
    const second = other.deploy('second');
    await waitForLogLine(other, 'Another session works on the index or its table.');

    await writer.query('commit');
    const reports = [...Object.values(await deploy), ...Object.values(await second)];

    expect(reports.every(({ status }) => status === 'built' || status === 'present')).toBe(true);
    const attempts = [
      ...(await readLedger(database, 'books_n')),
      ...(await readLedger(database, 'books_more')),
    ];
    expect(attempts.filter(({ sqlstate }) => sqlstate !== null)).toEqual([]);
    expect(await database.query('select from pg_index where not indisvalid')).toEqual([]);
  });

  test('a session that waits in SQL for the lock of a build ends at most one attempt', async () => {
    const writer = await open('writer', 'postgres');
    await writer.query('begin; insert into books values (0)');
    const builds = await openBuilds(database.url, [BOOKS_N]);
    const deploy = builds.deploy('first');
    await waitForBuildPhase(database, 'books', 'waiting for writers before build');
    const waiting = await open();
    // The server ends one of the two statements, whichever detects the deadlock.
    const lock = waiting
      .query(`select pg_advisory_lock(${indexLock(named('books_n'))})`)
      .catch((error) => expect(error.code).toBe('40P01'));
    await waitForRows(
      database,
      "select from pg_locks join pg_stat_activity using (pid) where datname = current_database() and locktype = 'advisory' and not granted",
    );

    await writer.query('commit');

    expect((await deploy).books_n).toMatchObject({ error: null });
    await lock;
    const [first, ...others] = await readLedger(database, 'books_n');
    expect(others.length).toBeLessThanOrEqual(1);
    if (others.length > 0) expect(first).toMatchObject({ status: 'retrying', sqlstate: '40P01' });
  });

  test('a session that holds the lock of a build on a table, and builds on its own table, is no build on that table', async () => {
    await database.query(`grant select, update on books to ${app}; create schema mine authorization ${app}`);
    const session = await open();
    await session.query('create table mine.own (n int); insert into mine.own values (1)');
    await session.query(
      "create function mine.wait(n int) returns int immutable language plpgsql as 'begin perform pg_sleep(3600); return n; end'",
    );
    await session.query('begin; lock table books in share update exclusive mode');
    const building = session.query('create index on mine.own (mine.wait(n))').catch(() => undefined);
    await waitForBuildPhase(database, 'mine.own', 'building index');
    const builds = await openBuilds(database.url, [BOOKS_N]);

    const report = await builds.deploy('first');

    expect(report.books_n).toMatchObject({
      status: 'failed',
      error: { sqlstate: '55P03', message: expect.stringContaining(`pid ${await pidIn(session)}`) },
    });
    await database.query('select pg_terminate_backend($1)', [await pidIn(session)]);
    await building;
  });

  /** Of a session that is busy. */
  async function pidIn(session: Client): Promise<number> {
    return Number('processID' in session ? session.processID : 0);
  }

  test('a run of the command line ignores a weaker role that has the lock and the name of another run', async () => {
    const session = await open('pg-deploy-step run 20261121T101010Z 4711 root@build-7');
    await lockAll(session);
    const taken: OtherRun[] = [];
    const openLock = async () =>
      await RunLock.open({ databaseUrl: database.deployUrl, onTaken: (by) => taken.push(by) });

    const lock = await openLock();

    expect(lock.other).toBeNull();
    expect(await lock.check()).toBeNull();
    expect(lock.ignored).toEqual([expect.stringContaining(`role "${app}"`)]);
    // Runs exclude each other all the same.
    const second = await openLock();
    expect(second.other?.name).toContain(`process ${process.pid} of `);
    await second[Symbol.asyncDispose]();
    await lock[Symbol.asyncDispose]();
    expect(taken).toEqual([]);
  });

  test('relations of a weaker role with the temporary names of an index are ignored', async () => {
    const names = await temporaryNames();
    await database.query(`grant create on schema public to ${app}`);
    const session = await open();
    await session.query('create table own (n int)');
    await session.query(`create table "${names.dead}" (n int)`);
    await session.query(
      `create index "${names.dead}_1" on own (n); create view "${names.replacement}_1" as select 1`,
    );
    await database.query('insert into books values (1)');
    const builds = await openBuilds(database.url, [
      { ...BOOKS_N, sql: BOOKS_N.sql.replace('create index', 'create unique index') },
    ]);
    // An invalid index must be renamed and dropped.
    await database
      .query('create unique index concurrently books_n on books (n)')
      .catch((error) => expect(error.code).toBe('23505'));
    await database.query('delete from books where ctid in (select max(ctid) from books where n = 1)');

    expect((await builds.deploy('first')).books_n).toMatchObject({ status: 'repaired', attempts: 1 });

    const { preflight } = await openPreflight(database.url, [BOOKS_N]);
    expect(await preflight({ mode: 'deploy' })).toMatchObject({ refusal: null });
    expect((await builds.examine()).books_n).toMatchObject({ state: 'present', hasLeftover: false });
    expect(
      await database.query(
        'select count(*)::int as kept from pg_class where relowner = $1::regrole and relkind <> $2',
        [app, 'c'],
      ),
    ).toEqual([{ kept: 4 }]);
  });

  async function temporaryNames() {
    const { deadName, replacementPrefix } = await import('../../lambdas/postgres/index-names.ts');
    return { dead: deadName(named('books_n')), replacement: replacementPrefix(named('books_n')) };
  }
});

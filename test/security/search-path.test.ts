import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { databaseOf, withClient } from '../../lambdas/postgres/client.ts';
import { DEFAULT_LIMITS } from '../../lib/doctor/options.ts';
import { readDatabase } from '../../lib/doctor/read-database.ts';
import { importDatabase } from '../../lib/import/import-database.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../lib/local/embedded-postgres.ts';
import { RunLock } from '../../lib/local/run-lock.ts';
import { watchBuilds } from '../../lib/local/watch-builds.ts';
import { compileRegistry } from '../../lib/registry/compile-registry.ts';
import { connect, createDatabase, type TestDatabase } from '../support/database.ts';
import { openFakePooler } from '../support/fake-pooler.ts';
import { openPreflight } from '../support/open-preflight.ts';
import { type ServerLog, serverLog } from '../support/server-log.ts';
import { MAJORS } from '../support/servers.ts';
import { waitForBuildPhase } from '../support/waits.ts';
import { openTestWorkflow } from '../support/workflow.ts';
import { CREATE_OVERLOADS, CREATE_SAME_SIGNATURES, EXECUTED } from './hostile-overloads.ts';

/** The tables of the deploy role, in every state that a deploy examines or repairs. Each definition matches pg_catalog exactly. */
const TABLES = `
  create table events (id int primary key, kind text, day date);
  insert into events values (1, 'a', '2026-01-01'), (2, 'a', '2026-01-02');
  create index drifted on events (id);
  create index replaced on events (id) with (fillfactor = 50);
  comment on index replaced is 'kept';
  cluster events using replaced;
  create index other_name on events (day);
  create table measurements (at int, value text) partition by range (at);
  create table measurements_1 partition of measurements for values from (0) to (10);
  create table measurements_2 partition of measurements for values from (10) to (20);
  create table locked (id int);
  create table broken (id int);
  create index leftover on broken (id)`;

const INDEXES = [
  { name: 'on_kind', definition: 'on events (kind)', critical: true },
  { name: 'on_expression', definition: 'on events ((kind is null))' },
  // It is not built, because public has functions of another role with the name.
  { name: 'on_lower', definition: 'on events (lower(kind))' },
  { name: 'drifted', definition: 'on events (kind, id)' },
  { name: 'replaced', definition: 'on events (id, day)', onDrift: 'rebuild' as const },
  { name: 'same', definition: 'on events (day)' },
  { name: 'on_at', definition: 'on measurements (at)' },
  { name: 'on_locked', definition: 'on locked (id)' },
  { name: 'leftover', definition: 'on broken (id)' },
  { name: 'duplicates', definition: 'on events (kind)', unique: true },
].map(({ definition, unique, ...entry }) => ({
  ...entry,
  sql: `create ${unique === true ? 'unique ' : ''}index concurrently if not exists ${entry.name} ${definition}`,
  description: 'of a test',
}));

describe.each(MAJORS)('on PostgreSQL %i, functions and operators of a weaker role', (major) => {
  let server: EmbeddedPostgres;
  let template: TestDatabase;
  let database: TestDatabase;
  let log: ServerLog;

  const urlOf = (role: string) =>
    Object.assign(new URL(database.url), { username: role, password: role }).href;
  /** The overloads that ran since the test began, with the role that ran them. */
  const executed = () => [
    ...new Set(log.lines().flatMap(({ text }) => (text.startsWith(`LOG:  ${EXECUTED}`) ? [text] : []))),
  ];

  beforeAll(async () => {
    server = await startEmbeddedPostgres({
      major,
      settings: { fsync: 'off', log_line_prefix: '%m [%p] ', log_error_verbosity: 'terse' },
    });
    template = await createDatabase({ adminUrl: server.url() });
    await template.query(
      `create role app login password 'app'; create role deploy login password 'deploy';
       grant create on schema public to app, deploy; grant pg_read_all_stats to deploy; set role deploy; ${TABLES}`,
    );
    await template.query(`update pg_index set indisvalid = false where indexrelid = 'leftover'::regclass`);
    await template.query(`set role app; ${CREATE_OVERLOADS}`);
    // The tests themselves do not run them.
    await template.query('alter role postgres set search_path = pg_catalog');
  });
  afterAll(async () => {
    await server?.stop('immediate');
  });

  beforeEach(async () => {
    database = await createDatabase({ adminUrl: server.url(), template: template.name });
    await database.query(`grant create on database ${database.name} to deploy`);
    // It would run them when a migration creates a table: see deploy-role.ts.
    await database.query('drop event trigger test_owner');
    log = serverLog(server.logFile);
  });
  afterEach(async () => {
    await database.drop();
  });

  async function openDeploy(migrations: Record<string, string> = {}, indexes = INDEXES) {
    return await openTestWorkflow({
      databaseUrl: urlOf('deploy'),
      services: 'none',
      indexes,
      migrations,
      builds: { attempts: 1 },
      environment: { drain: { roles: ['app'], applicationNames: ['batch %'], seconds: 1 } },
    });
  }

  test('run in an ordinary session of the deploy role, so the attack would work', async () => {
    const session = await connect(urlOf('deploy'));
    try {
      await session.query("select starts_with(relname, 'x'::text) from pg_class limit 1");
      await session.query("select count(*) from pg_class where oid = 'pg_class'::regclass");
    } finally {
      await session.end();
    }
    expect(executed()).toEqual([
      `LOG:  ${EXECUTED} deploy: starts_with`,
      `LOG:  ${EXECUTED} deploy: operator =`,
    ]);
  });

  test('do not run in a whole deploy: not in mode plan, and not when builds or migrations fail or wait', async () => {
    const workflow = await openDeploy({
      '0001_table': 'create table orders (id int); create index on orders (id);',
      '0002_rows': 'insert into orders values (1), (2);',
    });
    const blocker = await connect(database.url, 'a report');
    try {
      const plan = await workflow.deploy({ mode: 'plan' });
      await blocker.query('begin; lock table public.locked in share mode');
      const deploy = await workflow.deploy();
      await blocker.query('rollback');
      const rest = await workflow.deploy({ mode: 'indexes' });

      expect(executed()).toEqual([]);
      const statuses = ({ report }: typeof deploy) =>
        Object.fromEntries(report.indexes.map(({ name, status }) => [name, status]));
      const wanted = {
        ...{ on_kind: 'built', on_expression: 'built', on_lower: 'failed' },
        ...{ drifted: 'drifted', replaced: 'built', same: 'equivalent' },
      };
      expect(statuses(plan)).toMatchObject({ on_kind: 'missing', same: 'equivalent', drifted: 'drifted' });
      expect(statuses(deploy)).toEqual({
        ...wanted,
        on_at: 'built',
        leftover: 'repaired',
        on_locked: 'failed',
        duplicates: 'failed',
      });
      expect(statuses(rest)).toMatchObject({ on_kind: 'present', on_locked: 'built', duplicates: 'failed' });
      expect(deploy.report.migrations.applied).toEqual(['0001_table', '0002_rows']);
    } finally {
      await blocker.end();
      await workflow.close();
    }
    const failing = await openDeploy({
      '0001_table': 'create table orders (id int); create index on orders (id);',
      '0002_rows': 'insert into orders values (1), (2);',
      '0003_fails': 'create table invoices (id int); insert into missing values (1);',
    });
    const waiting = await connect(urlOf('app'), 'batch 1');
    try {
      const drained = await failing.deploy();
      await waiting.end();
      const failed = await failing.deploy();

      expect(executed()).toEqual([]);
      expect(drained.cause).toContain('batch 1');
      expect(failed.report.migrations.failure).toMatchObject({ file: '0003_fails', sqlstate: '42P01' });
    } finally {
      await waiting.end();
      await failing.close();
    }
  });

  test('do not run in the commands beside the deploy: import, doctor, the lock of a run, the display of builds', async () => {
    const databaseUrl = urlOf('deploy');
    const imported = await importDatabase(databaseUrl);
    await using lock = await RunLock.open({ databaseUrl, onTaken: () => undefined });
    await using other = await RunLock.open({ databaseUrl, onTaken: () => undefined });
    const reader = await connect(database.url);
    const builder = await connect(database.url);
    const builds = watchBuilds(databaseUrl);
    try {
      await reader.query('begin isolation level repeatable read; select from pg_catalog.pg_class limit 1');
      const built = builder.query('create index concurrently by_hand on public.events (kind)');
      built.catch(() => {});
      await waitForBuildPhase(database, 'public.events', 'waiting for old snapshots');
      const seen = await builds.read();
      const live = await readDatabase({
        database: { url: databaseUrl, name: 'The database' },
        replicas: [{ url: databaseUrl, name: 'replica 1' }],
        registry: { compiled: await compileRegistry(INDEXES, 'indexes.json'), accepted: new Map() },
        limits: DEFAULT_LIMITS,
      });
      await reader.query('commit');
      await built;

      expect(executed()).toEqual([]);
      expect(live.registry?.examined.find(({ index }) => index.name === 'drifted')?.state).toBe('drifted');
      expect(imported.entries.map(({ name }) => name)).toContain('other_name');
      expect([lock.other, other.other?.name]).toEqual([null, expect.stringContaining('process')]);
      expect(seen).toMatchObject([
        { table: 'events', index: 'by_hand', waitsFor: expect.stringContaining('test') },
      ]);
    } finally {
      await builds.close();
      await reader.end();
      await builder.end();
    }
  });

  test('do not run before the session has its search path, also if public comes before pg_catalog for the deploy role', async () => {
    await database.query(`set role app; ${CREATE_SAME_SIGNATURES}`);
    await database.query('alter role deploy set search_path = public, pg_catalog');
    log = serverLog(server.logFile);
    const plain = INDEXES.filter(({ name }) => name === 'on_at' || name === 'on_locked');
    const workflow = await openDeploy({ '0001_table': 'create table public.orders (id int)' }, plain);
    try {
      const plan = await workflow.deploy({ mode: 'plan' });
      const deploy = await workflow.deploy();
      const imported = await importDatabase(urlOf('deploy'));
      await using lock = await RunLock.open({ databaseUrl: urlOf('deploy'), onTaken: () => undefined });

      expect(executed()).toEqual([]);
      expect(plan.report.indexes.map(({ status }) => status)).toEqual(['missing', 'missing']);
      expect(deploy).toMatchObject({
        status: 'SUCCEEDED',
        report: { migrations: { applied: ['0001_table'] } },
      });
      expect(deploy.report.indexes.map(({ status }) => status)).toEqual(['built', 'built']);
      expect([imported.entries.length > 0, lock.other]).toEqual([true, null]);
    } finally {
      await workflow.close();
      await database.query('alter role deploy reset search_path');
    }
  });

  test('do not run through a connection pooler, whose sessions keep their settings', async () => {
    const direct = urlOf('deploy');
    const pooler = await openFakePooler(direct);
    try {
      const { preflight } = await openPreflight(pooler.url, []);
      const answer = await preflight({ mode: 'plan' });
      const imported = await importDatabase(pooler.url);
      const builds = watchBuilds(pooler.url);
      expect(await builds.read()).toEqual([]);
      await builds.close();
      await using lock = await RunLock.open({ databaseUrl: pooler.url, onTaken: () => undefined });
      const path = await withClient(
        databaseOf({ DATABASE_URL: pooler.url, SEARCH_PATH: ['public'] }),
        'test',
        async (client) => (await client.query('show search_path')).rows,
      );

      expect(executed()).toEqual([]);
      expect(answer).toMatchObject({ refusal: expect.stringContaining('goes through a connection pooler') });
      expect(imported.entries.map(({ name }) => name)).toContain('other_name');
      expect(lock.notPossible).toBe('the connection goes through a pooler');
      expect(path).toEqual([{ search_path: '"$user", public' }]);
    } finally {
      pooler.close();
    }
  });

  test('are not in the search path of any session of the product', async () => {
    await database.query('alter role deploy set search_path = \'"$user"\', public');
    const path = await withClient(
      databaseOf({ DATABASE_URL: urlOf('deploy') }),
      'test',
      async (client) => (await client.query('show search_path')).rows,
    );
    expect(path).toEqual([{ search_path: 'pg_catalog, pg_temp' }]);
  });
});

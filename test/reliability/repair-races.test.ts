import type { Client } from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openBuilds } from '../support/builds.ts';
import { connect, type TestDatabase } from '../support/database.ts';
import { readLedger, waitForLedger } from '../support/ledger.ts';
import { expectNoLeftovers } from '../support/leftovers.ts';
import { repairIndex } from '../support/repairs.ts';
import { onEachMajor, serverOf } from '../support/servers.ts';
import { waitForBuildPhase, waitForLogLine, waitForRows, waitForTableLockRequest } from '../support/waits.ts';

const PEOPLE_KEY = {
  name: 'people_key',
  sql: 'CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS people_key ON people (n)',
};

onEachMajor('repairs during the work of other sessions', (major) => {
  const server = serverOf(major);
  let database: TestDatabase;
  let sessions: Client[];

  beforeEach(async () => {
    sessions = [];
    database = await server.createDatabase();
    await database.query('create table people (n int); insert into people select generate_series(1, 1000)');
  });
  afterEach(async () => {
    await expectNoLeftovers(async (sql) => await database.query(sql));
    await Promise.all(sessions.map(async (session) => await session.end()));
    await database.drop();
  });

  async function session(application: string): Promise<Client> {
    const client = await connect(database.url, application);
    sessions.push(client);
    return client;
  }

  test('an index that becomes valid while the repair waits for the table is not dropped', async () => {
    // Prepare: a build by hand waits for a writer, and its index is invalid.
    const writer = await session('writer');
    const dba = await session('dba');
    await writer.query('begin; insert into people values (0)');
    const byHand = dba.query(PEOPLE_KEY.sql);
    await waitForBuildPhase(database, 'people', 'waiting for writers before build');
    const { registry } = await openBuilds(database.url, [PEOPLE_KEY]);
    const [index] = registry;
    if (index === undefined) throw new Error('The registry is empty.');

    // Act
    const removed = repairIndex(database.url, index);
    removed.catch(() => {});
    await waitForTableLockRequest(database, 'people');
    await writer.query('commit');

    // Assess
    await byHand;
    expect(await removed).toBe(false);
    expect(
      await database.query("select indisvalid from pg_index where indexrelid = 'people_key'::regclass"),
    ).toEqual([{ indisvalid: true }]);
  });

  test('a drop that waits for a reader continues without its client, and the index is built when the reader has ended', async () => {
    // Prepare
    await database.query('insert into people values (1)');
    await database.query(PEOPLE_KEY.sql).catch(() => 'duplicate keys');
    await database.query('delete from people where n = 1');
    const reader = await session('reader');
    await reader.query('begin; select count(*) from people');
    const builds = await openBuilds(database.url, [PEOPLE_KEY], { waitSeconds: 1 });

    // Act
    const deploy = builds.deploy('first');
    const [waiting] = await waitForLedger(database, 'people_key', (rows) => rows[0]?.status === 'retrying');
    await reader.query('commit');

    // Assess
    expect(waiting).toMatchObject({ sqlstate: '55P03' });
    expect((await deploy).people_key).toMatchObject({ status: 'repaired', attempts: 2 });
  });

  test('the last failed attempt leaves no invalid index, even if a reader blocks the drop', async () => {
    // Prepare
    await database.query('insert into people values (1)');
    const reader = await session('reader');
    await reader.query('begin; select count(*) from people');
    const builds = await openBuilds(database.url, [PEOPLE_KEY]);

    // Act
    const reports = await builds.deploy('first');

    // Assess: the deploy has ended, and the drop waits in its session.
    expect(reports.people_key).toMatchObject({ status: 'failed', attempts: 1, error: { sqlstate: '23505' } });
    expect(
      await database.query("select from pg_class where relname like 'pg_deploy_step_dead%'"),
    ).toHaveLength(1);
    await reader.query('commit');
    await waitForRows(
      database,
      "select where not exists (select from pg_class where relname like 'pg_deploy_step_dead%')",
    );
  });

  test('the last failed attempt leaves no invalid index, even if the table is locked for some time', async () => {
    // Prepare
    await database.query('insert into people values (1)');
    const builds = await openBuilds(database.url, [PEOPLE_KEY]);
    await builds.build('first', 'people_key').catch(() => 'duplicate keys');
    const ddl = await session('a migration');
    await ddl.query('begin; lock table people in access exclusive mode');

    // Act: the table stays locked for longer than the first attempt to lock it.
    const settled = builds.settle('first', 'people_key', new Error('duplicate keys'));
    await waitForTableLockRequest(database, 'people');
    await waitForRows(
      database,
      `select from pg_stat_activity where datname = current_database() and application_name = 'a migration' and state_change < clock_timestamp() - interval '4 seconds'`,
    );
    await ddl.query('commit');

    // Assess
    expect(await settled).toMatchObject({ state: 'done', status: 'failed' });
    expect(await readLedger(database, 'people_key')).toMatchObject([
      { attempt: 1, status: 'failed', sqlstate: '23505' },
    ]);
  });

  test('duplicate keys that no client read are reported by the second attempt, which waits for its statement', async () => {
    // Prepare: the build waits for a writer, so that its error comes after its client has disconnected.
    const writer = await session('writer');
    await writer.query('begin; insert into people values (1)');
    const builds = await openBuilds(database.url, [PEOPLE_KEY], { waitSeconds: 1 });

    // Act
    const deploy = builds.deploy('first');
    await waitForLogLine(builds, 'continues without its client');
    await writer.query('commit');

    // Assess
    expect((await deploy).people_key).toMatchObject({
      status: 'failed',
      attempts: 2,
      error: { sqlstate: '23505' },
    });
    expect(await readLedger(database, 'people_key')).toMatchObject([
      { status: 'retrying', sqlstate: null },
      { status: 'failed', sqlstate: '23505' },
    ]);
    expect((await builds.deploy('second')).people_key).toMatchObject({
      status: 'failed',
      attempts: 1,
      error: { sqlstate: '23505' },
    });
  });
});

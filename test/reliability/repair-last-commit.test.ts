import type { Client } from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { inSchema } from '../../lambdas/shared/registry.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../lib/local/embedded-postgres.ts';
import { compileRegistry } from '../../lib/registry/compile-registry.ts';
import { connect, createDatabase, type TestDatabase } from '../support/database.ts';
import { expectNoLeftovers } from '../support/leftovers.ts';
import { repairIndex } from '../support/repairs.ts';
import { onEachMajor } from '../support/servers.ts';
import { waitForBuildPhase, waitForRows } from '../support/waits.ts';

const PEOPLE_N = {
  name: 'people_n',
  sql: 'create index concurrently if not exists people_n on people (n)',
  description: 'of a test',
};

/** Waits for a standby that does not exist hold commits open, after their locks on tables were released. */
onEachMajor('a repair during the last commit of a build by another session', (major) => {
  let server: EmbeddedPostgres;
  let database: TestDatabase;
  const sessions: Client[] = [];

  beforeAll(async () => {
    server = await startEmbeddedPostgres({
      major,
      settings: { fsync: 'off', wal_level: 'replica', max_wal_senders: '1' },
    });
    database = await createDatabase({ adminUrl: server.url() });
    // Only the sessions below that ask for it wait for the standby.
    await database.query(`alter database ${database.name} set synchronous_commit = local`);
    await database.query(
      'create table other (n int); create table people (n int); insert into people select generate_series(1, 1000)',
    );
  });
  afterEach(async () => {
    await Promise.all(sessions.map((session) => session.end().catch(() => undefined)));
    await expectNoLeftovers(async (sql) => await database.query(sql));
  });
  afterAll(async () => await server.stop('immediate'));

  async function session(application: string): Promise<Client> {
    const client = await connect(database.url, application);
    sessions.push(client);
    return client;
  }

  async function holdCommits(): Promise<void> {
    const canary = await session('canary');
    await canary.query('create table canary (n int); set synchronous_commit = on');
    await database.query("alter system set synchronous_standby_names = 'nobody'");
    await database.query('select pg_reload_conf()');
    // A server process reads the setting some time after the reload. A commit that waits shows that it has.
    const commits = (async () => {
      for (;;) await canary.query('insert into canary values (1)');
    })();
    commits.catch(() => undefined);
    await waitForCommit('canary');
  }

  async function waitForCommit(application: string): Promise<void> {
    await waitForRows(
      database,
      "select from pg_stat_activity where datname = current_database() and application_name = $1 and wait_event = 'SyncRep'",
      [application],
    );
  }

  async function releaseCommits(): Promise<void> {
    await database.query('alter system reset synchronous_standby_names');
    await database.query('select pg_reload_conf()');
  }

  test('does not drop the index, which becomes valid with that commit', async () => {
    // Prepare: the build waits for a snapshot, then for its last commit.
    const snapshot = await session('snapshot');
    await snapshot.query('begin isolation level repeatable read; select from other');
    const dba = await session('dba');
    await dba.query('set synchronous_commit = on');
    const build = dba.query(PEOPLE_N.sql);
    build.catch(() => undefined);
    await waitForBuildPhase(database, 'people', 'waiting for old snapshots');
    await holdCommits();
    await snapshot.query('commit');
    await waitForCommit('dba');
    const [entry] = await compileRegistry([PEOPLE_N], 'the test');
    if (entry === undefined) throw new Error('The registry is empty.');
    const index = inSchema(entry, 'public');

    // Act
    const removed = repairIndex(database.url, index);
    removed.catch(() => undefined);
    await waitForRows(
      database,
      `select from pg_locks l join pg_stat_activity a using (pid)
        where l.granted and l.relation = 'people'::regclass and l.mode = 'ShareUpdateExclusiveLock'
          and a.application_name = 'pg-deploy-step repair'`,
    );
    await releaseCommits();

    // Assess
    await build;
    expect(await removed).toBe(false);
    expect(
      await database.query("select indisvalid from pg_index where indexrelid = to_regclass('people_n')"),
    ).toEqual([{ indisvalid: true }]);
  });
});

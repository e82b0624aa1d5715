import type { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { IndexEntry } from '../../lib/registry/define-indexes.ts';
import { openBuilds } from '../support/builds.ts';
import type { TestDatabase } from '../support/database.ts';
import { openInstance, type TestInstance } from '../support/instance.ts';
import { waitForLedger } from '../support/ledger.ts';
import { onEachMajor } from '../support/servers.ts';
import { waitForBuildPhase, waitForRows } from '../support/waits.ts';

const NAMES = ['idled', 'active', 'recent', 'exclusive', 'protected'];
const INDEXES: IndexEntry[] = NAMES.map((name) => ({
  name: `${name}_n`,
  sql: `CREATE INDEX CONCURRENTLY IF NOT EXISTS ${name}_n ON ${name} (n)`,
  description: name,
}));

onEachMajor('terminateBlockers', (major) => {
  let instance: TestInstance;
  let deployRole: string;

  beforeAll(async () => {
    instance = await openInstance(major, {
      tables: NAMES.map(
        (name) => `create table ${name} (n int); insert into ${name} select generate_series(1, 20000);`,
      ).join('\n'),
      indexes: INDEXES,
      builds: { attempts: 3, terminateBlockers: { idleInTransactionSeconds: 1 } },
    });
    deployRole = new URL(instance.database.deployUrl).username;
    await instance.database.query(
      `create role worker login password 'worker'; grant all on all tables in schema public to worker;
       grant pg_signal_backend to ${deployRole}`,
    );
  });
  afterAll(async () => await instance?.close());

  /** A session of a role that is not a superuser, so that the deploy role may terminate it. */
  const worker = (application: string) => instance.session(application, 'worker');

  const isAlive = async (session: Client) => (await session.query('select 1')).rowCount === 1;

  test('a writer that is idle in transaction is terminated, no other session is, and the report names it', async () => {
    const writer = await worker('idle psql');
    const bystander = await worker('another idle psql');
    await writer.query('begin; insert into idled values (0)');
    await bystander.query('begin; select 1 from active limit 1');

    const { report } = await instance.build('idled_n');

    expect(report.indexes).toMatchObject([{ status: 'built', attempts: 1 }]);
    expect(report.warnings).toEqual([
      expect.stringMatching(
        /^Terminated a session that blocked a build: pid \d+ \(idle psql, idle in transaction, .*\(for idled_n\)\.$/,
      ),
    ]);
    await expect(writer.query('select 1')).rejects.toThrow();
    expect(await isAlive(bystander)).toBe(true);
    await bystander.query('rollback');
    expect(await instance.database.query('select n from idled where n = 0')).toEqual([]);
    await instance.expectNoLeftovers();
  });

  test('a session that is idle in transaction with a lock on the table is terminated too', async () => {
    const ddl = await worker('half a migration');
    await ddl.query('begin; lock table exclusive in access exclusive mode');

    const { report } = await instance.build('exclusive_n');

    expect(report.indexes).toMatchObject([{ status: 'built', attempts: 2 }]);
    expect(report.warnings).toEqual([expect.stringContaining('half a migration, idle in transaction')]);
    await instance.expectNoLeftovers();
  });

  test('an active session is not terminated, however long it takes', async () => {
    // Prepare: its statement waits for a lock of the test, and then ends its transaction itself.
    const gate = await instance.session();
    await gate.query('select pg_advisory_lock(1)');
    const exporter = await worker('the export');
    await exporter.query('begin isolation level repeatable read; select 1 from active limit 1');
    const work = exporter.query('select pg_advisory_xact_lock(1); commit');

    // Act
    const deploy = instance.build('active_n');
    await waitForLedger(
      instance.database,
      'active_n',
      (rows) => rows[0]?.blockedBy?.includes('the export, active') === true,
    );
    await waitForRows(
      instance.database,
      "select from pg_stat_activity where datname = current_database() and application_name = 'the export' and state_change < now() - interval '2 seconds'",
    );
    await gate.query('select pg_advisory_unlock(1)');

    // Assess
    await work;
    const { report } = await deploy;
    expect(await isAlive(exporter)).toBe(true);
    expect(report.indexes).toMatchObject([{ status: 'built', attempts: 1 }]);
    expect(report.warnings).toEqual([]);
    await instance.expectNoLeftovers();
  });

  test('a session that is idle in transaction for less than the limit is not terminated', async () => {
    const writer = await worker('the worker');
    await writer.query('begin; insert into recent values (0)');
    const builds = await openBuilds(instance.database.url, INDEXES, {
      waitSeconds: 1,
      terminateIdleInTransactionSeconds: 600,
    });

    expect(await builds.build('test', 'recent_n')).toMatchObject({ state: 'building' });
    await waitForBuildPhase(instance.database, 'recent', 'waiting for writers before build');
    expect(await builds.check('test', 'recent_n')).toMatchObject({ state: 'building' });

    expect(await instance.ledger('recent_n')).toMatchObject([
      { blockedBy: expect.stringContaining('the worker') },
    ]);
    await writer.query('commit');
    await waitForRows(
      instance.database,
      "select from pg_index where indexrelid = 'recent_n'::regclass and indisvalid",
    );
    await waitForEndOfBuild(instance.database);
    expect(await builds.check('test', 'recent_n')).toMatchObject({ state: 'done', status: 'built' });
    await instance.expectNoLeftovers();
  });

  test('a session that the role cannot terminate stays, and the build continues to wait for it', async () => {
    // Prepare
    await instance.database.query(
      // As a member, the owner of the ledger can act as the builder, which therefore trusts it.
      `create role builder login password 'builder';
       grant builder to ${deployRole};
       alter table protected owner to builder;
       grant create on schema public to builder;
       grant all on schema deploy_step to builder;
       grant all on all tables in schema deploy_step to builder`,
    );
    const url = new URL(instance.database.url);
    url.username = 'builder';
    url.password = 'builder';
    const builds = await openBuilds(url.href, INDEXES, {
      waitSeconds: 1,
      terminateIdleInTransactionSeconds: 0,
    });
    const writer = await instance.session("the superuser's");
    await writer.query('begin; insert into protected values (0)');

    // Act
    expect(await builds.build('test', 'protected_n')).toMatchObject({ state: 'building' });
    await waitForBuildPhase(instance.database, 'protected', 'waiting for writers before build');
    const withoutStatistics = await builds.check('test', 'protected_n');
    const [hidden] = await instance.ledger('protected_n');
    await instance.database.query('grant pg_read_all_stats to builder');
    const withStatistics = await builds.check('test', 'protected_n');

    // Assess
    expect([withoutStatistics, withStatistics]).toMatchObject([{ state: 'building' }, { state: 'building' }]);
    expect(hidden?.blockedBy).toMatch(
      /^pid \d+ \(the superuser's, state hidden without pg_read_all_stats\)$/,
    );
    expect(builds.log.at(-1)).toContain('pg_signal_backend');
    expect(await isAlive(writer)).toBe(true);
    await writer.query('commit');
    await waitForRows(
      instance.database,
      "select from pg_index where indexrelid = 'protected_n'::regclass and indisvalid",
    );
    await waitForEndOfBuild(instance.database);
    expect(await builds.check('test', 'protected_n')).toMatchObject({ state: 'done', status: 'built' });
    await instance.expectNoLeftovers();
  });
});

/** Waits until the backend of the build has ended: the index is valid a moment before. */
async function waitForEndOfBuild(database: TestDatabase): Promise<void> {
  await waitForRows(
    database,
    `select where not exists (
       select from pg_stat_activity
       where application_name like 'pg-deploy-step build%' and datname = current_database())`,
  );
}

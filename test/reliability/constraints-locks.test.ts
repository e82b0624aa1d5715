import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { functionNameOf } from '../support/build-indexes.ts';
import { openBuilds } from '../support/builds.ts';
import { openInstance, type TestInstance } from '../support/instance.ts';
import { waitForLedger } from '../support/ledger.ts';
import { MAJORS } from '../support/servers.ts';
import { waitForRows, waitForTableLockRequest } from '../support/waits.ts';

const ATTEMPTS = 3;
const TABLES = [
  'read',
  'held',
  'written',
  'waiting',
  'killed',
  'attached',
  'prepared',
  'ended',
  'idle',
  'shared',
  'guarded',
];

const nameOf = (table: string) => ({ index: `${table}_n`, constraint: `${table}_n_key` });

describe.each(MAJORS)('the lock of a constraint, on PostgreSQL %i', (major) => {
  let instance: TestInstance;

  beforeAll(async () => {
    instance = await openInstance(major, {
      settings: { max_prepared_transactions: '2' },
      tables: TABLES.map(
        (table) => `create table ${table} (n int, note text) with (autovacuum_enabled = off);
                    insert into ${table} select n, 'x' from generate_series(1, 20000) n;`,
      ).join('\n'),
      indexes: TABLES.map((table) => ({
        name: nameOf(table).index,
        sql: `CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS ${nameOf(table).index} ON ${table} (n)`,
        description: table,
        constraint: { name: nameOf(table).constraint, type: 'unique' as const },
      })),
      builds: { attempts: ATTEMPTS },
    });
  });
  afterAll(async () => await instance?.close());

  async function oidOf(name: string): Promise<unknown> {
    return (await instance.database.query('select to_regclass($1)::oid as oid', [name]))[0]?.oid;
  }

  async function expectAttached(table: string): Promise<void> {
    const { index, constraint } = nameOf(table);
    expect(
      await instance.database.query(
        `select c.relname as name, con.conname as "constraint"
           from pg_index i join pg_class c on c.oid = i.indexrelid left join pg_constraint con on con.conindid = c.oid
          where i.indrelid = $1::regclass`,
        [table],
      ),
    ).toEqual([{ name: constraint, constraint }]);
    await instance.expectNoLeftovers();
    const oid = await oidOf(constraint);
    expect((await instance.build(index)).report.indexes).toMatchObject([
      { status: 'present', attempts: 0, constraint: { attached: true } },
    ]);
    expect(await oidOf(constraint)).toEqual(oid);
  }

  /** Waits until the index of a table is valid and its constraint is not added. @returns its oid */
  async function waitForIndex(table: string): Promise<unknown> {
    await waitForRows(
      instance.database,
      'select from pg_index where indexrelid = to_regclass($1) and indisvalid',
      [nameOf(table).index],
    );
    return await oidOf(nameOf(table).index);
  }

  /** A transaction that has read a table, and is idle. It blocks no build. */
  async function reader(table: string): Promise<Client> {
    const session = await instance.session('the long report');
    await session.query(`begin; select 1 from ${table} limit 1`);
    return session;
  }

  test('an open transaction that has read the table costs attempts and no scan, and the ledger names it', async () => {
    const session = await reader('read');

    const deploy = instance.build('read_n');
    const [row] = await waitForLedger(instance.database, 'read_n', (rows) => rows[0]?.status === 'retrying');
    const oid = await oidOf('read_n');
    await session.query('rollback');

    expect((await deploy).report.indexes).toMatchObject([{ status: 'built', error: null }]);
    expect(row).toMatchObject({ sqlstate: '55P03' });
    expect(row?.message).toContain(
      'it is valid, but table read could not be locked within 3 s to add constraint "read_n_key"',
    );
    expect(row?.blockedBy).toContain('the long report, idle in transaction');
    expect(await oidOf('read_n_key')).toEqual(oid);
    await expectAttached('read');
  });

  test('one that stays open for all attempts fails the index, which stays; the next deploy only adds the constraint', async () => {
    const session = await reader('held');

    const { report } = await instance.build('held_n');

    expect(report.indexes).toMatchObject([
      { status: 'failed', attempts: ATTEMPTS, error: { sqlstate: '55P03' }, constraint: { attached: false } },
    ]);
    expect(report.indexes[0]?.error?.message).toContain(
      'The next attempt or deploy only adds the constraint.',
    );
    expect(report.indexes[0]?.error?.message).toContain('the long report');
    const oid = await waitForIndex('held');
    await instance.expectNoLeftovers();
    await session.query('rollback');
    expect((await instance.build('held_n')).report.indexes).toMatchObject([{ status: 'built', attempts: 1 }]);
    expect(await oidOf('held_n_key')).toEqual(oid);
    await expectAttached('held');
  });

  test('a prepared transaction that has read the table is named', async () => {
    const session = await instance.session();
    await session.query("begin; select 1 from prepared limit 1; prepare transaction 'transfer 7'");

    const deploy = instance.build('prepared_n');
    const [row] = await waitForLedger(
      instance.database,
      'prepared_n',
      (rows) => rows[0]?.status === 'retrying',
    );
    await session.query("rollback prepared 'transfer 7'");

    expect((await deploy).report.indexes).toMatchObject([{ status: 'built', error: null }]);
    expect(row?.blockedBy).toContain('transfer 7');
    await expectAttached('prepared');
  });

  test('writers and readers continue while the index is built and its constraint is added', async () => {
    const writers = await Promise.all([instance.session('writer 1'), instance.session('writer 2')]);
    let isDone = false;
    const writes = writers.map(async (writer, number) => {
      let count = 0;
      for (; !isDone; count += 1) {
        await writer.query('insert into written values ($1)', [100_000 + 2 * count + number]);
        await writer.query('update written set note = $1 where n = $2', ['y', count % 20_000]);
        await writer.query('select count(*) from written where n < 10');
      }
      return count;
    });

    const { report } = await instance.build('written_n');
    isDone = true;

    expect(report.indexes).toMatchObject([{ status: 'built', error: null }]);
    // No statement has failed.
    for (const count of await Promise.all(writes)) expect(count).toBeGreaterThan(0);
    await expectAttached('written');
  });

  test('queries that wait behind the deploy run when a try ends, before the constraint is added', async () => {
    const session = await reader('waiting');
    const deploy = instance.build('waiting_n');
    await waitForIndex('waiting');
    await waitForTableLockRequest(instance.database, 'waiting');
    const query = await instance.session('the application');

    // It ends although the transaction that blocks the deploy stays open.
    expect((await query.query('select count(*)::int as count from waiting')).rows).toEqual([
      { count: 20_000 },
    ]);

    expect(await oidOf('waiting_n_key')).toBeNull();
    await session.query('rollback');
    expect((await deploy).report.indexes).toMatchObject([{ status: 'built' }]);
    await expectAttached('waiting');
  });

  test('a function that is killed while it waits for the lock leaves the index, and the next one adds the constraint', async () => {
    const session = await reader('killed');
    const deploy = instance.build('killed_n');
    const oid = await waitForIndex('killed');
    await waitForTableLockRequest(instance.database, 'killed');

    instance.workflow.workflow.lambdas.kill(functionNameOf('build-index'));
    await session.query('rollback');

    expect((await deploy).report.indexes).toMatchObject([{ status: 'built', error: null }]);
    expect(await oidOf('killed_n_key')).toEqual(oid);
    await expectAttached('killed');
  });

  test('a function that is killed after it has added the constraint, before the ledger: the next one finishes', async () => {
    const session = await reader('attached');
    const deploy = instance.build('attached_n');
    const oid = await waitForIndex('attached');
    await waitForTableLockRequest(instance.database, 'attached');
    const ledger = await instance.session('holds the ledger');
    await ledger.query('begin; lock table deploy_step.index_builds in share mode');
    await session.query('rollback');
    await waitForRows(instance.database, "select from pg_constraint where conname = 'attached_n_key'");

    instance.workflow.workflow.lambdas.kill(functionNameOf('build-index'));
    await ledger.query('rollback');

    expect((await deploy).report.indexes).toMatchObject([{ status: 'built', error: null }]);
    expect(await oidOf('attached_n_key')).toEqual(oid);
    await expectAttached('attached');
  });

  test('a deploy whose session ends before the lock, and one whose session ends before the ledger: the next finishes', async () => {
    const builds = await openBuilds(instance.database.url, [
      {
        name: 'ended_n',
        sql: 'create unique index concurrently if not exists ended_n on ended (n)',
        constraint: { name: 'ended_n_key', type: 'unique' },
      },
    ]);
    const end = () =>
      instance.database.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'pg-deploy-step build ended_n'",
      );
    const session = await reader('ended');
    const first = builds.build('first', 'ended_n').catch(() => 'ended');
    const oid = await waitForIndex('ended');
    await waitForTableLockRequest(instance.database, 'ended');
    await end();
    expect(await first).toBe('ended');
    expect(await oidOf('ended_n')).toEqual(oid);

    const ledger = await instance.session('holds the ledger');
    const second = builds.build('second', 'ended_n').catch(() => 'ended');
    await waitForTableLockRequest(instance.database, 'ended');
    await ledger.query('begin; lock table deploy_step.index_builds in share mode');
    await session.query('rollback');
    await waitForRows(instance.database, "select from pg_constraint where conname = 'ended_n_key'");
    await end();
    expect(await second).toBe('ended');
    await ledger.query('rollback');

    expect(await oidOf('ended_n_key')).toEqual(oid);
    expect((await builds.deploy('third')).ended_n).toMatchObject({
      status: 'present',
      attempts: 0,
      constraint: { attached: true },
    });
    await instance.expectNoLeftovers();
  });

  test('a session that is idle in its transaction for too long is terminated, if that is configured', async () => {
    const builds = await openBuilds(
      instance.database.url,
      [
        {
          name: 'idle_n',
          sql: 'create unique index concurrently if not exists idle_n on idle (n)',
          constraint: { name: 'idle_n_key', type: 'unique' },
        },
      ],
      { terminateIdleInTransactionSeconds: 0 },
    );
    await instance.database.query(
      `grant pg_signal_backend to ${new URL(instance.database.deployUrl).username}`,
    );
    // The deploy role cannot terminate a superuser.
    await instance.database.query(
      "create role forgetful login password 'forgetful'; grant select on idle to forgetful",
    );
    const session = await instance.session('left open', 'forgetful');
    await session.query('begin; select 1 from idle limit 1');

    expect((await builds.deploy('one')).idle_n).toMatchObject({
      status: 'built',
      attempts: 2,
      terminated: expect.stringContaining('left open'),
    });
    await instance.expectNoLeftovers();
  });

  test('deploys side by side build one index and add one constraint', async () => {
    const entry = {
      name: 'shared_n',
      sql: 'create unique index concurrently if not exists shared_n on shared (n)',
      constraint: { name: 'shared_n_key', type: 'unique' as const },
    };
    const builds = await Promise.all([1, 2, 3].map(() => openBuilds(instance.database.url, [entry])));

    const reports = await Promise.all(builds.map((one, number) => one.deploy(`deploy-${number}`)));

    for (const { shared_n: report } of reports)
      expect(report).toMatchObject({ error: null, constraint: { attached: true } });
    expect(
      await instance.database.query(
        "select indexrelid::regclass::text as name from pg_index where indrelid = 'shared'::regclass",
      ),
    ).toEqual([{ name: 'shared_n_key' }]);
    await instance.expectNoLeftovers();
  });

  test('an event trigger that refuses the constraint fails the index, which stays; the next deploy only adds the constraint', async () => {
    await instance.database.query(
      `create function refuse() returns event_trigger language plpgsql as $$ begin raise exception 'not on my watch'; end $$;
       create event trigger no_alter on ddl_command_start when tag in ('ALTER TABLE') execute function refuse()`,
    );

    const { report } = await instance.build('guarded_n');

    expect(report.indexes).toMatchObject([
      {
        status: 'failed',
        attempts: 1,
        error: { sqlstate: 'P0001' },
        constraint: { attached: false, indexValid: true },
      },
    ]);
    const oid = await waitForIndex('guarded');
    await instance.expectNoLeftovers();
    await instance.database.query('drop event trigger no_alter');
    expect((await instance.build('guarded_n')).report.indexes).toMatchObject([
      { status: 'built', attempts: 1, error: null },
    ]);
    expect(await oidOf('guarded_n_key')).toEqual(oid);
    await expectAttached('guarded');
  });
});

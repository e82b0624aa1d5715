import { afterAll, beforeAll, expect, test } from 'vitest';
import { openInstance, type TestInstance } from '../support/instance.ts';
import { waitForLedger } from '../support/ledger.ts';
import { onEachMajor } from '../support/servers.ts';
import { waitForRows, waitForTableLockRequest } from '../support/waits.ts';

const NAMES = ['locked', 'sneaked', 'queued', 'vacuumed', 'autovacuumed', 'jammed'];
const ATTEMPTS = 3;
const LOCK_TIMEOUT = 3;

onEachMajor('locks on the table', (major) => {
  let instance: TestInstance;

  beforeAll(async () => {
    instance = await openInstance(major, {
      tables: NAMES.map(
        (name) => `create table ${name} (n int) with (autovacuum_enabled = off);
                   insert into ${name} select generate_series(1, 20000);`,
      ).join('\n'),
      // Autovacuum starts at once. The settings of one table make it slow.
      settings: { autovacuum_naptime: '1s' },
      indexes: NAMES.map((name) => ({
        name: `${name}_n`,
        sql: `CREATE INDEX CONCURRENTLY IF NOT EXISTS ${name}_n ON ${name} (n)`,
        description: name,
      })),
      builds: { attempts: ATTEMPTS, lockTimeoutSeconds: LOCK_TIMEOUT },
    });
  });
  afterAll(async () => await instance?.close());

  test('an ACCESS EXCLUSIVE lock longer than the lock timeout costs an attempt, and the index is built when the lock is released', async () => {
    const ddl = await instance.session();
    await ddl.query('begin; lock table locked in access exclusive mode');

    const deploy = instance.build('locked_n');
    await waitForLedger(instance.database, 'locked_n', (rows) => rows[0]?.status === 'retrying');
    await ddl.query('rollback');

    const { report } = await deploy;
    expect(report.indexes).toMatchObject([{ status: 'built', attempts: 2, error: null }]);
    expect(await instance.ledger('locked_n')).toMatchObject([
      { status: 'retrying', sqlstate: '55P03' },
      { status: 'built', sqlstate: null },
    ]);
    await instance.expectNoLeftovers();
    expect((await instance.build('locked_n')).report.indexes).toMatchObject([
      { status: 'present', attempts: 0 },
    ]);
  });

  test('a build waits at most the lock timeout for a lock that is acquired between the lock attempt and the build', async () => {
    // Prepare: one session holds the lock, the deploy waits for it, and another session waits after the deploy.
    // With a long deadlock_timeout the deploy waits once instead of several times.
    const { name } = instance.database;
    await instance.database.query(`alter database ${name} set deadlock_timeout = '10s'`);
    const first = await instance.session();
    const second = await instance.session('the second migration');
    await first.query('begin; lock table sneaked in access exclusive mode');
    const deploy = instance.build('sneaked_n');
    await waitForTableLockRequest(instance.database, 'sneaked');
    const secondLock = second.query('begin; lock table sneaked in access exclusive mode');
    await waitForRows(
      instance.database,
      "select from pg_locks where relation = 'sneaked'::regclass and not granted and mode = 'AccessExclusiveLock'",
    );

    // Act
    await first.query('rollback');
    await secondLock;
    await waitForLedger(instance.database, 'sneaked_n', (rows) => rows[0]?.status === 'retrying');
    await second.query('rollback');
    const { report } = await deploy;

    // Assess: Check Index cancelled the statement, so it wrote the row of the attempt.
    expect(report.indexes).toMatchObject([{ status: 'built' }]);
    const [cancelled] = await instance.ledger('sneaked_n');
    expect(cancelled).toMatchObject({ status: 'retrying', sqlstate: '55P03' });
    expect(cancelled?.message).toContain('the second migration');
    const lines = instance.workflow.log.filter((line) => line.includes('"sneaked_n"'));
    expect(lines.join('\n')).toContain('The build continues without its client.');
    await instance.database.query(`alter database ${name} reset deadlock_timeout`);
    await instance.expectNoLeftovers();
  });

  test('the ledger names both a waiting request for ACCESS EXCLUSIVE and the reader that it waits for', async () => {
    const reader = await instance.session('the long report');
    const ddl = await instance.session('the migration');
    await reader.query('begin; select 1 from queued limit 1');
    const waits = ddl.query('begin; lock table queued in access exclusive mode');

    const deploy = instance.build('queued_n');
    const [row] = await waitForLedger(
      instance.database,
      'queued_n',
      (rows) => rows[0]?.status === 'retrying',
    );
    await reader.query('rollback');
    await waits;
    await ddl.query('rollback');

    expect((await deploy).report.indexes).toMatchObject([{ status: 'built' }]);
    expect(row?.blockedBy).toContain('the migration, active');
    expect(row?.blockedBy).toContain('the long report, idle in transaction');
    await instance.expectNoLeftovers();
  });

  test('the attempts wait for a VACUUM of another session', async () => {
    const vacuum = await instance.session('nightly vacuum');
    await instance.database.query('delete from vacuumed where n % 2 = 0');
    await vacuum.query('set vacuum_cost_delay = 100; set vacuum_cost_limit = 1');
    const runs = vacuum.query('vacuum vacuumed').catch(() => 'cancelled');

    const deploy = instance.build('vacuumed_n');
    const [row] = await waitForLedger(
      instance.database,
      'vacuumed_n',
      (rows) => rows[0]?.status === 'retrying',
    );
    await instance.database.query(
      "select pg_cancel_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'nightly vacuum'",
    );
    await runs;

    expect((await deploy).report.indexes).toMatchObject([{ status: 'built', attempts: 2 }]);
    expect(row).toMatchObject({ sqlstate: '55P03' });
    expect(row?.blockedBy).toContain('nightly vacuum, active');
    await instance.expectNoLeftovers();
  });

  test('autovacuum is cancelled by the lock request, so the build takes one attempt', async () => {
    await instance.database.query(
      `alter table autovacuumed set (autovacuum_enabled = on, autovacuum_vacuum_threshold = 0,
         autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1);
       delete from autovacuumed where n % 2 = 0`,
    );
    await waitForRows(
      instance.database,
      "select from pg_stat_progress_vacuum where relid = 'autovacuumed'::regclass",
    );

    const { report } = await instance.build('autovacuumed_n');

    expect(report.indexes).toMatchObject([{ status: 'built', attempts: 1 }]);
    await instance.database.query('alter table autovacuumed set (autovacuum_enabled = off)');
    await instance.expectNoLeftovers();
  });

  test('an ACCESS EXCLUSIVE lock longer than all attempts fails the index with 55P03, and the error names the session', async () => {
    // Prepare
    const ddl = await instance.session('psql of a colleague');
    await ddl.query('begin; lock table jammed in access exclusive mode');
    const { pid } = (await ddl.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0] ?? {};

    // Act
    const { report, status } = await instance.build('jammed_n');

    // Assess
    const blocker = new RegExp(
      `pid ${pid} \\(psql of a colleague, idle in transaction, transaction open for \\d+ s`,
    );
    expect(status).toBe('SUCCEEDED');
    expect(report.indexes).toMatchObject([
      { status: 'failed', attempts: ATTEMPTS, error: { sqlstate: '55P03' } },
    ]);
    expect(report.indexes[0]?.error?.message).toMatch(blocker);
    expect(report.indexes[0]?.blockedBy).toMatch(blocker);
    expect((await instance.ledger('jammed_n')).map((row) => row.sqlstate)).toEqual(
      Array(ATTEMPTS).fill('55P03'),
    );
    await instance.expectNoLeftovers();
    await ddl.query('rollback');
    expect((await instance.build('jammed_n')).report.indexes).toMatchObject([
      { status: 'built', attempts: 1 },
    ]);
  });
});

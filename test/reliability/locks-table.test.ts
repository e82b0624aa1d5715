import { afterAll, beforeAll, expect, test } from 'vitest';
import { onEachMajor, openRig, type Rig } from '../support/rig.ts';
import { until, untilLedger, untilWaitsForTable } from '../support/waits.ts';

const NAMES = ['locked', 'sneaked', 'queued', 'vacuumed', 'autovacuumed', 'jammed'];
const ATTEMPTS = 3;
const LOCK_TIMEOUT = 3;

onEachMajor('locks on the table', (major) => {
  let rig: Rig;

  beforeAll(async () => {
    rig = await openRig(major, {
      tables: NAMES.map(
        (name) => `create table ${name} (n int) with (autovacuum_enabled = off);
                   insert into ${name} select generate_series(1, 20000);`,
      ).join('\n'),
      // Autovacuum that comes at once; a table of its own says how long it takes.
      settings: { autovacuum_naptime: '1s' },
      indexes: NAMES.map((name) => ({
        name: `${name}_n`,
        sql: `CREATE INDEX CONCURRENTLY IF NOT EXISTS ${name}_n ON ${name} (n)`,
        description: name,
      })),
      builds: { attempts: ATTEMPTS, lockTimeoutSeconds: LOCK_TIMEOUT },
    });
  });
  afterAll(async () => await rig?.close());

  test('ACCESS EXCLUSIVE held beyond one lock timeout costs an attempt, and the index is built when it is let go', async () => {
    const ddl = await rig.session();
    await ddl.query('begin; lock table locked in access exclusive mode');

    const deploy = rig.build('locked_n');
    await untilLedger(rig.database, 'locked_n', (rows) => rows[0]?.status === 'retrying');
    await ddl.query('rollback');

    const { report } = await deploy;
    expect(report.indexes).toMatchObject([{ status: 'built', attempts: 2, error: null }]);
    expect(await rig.ledger('locked_n')).toMatchObject([
      { status: 'retrying', sqlstate: '55P03' },
      { status: 'built', sqlstate: null },
    ]);
    await rig.expectClean();
    expect((await rig.build('locked_n')).report.indexes).toMatchObject([{ status: 'present', attempts: 0 }]);
  });

  test('a lock that comes between the try for it and the build is not waited for beyond the lock timeout', async () => {
    // Prepare: one holds the lock, our try queues behind it, another one queues behind our try.
    // Our try is one, not several of some seconds, where deadlock_timeout is long.
    const { name } = rig.database;
    await rig.database.query(`alter database ${name} set deadlock_timeout = '10s'`);
    const first = await rig.session();
    const second = await rig.session('the second migration');
    await first.query('begin; lock table sneaked in access exclusive mode');
    const deploy = rig.build('sneaked_n');
    await untilWaitsForTable(rig.database, 'sneaked');
    const sneaks = second.query('begin; lock table sneaked in access exclusive mode');
    await until(
      rig.database,
      "select from pg_locks where relation = 'sneaked'::regclass and not granted and mode = 'AccessExclusiveLock'",
    );

    // Act
    await first.query('rollback');
    await sneaks;
    await untilLedger(rig.database, 'sneaked_n', (rows) => rows[0]?.status === 'retrying');
    await second.query('rollback');
    const { report } = await deploy;

    // Assess: the statement itself was cancelled, so the attempt's row is Check Index's.
    expect(report.indexes).toMatchObject([{ status: 'built' }]);
    const [cancelled] = await rig.ledger('sneaked_n');
    expect(cancelled).toMatchObject({ status: 'retrying', sqlstate: '55P03' });
    expect(cancelled?.message).toContain('the second migration');
    const lines = rig.workflow.log.filter((line) => line.includes('"sneaked_n"'));
    expect(lines.join('\n')).toContain('The build continues without its client.');
    await rig.database.query(`alter database ${name} reset deadlock_timeout`);
    await rig.expectClean();
  });

  test('a request for ACCESS EXCLUSIVE that queues behind a reader is named with the reader', async () => {
    const reader = await rig.session('the long report');
    const ddl = await rig.session('the migration');
    await reader.query('begin; select 1 from queued limit 1');
    const waits = ddl.query('begin; lock table queued in access exclusive mode');

    const deploy = rig.build('queued_n');
    const [row] = await untilLedger(rig.database, 'queued_n', (rows) => rows[0]?.status === 'retrying');
    await reader.query('rollback');
    await waits;
    await ddl.query('rollback');

    expect((await deploy).report.indexes).toMatchObject([{ status: 'built' }]);
    expect(row?.blockedBy).toContain('the migration, active');
    expect(row?.blockedBy).toContain('the long report, idle in transaction');
    await rig.expectClean();
  });

  test('a VACUUM that another session runs is waited for, attempt by attempt', async () => {
    const vacuum = await rig.session('nightly vacuum');
    await rig.database.query('delete from vacuumed where n % 2 = 0');
    await vacuum.query('set vacuum_cost_delay = 100; set vacuum_cost_limit = 1');
    const runs = vacuum.query('vacuum vacuumed').catch(() => 'cancelled');

    const deploy = rig.build('vacuumed_n');
    const [row] = await untilLedger(rig.database, 'vacuumed_n', (rows) => rows[0]?.status === 'retrying');
    await rig.database.query(
      "select pg_cancel_backend(pid) from pg_stat_activity where application_name = 'nightly vacuum'",
    );
    await runs;

    expect((await deploy).report.indexes).toMatchObject([{ status: 'built', attempts: 2 }]);
    expect(row).toMatchObject({ sqlstate: '55P03' });
    expect(row?.blockedBy).toContain('nightly vacuum, active');
    await rig.expectClean();
  });

  test('autovacuum gives way: the build takes one attempt', async () => {
    await rig.database.query(
      `alter table autovacuumed set (autovacuum_enabled = on, autovacuum_vacuum_threshold = 0,
         autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1);
       delete from autovacuumed where n % 2 = 0`,
    );
    await until(rig.database, "select from pg_stat_progress_vacuum where relid = 'autovacuumed'::regclass");

    const { report } = await rig.build('autovacuumed_n');

    expect(report.indexes).toMatchObject([{ status: 'built', attempts: 1 }]);
    await rig.database.query('alter table autovacuumed set (autovacuum_enabled = off)');
    await rig.expectClean();
  });

  test('ACCESS EXCLUSIVE held for longer than all attempts fails the index with 55P03, naming the session', async () => {
    // Prepare
    const ddl = await rig.session('psql of a colleague');
    await ddl.query('begin; lock table jammed in access exclusive mode');
    const { pid } = (await ddl.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0] ?? {};

    // Act
    const { report, status } = await rig.build('jammed_n');

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
    expect((await rig.ledger('jammed_n')).map((row) => row.sqlstate)).toEqual(Array(ATTEMPTS).fill('55P03'));
    await rig.expectClean();
    await ddl.query('rollback');
    expect((await rig.build('jammed_n')).report.indexes).toMatchObject([{ status: 'built', attempts: 1 }]);
  });
});

import type { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { onEachMajor, openRig, type Rig } from '../support/rig.ts';
import { until, untilLedger } from '../support/waits.ts';

const NAMES = ['idled', 'active', 'recent', 'exclusive'];

onEachMajor('terminateBlockers', (major) => {
  let rig: Rig;
  let patient: Rig;

  const open = async (idleInTransactionSeconds: number) =>
    await openRig(major, {
      tables: NAMES.map(
        (name) => `create table ${name} (n int); insert into ${name} select generate_series(1, 20000);`,
      ).join('\n'),
      indexes: NAMES.map((name) => ({
        name: `${name}_n`,
        sql: `CREATE INDEX CONCURRENTLY IF NOT EXISTS ${name}_n ON ${name} (n)`,
        description: name,
      })),
      builds: { attempts: 3, terminateBlockers: { idleInTransactionSeconds } },
    });
  beforeAll(async () => {
    rig = await open(1);
    patient = await open(600);
  });
  afterAll(async () => {
    await rig?.close();
    await patient?.close();
  });

  const isAlive = async (session: Client) => (await session.query('select 1')).rowCount === 1;

  test('a writer that idles in its transaction is ended, only that one, and the report names it', async () => {
    const writer = await rig.session('forgotten psql');
    const bystander = await rig.session('another forgotten psql');
    await writer.query('begin; insert into idled values (0)');
    await bystander.query('begin; select 1 from active limit 1');

    const { report } = await rig.build('idled_n');

    expect(report.indexes).toMatchObject([{ status: 'built', attempts: 1 }]);
    expect(report.warnings).toMatchObject([
      expect.stringMatching(
        /^Ended, because it held a build up: pid \d+ \(forgotten psql, idle in transaction, .*\(for idled_n\)\.$/,
      ),
    ]);
    await expect(writer.query('select 1')).rejects.toThrow();
    expect(await isAlive(bystander)).toBe(true);
    await bystander.query('rollback');
    expect(await rig.database.query('select n from idled where n = 0')).toEqual([]);
    await rig.expectClean();
  });

  test('who idles with the table locked is ended as well', async () => {
    const ddl = await rig.session('half a migration');
    await ddl.query('begin; lock table exclusive in access exclusive mode');

    const { report } = await rig.build('exclusive_n');

    expect(report.indexes).toMatchObject([{ status: 'built', attempts: 2 }]);
    expect(report.warnings).toMatchObject([expect.stringContaining('half a migration, idle in transaction')]);
    await rig.expectClean();
  });

  test('a session that is at work is left alone, however long it takes', async () => {
    const export_ = await rig.session('the export');
    await export_.query('begin isolation level repeatable read; select 1 from active limit 1');
    const works = export_.query('select pg_sleep(600)').catch((error: Error) => error.message);

    const deploy = rig.build('active_n');
    await untilLedger(rig, 'active_n', (rows) => rows[0]?.blockedBy?.includes('the export, active') === true);
    await until(
      rig,
      "select from pg_stat_activity where application_name = 'the export' and state_change < now() - interval '2 seconds'",
    );
    await rig.database.query(
      "select pg_cancel_backend(pid) from pg_stat_activity where application_name = 'the export'",
    );

    // It was this test that cancelled it: its session is alive, and idle in a failed transaction until it is told.
    expect(await works).toBe('canceling statement due to user request');
    const rolledBack = await export_.query('rollback').then(
      () => 'alive',
      () => 'ended',
    );
    const { report } = await deploy;
    expect(rolledBack).toBe('alive');
    expect(report.indexes).toMatchObject([{ status: 'built', attempts: 1 }]);
    expect(report.warnings).toEqual([]);
    await rig.expectClean();
  });

  test('a session that idles for less than allowed is left alone', async () => {
    const writer = await patient.session('the worker');
    await writer.query('begin; insert into recent values (0)');

    const deploy = patient.build('recent_n');
    await untilLedger(patient, 'recent_n', (rows) => rows[0]?.blockedBy != null);
    await writer.query('commit');

    const { report } = await deploy;
    expect(report.indexes).toMatchObject([{ status: 'built', attempts: 1 }]);
    expect(report.warnings).toEqual([]);
    await patient.expectClean();
  });
});

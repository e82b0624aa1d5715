import { afterAll, beforeAll, expect, test } from 'vitest';
import { openInstance, type TestInstance } from '../support/instance.ts';
import { waitForLedger } from '../support/ledger.ts';
import { onEachMajor } from '../support/servers.ts';
import { waitForBuildPhase, waitForRows } from '../support/waits.ts';

const NAMES = ['snapshot', 'written'];
const LOCK_TIMEOUT = 3;

onEachMajor('transactions that a build has to wait for', (major) => {
  let instance: TestInstance;

  beforeAll(async () => {
    instance = await openInstance(major, {
      tables: `create table unrelated (n int);
        ${NAMES.map((name) => `create table ${name} (n int); insert into ${name} select generate_series(1, 20000);`).join('\n')}`,
      indexes: NAMES.map((name) => ({
        name: `${name}_n`,
        sql: `CREATE INDEX CONCURRENTLY IF NOT EXISTS ${name}_n ON ${name} (n)`,
        description: name,
      })),
      builds: { attempts: 3, lockTimeoutSeconds: LOCK_TIMEOUT },
    });
  });
  afterAll(async () => await instance?.close());

  /** Builds while a transaction is open, and ends the transaction when the build has waited longer than a lock timeout. */
  async function buildBehind(index: string, table: string, phase: string, end: () => Promise<unknown>) {
    const deploy = instance.build(index);
    await waitForBuildPhase(instance.database, table, phase);
    const [waiting] = await waitForLedger(instance.database, index, (rows) => rows[0]?.blockedBy != null);
    await waitForRows(
      instance.database,
      `select from pg_stat_activity join pg_stat_progress_create_index using (pid)
        where relid = $1::regclass and query_start < clock_timestamp() - make_interval(secs => $2)`,
      [table, LOCK_TIMEOUT + 1],
    );
    await end();
    const { report } = await deploy;
    return {
      report,
      waiting,
      log: instance.workflow.log.filter((line) => line.includes(`"${index}"`)).join('\n'),
    };
  }

  test('a build waits for a snapshot on an unrelated table and keeps its work: one backend, one attempt', async () => {
    const exporter = await instance.session('the nightly export');
    await exporter.query('begin isolation level repeatable read; select count(*) from unrelated');

    const ended = await buildBehind('snapshot_n', 'snapshot', 'waiting for old snapshots', async () => {
      await exporter.query('commit');
    });

    expect(ended.waiting?.blockedBy).toContain('the nightly export, idle in transaction');
    expect(ended.report.indexes).toMatchObject([{ status: 'built', attempts: 1 }]);
    expect(ended.report.indexes[0]?.blockedBy).toContain('the nightly export');
    expect(await instance.ledger('snapshot_n')).toMatchObject([{ attempt: 1, pid: ended.waiting?.pid }]);
    expect(ended.log).toContain('The build continues without its client.');
    expect(ended.log).toContain('the nightly export, idle in transaction');
    await instance.expectNoLeftovers();
    expect((await instance.build('snapshot_n')).report.indexes).toMatchObject([
      { status: 'present', attempts: 0 },
    ]);
  });

  test('a build waits for a writer that is idle in transaction, and by default does not terminate it', async () => {
    const writer = await instance.session('the worker');
    await writer.query('begin; insert into written values (0)');

    const ended = await buildBehind('written_n', 'written', 'waiting for writers before build', async () => {
      // The session is alive and its work is kept.
      await writer.query('commit');
    });

    expect(ended.report.indexes).toMatchObject([{ status: 'built', attempts: 1 }]);
    expect(ended.report.warnings).toEqual([]);
    expect(await instance.ledger('written_n')).toMatchObject([{ attempt: 1, pid: ended.waiting?.pid }]);
    expect(await instance.database.query('select n from written where n = 0')).toEqual([{ n: 0 }]);
    await instance.expectNoLeftovers();
  });
});

import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openInstance, type TestInstance } from '../support/instance.ts';
import { waitForLedger } from '../support/ledger.ts';
import { MAJORS } from '../support/servers.ts';
import { waitForBuildPhase, waitForRows } from '../support/waits.ts';

const entry = (name: string, on: string) => ({
  name,
  sql: `CREATE INDEX CONCURRENTLY IF NOT EXISTS ${name} ON ${on}`,
  description: 'of a test',
});

const RECORDED = 'The deploy ended before it recorded the result of the attempt. A later deploy recorded it.';

describe.each(MAJORS)('attempts of a deploy that was aborted, on PostgreSQL %i', (major) => {
  let instance: TestInstance;

  beforeAll(async () => {
    instance = await openInstance(major, {
      indexes: [
        entry('idx_people', 'people (id)'),
        entry('idx_parts', 'parts (id)'),
        entry('idx_other', 'other (id)'),
      ],
      tables: `create table people as select n as id from generate_series(1, 1000) n;
               create table parts (id int) partition by list (id);
               create table parts_1 partition of parts for values in (1);
               create table other (id int)`,
    });
  });
  afterAll(() => instance.close());

  /** Aborts a deploy and kills its functions while its build waits for an old snapshot. @returns the snapshot's session */
  async function abortDuringBuild(index: string, table: string): Promise<Client> {
    const reader = await instance.session();
    await reader.query('begin isolation level repeatable read; select from other');
    const { workflow } = instance.workflow;
    const { execution, ended } = workflow.start({ mode: 'indexes', indexes: [index] });
    await waitForBuildPhase(instance.database, table, 'waiting for old snapshots');
    execution.abort();
    workflow.lambdas.kill();
    await ended;
    return reader;
  }

  const statuses = async (item: string) => (await instance.ledger(item)).map(({ status }) => status);

  const unfinished = () =>
    instance.database.query(
      "select from deploy_step.index_builds where (finished_at is null) <> (status = 'building')",
    );

  test('are completed as built by the next deploy when the build has ended by itself', async () => {
    const reader = await abortDuringBuild('idx_people', 'people');
    expect(await instance.ledger('idx_people')).toMatchObject([{ status: 'building' }]);

    // The session still builds, so another deploy leaves the attempt as it is.
    const beside = instance.build('idx_other');
    await waitForBuildPhase(instance.database, 'other', 'waiting for old snapshots');
    expect(await statuses('idx_people')).toEqual(['building']);
    await reader.query('rollback');
    await beside;
    await waitForRows(
      instance.database,
      "select from pg_index where indexrelid = 'idx_people'::regclass and indisvalid",
    );
    const { report } = await instance.build('idx_people');

    expect(report.indexes).toMatchObject([{ status: 'present', attempts: 0 }]);
    expect(await instance.ledger('idx_people')).toMatchObject([{ status: 'built', message: RECORDED }]);
    expect(await unfinished()).toEqual([]);
    await instance.expectNoLeftovers();
  });

  test('are completed as failed when the session has ended, and another attempt has built the index', async () => {
    await instance.database.query('drop index idx_people');
    const reader = await abortDuringBuild('idx_people', 'people');
    const [attempt] = (await instance.ledger('idx_people')).slice(-1);
    await instance.database.query('select pg_terminate_backend($1, 30000)', [attempt?.pid]);
    await reader.query('rollback');

    const { report } = await instance.build('idx_people');

    expect(report.indexes).toMatchObject([{ status: 'repaired', attempts: 1 }]);
    expect((await instance.ledger('idx_people')).slice(-2)).toMatchObject([
      { status: 'retrying', message: RECORDED },
      { status: 'repaired', message: null },
    ]);
    expect(await unfinished()).toEqual([]);
    await instance.expectNoLeftovers();
  });

  test('are completed for partitions too, and a plan changes nothing', async () => {
    const reader = await abortDuringBuild('idx_parts', 'parts_1');
    const item = 'idx_parts @ parts_1';
    await waitForLedger(instance.database, item, ([row]) => row?.status === 'building');
    const [attempt] = await instance.ledger(item);
    await instance.database.query('select pg_terminate_backend($1, 30000)', [attempt?.pid]);
    await reader.query('rollback');

    await instance.workflow.deploy({ mode: 'plan', indexes: ['idx_parts'] });
    expect(await statuses(item)).toEqual(['building']);
    await instance.build('idx_parts');

    expect(await statuses(item)).toEqual(['retrying', 'repaired']);
    expect(await unfinished()).toEqual([]);
    await instance.expectNoLeftovers();
  });
});

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { partitionIndexName } from '../../lambdas/postgres/partition-tree.ts';
import type { IndexReport } from '../../lambdas/shared/report-schema.ts';
import { openBuilds, type TestBuilds } from '../support/builds.ts';
import { connect, type TestDatabase } from '../support/database.ts';
import { expectCompletePartitionedIndex, readIndexes } from '../support/partitions.ts';
import { MAJORS, serverOf } from '../support/servers.ts';
import { eventually } from '../support/waits.ts';

const ENTRY = {
  name: 'events_by_kind',
  sql: 'create index concurrently if not exists events_by_kind on events (kind)',
};

describe.each(MAJORS)('a partitioned table, on PostgreSQL %i', (major) => {
  const server = serverOf(major);
  let database: TestDatabase;
  let builds: TestBuilds;

  beforeEach(async () => {
    database = await server.createDatabase();
    await database.query(
      `create table events (id int, kind text) partition by range (id);
       create table events_1 partition of events for values from (0) to (1000);
       create table events_2 partition of events for values from (1000) to (2000);
       insert into events select n, 'kind ' || n % 7 from generate_series(0, 1999) n`,
    );
    builds = await openBuilds(database.url, [ENTRY], { waitSeconds: 0.05 });
  });
  afterEach(async () => {
    await database.drop();
  });

  function leafName(table: string): string {
    const [index] = builds.registry;
    if (index === undefined) throw new Error('The registry is empty.');
    return partitionIndexName(index, { schema: 'public', table });
  }

  const createParent = 'create index events_by_kind on only events using btree (kind)';

  /** Leaves an invalid index: the build waits for an open transaction and exceeds its lock timeout. */
  async function leaveInvalid(statement: string): Promise<void> {
    const [old, builder] = [await connect(database.url), await connect(database.url)];
    await old.query('begin isolation level repeatable read; select 1');
    await builder.query("set lock_timeout = '50ms'");
    await expect(builder.query(statement)).rejects.toMatchObject({ code: '55P03' });
    await Promise.all([old.end(), builder.end()]);
  }

  /**
   * When a part that is attached already is attached again, newer minor versions check whether the index is complete. Older
   * ones, such as this 14, do not. Then the failure says so, and its statement fixes it.
   */
  async function expectComplete(report: IndexReport | undefined, status: string): Promise<void> {
    if (major !== 14 || report?.status !== 'failed') {
      expect(report).toMatchObject({ status, error: null });
      return;
    }
    const fix = 'drop index "public"."events_by_kind";';
    expect(report.error?.message).toContain(fix);
    await database.query(fix);
    expect((await builds.deploy('after-the-drop')).events_by_kind).toMatchObject({ status: 'built' });
  }

  async function oidOf(name: string): Promise<unknown> {
    return (await database.query('select $1::regclass::oid as oid', [name]))[0]?.oid;
  }

  test('gets its index although a partition is created and another one dropped between the plan and the build', async () => {
    let plans = 0;
    const reports = await builds.deploy('first', async ({ lanes }) => {
      plans += 1;
      // The first plan has the index of the partitioned table, the second plan those of both partitions.
      if (plans !== 2) return;
      expect(lanes.map(({ table }) => table)).toEqual(['events_1', 'events_2']);
      await database.query(
        'create table events_3 partition of events for values from (2000) to (3000); drop table events_2',
      );
    });

    expect(reports.events_by_kind).toMatchObject({ status: 'built', error: null });
    await expectCompletePartitionedIndex(database, 2);
  });

  test('gets its index although partitions are created, detached and dropped during the builds', async () => {
    const old = await connect(database.url);
    await old.query('begin isolation level repeatable read; select 1');
    const deploy = builds.deploy('first');
    const waiting =
      "select 1 from pg_stat_progress_create_index where datname = current_database() and phase = 'waiting for old snapshots'";
    await eventually(async () => (await database.query(waiting)).length).toBe(2);
    await database.query('create table events_3 partition of events for values from (2000) to (3000)');
    // The detach waits for the build, which waits for the old transaction.
    const detaching = database.query('alter table events detach partition events_1');
    await eventually(
      async () =>
        (
          await database.query(
            "select 1 from pg_locks join pg_stat_activity using (pid) where datname = current_database() and not granted and mode = 'AccessExclusiveLock'",
          )
        ).length,
    ).toBeGreaterThan(0);
    await old.query('commit');
    await Promise.all([detaching, old.end()]);
    await database.query('drop table events_2');

    await expectComplete((await deploy).events_by_kind, 'built');
    expect((await builds.deploy('second')).events_by_kind).toMatchObject({ status: 'present' });
    const attached = (await readIndexes(database)).filter((one) => one.attached);
    expect(attached).toMatchObject([{ table: 'events_3', valid: true }]);
  });

  test('gets its index if a worker died after it had created the index of the partitioned table', async () => {
    await database.query(createParent);

    expect((await builds.deploy('next')).events_by_kind).toMatchObject({ status: 'built', attempts: 1 });
    await expectCompletePartitionedIndex(database, 2);
  });

  test('gets an index of a partition attached, and not built again, if a worker died before it attached it', async () => {
    await database.query(`${createParent}; create index ${leafName('events_1')} on events_1 (kind)`);
    const before = await oidOf(leafName('events_1'));

    expect((await builds.deploy('next')).events_by_kind).toMatchObject({ status: 'built', attempts: 1 });
    await expectCompletePartitionedIndex(database, 2);
    expect(await oidOf(leafName('events_1'))).toBe(before);
  });

  test('gets an invalid index of a partition rebuilt if a worker died during its build', async () => {
    await database.query(createParent);
    await leaveInvalid(`create index concurrently ${leafName('events_1')} on events_1 (kind)`);

    expect((await builds.deploy('next')).events_by_kind).toMatchObject({ status: 'repaired', attempts: 1 });
    await expectCompletePartitionedIndex(database, 2);
  });

  test('gets an equivalent index of a partition attached, and no second one built', async () => {
    await database.query('create index made_by_hand on events_2 (kind asc nulls last)');

    expect((await builds.deploy('first')).events_by_kind).toMatchObject({ status: 'built', attempts: 1 });
    await expectCompletePartitionedIndex(database, 2);
    expect((await readIndexes(database)).map((one) => one.name)).toContain('made_by_hand');
  });

  test('gets both of two indexes with the same definition, each with its own indexes of the partitions', async () => {
    await database.query('create index made_by_hand on events (kind); drop index made_by_hand');
    await database.query('create table elsewhere (id int, kind text) partition by range (id)');
    const twice = await openBuilds(database.url, [
      ENTRY,
      { name: 'events_again', sql: ENTRY.sql.replaceAll('events_by_kind', 'events_again') },
    ]);

    const report = await twice.deploy('first');

    // Both were planned before either existed, and neither is missing afterwards.
    expect(Object.values(report).map((one) => one.status)).toEqual(['built', 'built']);
    expect((await readIndexes(database)).filter((one) => one.attached && one.valid)).toHaveLength(4);
  });

  test('gets each index of a partition once if two workers build at the same time', async () => {
    const other = await openBuilds(database.url, [ENTRY], { waitSeconds: 0.05 });

    const [one, two] = await Promise.all([builds.deploy('one'), other.deploy('two')]);

    expect([one.events_by_kind?.status, two.events_by_kind?.status]).not.toContain('failed');
    await expectCompletePartitionedIndex(database, 2);
    // Without the item of the partitioned table itself: a deploy that plans between the last attachment and its end has that one.
    const built = await database.query(
      `select item, count(*)::int from deploy_step.index_builds
       where status in ('built', 'repaired') and item <> 'events_by_kind' group by item`,
    );
    expect(built.map(({ count }) => count)).toEqual([1, 1]);
  });

  describe('with an attached invalid index of a partition', () => {
    beforeEach(async () => {
      await database.query(
        `${createParent}; create index part_2 on events_2 (kind); alter index events_by_kind attach partition part_2`,
      );
      await leaveInvalid('create index concurrently part_1 on events_1 (kind)');
      await database.query('alter index events_by_kind attach partition part_1');
    });

    async function expectRepaired(deploy: string): Promise<void> {
      const report = await builds.deploy(deploy);
      const indexes = (await readIndexes(database)).filter((one) => one.table !== 'events');
      expect(indexes).toEqual([
        { table: 'events_1', name: 'part_1', valid: true, attached: true },
        { table: 'events_2', name: 'part_2', valid: true, attached: true },
      ]);
      await expectComplete(report.events_by_kind, 'repaired');
      await expectCompletePartitionedIndex(database, 2);
    }

    test('gets that index rebuilt in its place', async () => {
      await expectRepaired('first');
    });

    test('gets the leftovers of an interrupted REINDEX removed too', async () => {
      for (let count = 0; count < 2; count += 1) await leaveInvalid('reindex index concurrently part_1');
      const leftovers = (await readIndexes(database))
        .map((one) => one.name)
        .filter((name) => name.includes('_cc'));
      expect(leftovers).toEqual(['part_1_ccnew', 'part_1_ccnew1']);

      await expectRepaired('first');
    });
  });
});

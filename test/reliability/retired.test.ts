import { beforeEach, describe, expect, test } from 'vitest';
import { deadName } from '../../lambdas/postgres/index-names.ts';
import { type BuildEntries, openBuilds, type TestBuilds } from '../support/builds.ts';
import { connect, type TestDatabase } from '../support/database.ts';
import { MAJORS } from '../support/servers.ts';
import { useDatabase } from '../support/suite-database.ts';
import { waitForRows } from '../support/waits.ts';

const SQL = 'create index concurrently if not exists people_age on people (age desc) where age > 3';
const RETIRED = { since: '2026-01-01', reason: 'no query uses it' };
const FORCED = { ...RETIRED, force: true };
const RESTORE =
  'CREATE INDEX CONCURRENTLY "people_age" ON public.people USING btree (age DESC) WHERE (age > 3);';

describe.each(MAJORS)('a retired index on PostgreSQL %i', (major) => {
  let database: TestDatabase;
  useDatabase(
    major,
    `create table people (id int not null, age int);
     insert into people select n, n % 90 from generate_series(1, 3000) n;
     create index people_age on people (age desc) where age > 3;
     analyze people`,
    (opened) => {
      database = opened;
    },
  );

  // Before version 15, the statistics of a new database begin some moments after it.
  beforeEach(async () => {
    await waitForRows(
      database,
      `select from pg_stat_database
        where datname = current_database()
          and (stats_reset is not null or current_setting('server_version_num')::int >= 150000)`,
    );
  });

  const open = async (
    retired: NonNullable<BuildEntries[number]['retired']>,
    settings: Parameters<typeof openBuilds>[2] = {},
    faults: Parameters<typeof openBuilds>[3] = {},
    entry: Partial<BuildEntries[number]> = {},
  ): Promise<TestBuilds> =>
    await openBuilds(database.url, [{ name: 'people_age', sql: SQL, retired, ...entry }], settings, faults);

  const indexes = async () =>
    (
      await database.query(
        "select indexrelid::regclass::text as name from pg_index where indrelid = 'people'::regclass order by 1",
      )
    ).map((row) => (row as { name: string }).name);

  /** What deploys would have recorded if the last ones had been so long ago. */
  const daysPass = async (days: number) =>
    await database.query(
      `update deploy_step.index_scans set first_seen_at = first_seen_at - $1 * interval '1 day',
                                          unchanged_since = unchanged_since - $1 * interval '1 day'`,
      [days],
    );

  test('is dropped when no query has scanned it for the grace period, and the report can bring it back', async () => {
    const builds = await open(RETIRED);

    const first = await builds.deploy('first');
    expect(first.people_age).toMatchObject({ status: 'kept', attempts: 0, error: null });
    expect(first.people_age?.detail).toBe(
      'No deploy has recorded its scans before. It is dropped when no query has scanned it for 14 days (builds.retiredAfterDays). To ' +
        'drop it all the same, add force: true to "retired".',
    );
    expect(builds.drifted).toEqual([`Kept: people_age on people is retired. ${first.people_age?.detail}`]);
    expect(builds.rounds).toEqual([]);

    await daysPass(13);
    const second = await builds.deploy('second');
    expect(second.people_age?.status).toBe('kept');
    expect(second.people_age?.detail).toMatch(/^Deploys have seen no scan since 20.* It is dropped when/);

    await daysPass(2);
    const third = await builds.deploy('third');
    expect(third.people_age).toMatchObject({
      ...{ status: 'retired', attempts: 1, detail: null, restoreStatement: RESTORE, sizeBytes: null },
    });
    expect(builds.lastPlan).toMatchObject({ present: 0, failed: { critical: 0, nonCritical: 0 } });
    expect(await indexes()).toEqual([]);

    await database.query(RESTORE.replace(' CONCURRENTLY', ''));
    expect(await indexes()).toEqual(['people_age']);
  });

  test('that does not exist needs nothing, and is not built', async () => {
    await database.query('drop index people_age');
    const builds = await open(RETIRED);

    expect((await builds.deploy('one')).people_age).toMatchObject({ status: 'retired', attempts: 0 });
    expect(builds.rounds).toEqual([]);
    expect(await indexes()).toEqual([]);
  });

  test('is kept if a query has scanned it since', async () => {
    const builds = await open(RETIRED);
    await builds.deploy('first');
    await daysPass(100);
    await database.query('set enable_seqscan = off; select count(*) from people where age = 5');
    await waitForRows(
      database,
      "select from pg_stat_user_indexes where indexrelname = 'people_age' and idx_scan > 0",
    );

    const { people_age: index } = await builds.deploy('second');
    expect(index?.status).toBe('kept');
    expect(index?.detail).toMatch(
      major >= 16 ? /^A query scanned it at / : /^Queries have scanned it 1 time since a deploy of /,
    );
    expect(await indexes()).toEqual(['people_age']);
  });

  test('is kept if a query scans it between the plan and the drop', async () => {
    const builds = await open(RETIRED);
    await builds.deploy('first');
    await daysPass(100);

    const { people_age: index } = await builds.deploy('second', async ({ decision }) => {
      if (decision === 'done') return;
      await database.query('set enable_seqscan = off; select count(*) from people where age = 5');
      await waitForRows(
        database,
        "select from pg_stat_user_indexes where indexrelname = 'people_age' and idx_scan > 0",
      );
    });
    expect(builds.rounds).toHaveLength(1);
    expect(index?.status).toBe('kept');
    expect(await indexes()).toEqual(['people_age']);
  });

  test('is dropped at once if its entry forces it, and not before its date', async () => {
    const future = await open({ ...FORCED, since: '2999-01-01' });
    expect((await future.deploy('early')).people_age?.detail).toBe('It is retired from 2999-01-01 on.');

    const builds = await open(FORCED);
    expect((await builds.deploy('now')).people_age).toMatchObject({
      status: 'retired',
      restoreStatement: RESTORE,
    });
    expect(await indexes()).toEqual([]);
  });

  test('is not dropped if it is unique, unless that is forced', async () => {
    await database.query('drop index people_age; create unique index people_age on people (id)');
    const entry = { sql: 'create unique index concurrently if not exists people_age on people (id)' };
    const careful = await open(RETIRED, { retiredAfterDays: 0 }, {}, entry);
    expect((await careful.deploy('careful')).people_age?.detail).toMatch(
      /^It is unique: .* ON CONFLICT needs it\.$/,
    );

    const forced = await open(FORCED, {}, {}, entry);
    expect((await forced.deploy('forced')).people_age?.status).toBe('retired');
  });

  test.each([
    [
      'a constraint',
      'alter table people add constraint people_age unique using index people_age',
      'It backs a constraint: ',
    ],
    ['a foreign key', 'create table pets (person int references people (id))', 'It is used by foreign key '],
    [
      'the replica identity',
      'alter table people replica identity using index people_age',
      'It is the replica identity ',
    ],
    ['CLUSTER', 'alter table people cluster on people_age', 'Its table is clustered on it. '],
  ])('is kept if %s needs it, also if its entry forces the drop', async (_what, statement, reason) => {
    await database.query('drop index people_age; create unique index people_age on people (id)');
    const sql = 'create unique index concurrently if not exists people_age on people (id)';
    const builds = await open(FORCED, {}, {}, { sql });

    // After the plan, so that only the drop can see it.
    const { people_age: index } = await builds.deploy('one', async ({ decision }) => {
      if (decision === 'build') await database.query(statement);
    });
    expect(index).toMatchObject({ status: 'kept', attempts: 1 });
    expect(index?.detail?.startsWith(reason)).toBe(true);
    expect(await indexes()).toEqual(['people_age']);
  });

  test('of a partitioned table is kept, with the statement that drops it', async () => {
    await database.query(
      `create table events (id int, at date) partition by range (at);
       create table events_1 partition of events for values from ('2026-01-01') to ('2027-01-01');
       create index events_at on events (at)`,
    );
    const entry = {
      name: 'events_at',
      sql: 'create index concurrently if not exists events_at on events (at)',
    };
    const builds = await open(FORCED, {}, {}, entry);

    const { events_at: index } = await builds.deploy('one');
    expect(index?.status).toBe('kept');
    expect(index?.detail).toMatch(/DROP INDEX "public"\."events_at";$/);
    expect(await database.query("select from pg_index where indrelid = 'events_1'::regclass")).toHaveLength(
      1,
    );
  });

  test('is kept if its table is locked, and the deploy does not wait for long', async () => {
    const other = await connect(database.url);
    await other.query('begin; lock table people in share row exclusive mode');
    const builds = await open(FORCED);

    const { people_age: index } = await builds.deploy('locked');
    await other.query('rollback');
    await other.end();
    expect(index?.status).toBe('kept');
    expect(index?.detail).toMatch(
      /^Could not acquire the lock on table people within 3 s\. Blocked by .* The next deploy tries again\.$/,
    );
    expect((await builds.deploy('free')).people_age?.status).toBe('retired');
  });

  test('whose drop waits for a transaction is dropped by the session when that ends', async () => {
    const reader = await connect(database.url);
    await reader.query('begin isolation level repeatable read; select count(*) from people');
    const builds = await open(FORCED);

    const { people_age: index } = await builds.deploy('waiting');
    expect(index).toMatchObject({ status: 'retired', restoreStatement: RESTORE });
    expect(await indexes()).toHaveLength(1);
    await reader.query('rollback');
    await reader.end();
    await waitForRows(
      database,
      "select where not exists (select from pg_index where indrelid = 'people'::regclass)",
    );
  });

  test('is dropped by the next deploy if the drop is killed in the middle', async () => {
    const reader = await connect(database.url);
    await reader.query('begin isolation level repeatable read; select count(*) from people');
    const builds = await open(FORCED);
    await builds.deploy('killed');
    await database.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and query like 'drop index%'",
    );
    await reader.query('rollback');
    await reader.end();
    expect((await indexes())[0]).toMatch(/^pg_deploy_step_dead_/);

    const { people_age: index } = await builds.deploy('next');
    expect(index).toMatchObject({ status: 'retired', attempts: 1, restoreStatement: RESTORE });
    expect(await indexes()).toEqual([]);
  });

  test('is dropped by the next attempt if the function is killed after the index has lost its name', async () => {
    await database.query(
      `alter index people_age rename to ${deadName({ schema: 'public', name: 'people_age' })}`,
    );
    const builds = await open(RETIRED);

    expect((await builds.deploy('next')).people_age).toMatchObject({
      status: 'retired',
      restoreStatement: RESTORE,
    });
    expect(await indexes()).toEqual([]);
  });

  test('is kept if Build Index fails, and the deploy does not fail', async () => {
    const builds = await open(
      FORCED,
      {},
      {
        'build-index': async () => {
          throw Object.assign(new Error('it was ended'), { name: 'Sandbox.Timedout' });
        },
      },
    );

    const { people_age: index } = await builds.deploy('one');
    expect(index?.status).toBe('kept');
    expect(index?.detail).toContain('it was ended');
    expect(builds.lastPlan?.failed).toEqual({ critical: 0, nonCritical: 0 });
  });

  test('is kept if the deploy role may not drop it', async () => {
    await database.query(
      'create role other_owner_of_people; alter table people owner to other_owner_of_people',
    );
    const builds = await open(FORCED);
    const { people_age: index } = await builds.deploy('one');
    await database.query('alter table people owner to current_user; drop role other_owner_of_people');

    expect(index?.status).toBe('kept');
    expect(index?.detail).toMatch(/^The deploy role may not drop it: /);
  });

  test('is kept if the record of the scans is not a table of the deploy, and the deploy does not fail', async () => {
    const builds = await open(RETIRED);
    await builds.deploy('first');
    await daysPass(100);
    await database.query(
      'alter table deploy_step.index_scans rename to real_scans; create view deploy_step.index_scans as select * from deploy_step.real_scans',
    );

    const { people_age: index } = await builds.deploy('second');
    expect(index?.status).toBe('kept');
    expect(index?.detail).toMatch(/^No deploy has recorded its scans before\./);
    expect(builds.log.join('\n')).toContain('so retired ones are kept');
  });

  test('is dropped in each schema of its entry, and the builds of the table are not disturbed', async () => {
    await database.query(
      ['a', 'b', 'c']
        .map(
          (schema) =>
            `create schema ${schema}; create table ${schema}.t (n int, m int); create index t_n on ${schema}.t (n);`,
        )
        .join(' '),
    );
    const builds = await openBuilds(database.url, [
      {
        name: 't_n',
        sql: 'create index concurrently if not exists t_n on t (n)',
        schemas: ['?'],
        retired: FORCED,
      },
      { name: 't_m', sql: 'create index concurrently if not exists t_m on t (m)', schemas: ['?'] },
    ]);
    await builds.deploy('one');

    expect(
      await database.query(
        "select schemaname || '.' || indexname as name from pg_indexes where tablename = 't' order by 1",
      ),
    ).toEqual(['a.t_m', 'b.t_m', 'c.t_m'].map((name) => ({ name })));
    // The index of the table comes first, and then the drop.
    expect(builds.rounds[0]?.map(({ indexes: items }) => items)).toEqual([
      ['a.t_m', 'a.t_n'],
      ['b.t_m', 'b.t_n'],
      ['c.t_m', 'c.t_n'],
    ]);
  });

  test('does not keep small builds out of batches: the drops come in the next round', async () => {
    const schemas = Array.from({ length: 12 }, (_, at) => `tenant_${String(at).padStart(2, '0')}`);
    await database.query(
      schemas
        .map(
          (schema) =>
            `create schema ${schema}; create table ${schema}.t (n int, m int); create index t_n on ${schema}.t (n);`,
        )
        .join(' '),
    );
    const all = { schemas: ['tenant_*'] };
    const builds = await openBuilds(database.url, [
      { name: 't_n', sql: 'create index concurrently if not exists t_n on t (n)', ...all, retired: FORCED },
      { name: 't_m', sql: 'create index concurrently if not exists t_m on t (m)', ...all },
    ]);
    await builds.deploy('one');

    expect(builds.batches.map(({ built, left }) => [built, left])).toEqual([[12, 0]]);
    expect(builds.rounds.map((lanes) => lanes.length)).toEqual([0, 12]);
    expect(
      await database.query(
        "select schemaname as schema, indexname as name from pg_indexes where tablename = 't' order by 1",
      ),
    ).toEqual(schemas.map((schema) => ({ schema, name: 't_m' })));
  });
});

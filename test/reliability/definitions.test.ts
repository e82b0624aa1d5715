import { describe, expect, test } from 'vitest';
import { openBuilds } from '../support/builds.ts';
import { connect, type TestDatabase } from '../support/database.ts';
import { MAJORS } from '../support/servers.ts';
import { useDatabase } from '../support/suite-database.ts';

const UNIQUE_EMAIL = {
  name: 'people_by_email',
  sql: 'create unique index concurrently if not exists people_by_email on people (email)',
};
const BY_AGE = {
  name: 'people_by_age',
  sql: 'create index concurrently if not exists people_by_age on people (age)',
};

describe.each(MAJORS)('on PostgreSQL %i', (major) => {
  let database: TestDatabase;
  useDatabase(
    major,
    `create table people (id int, email text, age int);
       insert into people select n, 'p' || n, n % 90 from generate_series(1, 1000) n`,
    (opened) => {
      database = opened;
    },
  );

  async function indexNames(): Promise<unknown[]> {
    const rows = await database.query(
      "select indexname from pg_indexes where schemaname = 'public' order by 1",
    );
    return rows.map((row) => row.indexname);
  }

  test.each([
    [
      'a unique constraint',
      'alter table people add constraint people_email_key unique (email)',
      'people_email_key',
    ],
    ['a primary key', 'alter table people add constraint people_pk primary key (email)', 'people_pk'],
    ['another unique index', 'create unique index unique_email on people (email)', 'unique_email'],
  ])(
    'a unique index for which %s is equivalent is reported with its name, and not built',
    async (_existing, prepare, name) => {
      await database.query(prepare);
      const builds = await openBuilds(database.url, [UNIQUE_EMAIL]);

      const report = await builds.deploy('first');

      expect(report.people_by_email).toMatchObject({ status: 'equivalent', detail: name, attempts: 0 });
      expect(await indexNames()).toEqual([name]);
    },
  );

  test('a deferrable constraint is not equivalent to a unique index', async () => {
    await database.query('alter table people add constraint late unique (email) deferrable');
    const builds = await openBuilds(database.url, [UNIQUE_EMAIL]);

    expect((await builds.deploy('first')).people_by_email).toMatchObject({ status: 'built' });
    expect(await indexNames()).toEqual(['late', 'people_by_email']);
  });

  test('a drifted index is not changed, and the report has a warning', async () => {
    await database.query('create index people_by_age on people (age desc)');
    const [before] = await database.query("select 'people_by_age'::regclass::oid as oid");
    const builds = await openBuilds(database.url, [BY_AGE]);

    const report = await builds.deploy('first');

    expect(report.people_by_age).toMatchObject({
      status: 'drifted',
      detail: 'USING btree (age DESC)',
      attempts: 0,
    });
    expect(builds.drifted).toEqual([
      'Drifted: people_by_age on people has the definition USING btree (age DESC), which differs from the registry. ' +
        'Correct the registry, or set onDrift: "rebuild" to replace the index.',
    ]);
    expect(await database.query("select 'people_by_age'::regclass::oid as oid")).toEqual([before]);
  });

  test('a drifted index that backs a constraint is reported and not rebuilt, whatever onDrift says', async () => {
    await database.query('alter table people add constraint people_by_email unique (age, email)');
    const builds = await openBuilds(database.url, [{ ...UNIQUE_EMAIL, onDrift: 'rebuild' }]);

    const report = await builds.deploy('first');

    expect(report.people_by_email).toMatchObject({ status: 'drifted', attempts: 0 });
    expect(builds.drifted).toEqual([expect.stringContaining('It backs a constraint, so it is not replaced')]);
    expect(
      await database.query("select 1 from pg_constraint where conname = 'people_by_email'"),
    ).toHaveLength(1);
  });

  test('examining does not wait for an exclusively locked table: it compares only names', async () => {
    await database.query('create index people_by_age on people (age) where age > 3');
    const builds = await openBuilds(database.url, [BY_AGE, UNIQUE_EMAIL]);
    const holder = await connect(database.url);
    await holder.query('begin; lock table people in access exclusive mode');

    const examined = await builds.examine();

    // The test holds the lock until here, so examining has not waited for it.
    expect(examined.people_by_age?.state).toBe('present');
    expect(examined.people_by_email?.state).toBe('missing');
    await holder.end();
    expect((await builds.examine()).people_by_age?.state).toBe('drifted');
  });

  test('for a role that cannot create temporary tables, examining compares names and the text of definitions', async () => {
    const role = `plain_${database.name}`;
    await database.query(
      `create role ${role} login password 'plain'; revoke temporary on database ${database.name} from public;
       create index people_by_age on people (age desc); create unique index other on people using btree (email)`,
    );
    const url = new URL(database.url);
    url.username = role;
    url.password = 'plain';
    const builds = await openBuilds(url.href, [BY_AGE, UNIQUE_EMAIL]);

    const examined = await builds.examine();

    expect(examined.people_by_age?.state).toBe('present');
    expect(examined.people_by_email).toMatchObject({ state: 'equivalent', detail: 'other' });
    await database.query(`revoke all on database ${database.name} from ${role}; drop role ${role}`);
  });
});

import { setImmediate as tick } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { deadName, replacementName } from '../../lambdas/postgres/index-names.ts';
import { openBuilds, type TestBuilds } from '../support/builds.ts';
import { connect, type TestDatabase } from '../support/database.ts';
import { expectNoLeftovers } from '../support/leftovers.ts';
import { MAJORS, serverOf } from '../support/servers.ts';

const ENTRY = {
  name: 'people_by_age',
  sql: 'create index concurrently if not exists people_by_age on people (age, id)',
  onDrift: 'rebuild' as const,
};

describe.each(MAJORS)('a drifted index with onDrift: rebuild, on PostgreSQL %i', (major) => {
  const server = serverOf(major);
  let database: TestDatabase;
  let builds: TestBuilds;

  beforeEach(async () => {
    database = await server.createDatabase();
    await database.query(
      `create table people (id int, age int);
       insert into people select n, n % 90 from generate_series(1, 30000) n;
       create index people_by_age on people (age);
       analyze people`,
    );
    builds = await openBuilds(database.url, [ENTRY]);
  });
  afterEach(async () => {
    await expectNoLeftovers(async (sql) => await database.query(sql));
    await database.drop();
  });

  async function definitions(): Promise<unknown[]> {
    const rows = await database.query(
      "select indexname || ': ' || indexdef as text from pg_indexes where schemaname = 'public' order by 1",
    );
    return rows.map((row) => row.text);
  }
  const REBUILT = ['people_by_age: CREATE INDEX people_by_age ON public.people USING btree (age, id)'];
  const OLD = ['people_by_age: CREATE INDEX people_by_age ON public.people USING btree (age)'];

  function temporaryNames(): { dead: string; replacement: string } {
    const [index] = builds.registry;
    if (index === undefined) throw new Error('The registry is empty.');
    return { dead: deadName(index), replacement: replacementName(index) };
  }

  test('is replaced, and a valid index of its name exists and is used at every moment', async () => {
    const watcher = await connect(database.url, 'watcher');
    let ended = false;
    const seen: { valid: number; plan: string }[] = [];
    const watch = (async () => {
      while (!ended) {
        const { rows } = await watcher.query(
          `select count(*)::int as valid from pg_index i join pg_class c on c.oid = i.indexrelid
            where c.relname = 'people_by_age' and i.indisvalid and i.indisready and i.indislive`,
        );
        const plan = await watcher.query('explain (costs off) select id from people where age = 3');
        seen.push({ valid: rows[0].valid, plan: plan.rows.map((row) => row['QUERY PLAN']).join(' ') });
        await tick();
      }
    })();

    const report = await builds.deploy('first');
    ended = true;
    await watch;
    await watcher.end();

    expect(report.people_by_age).toMatchObject({ status: 'built', attempts: 1, detail: null });
    expect(seen.filter((one) => one.valid !== 1 || !one.plan.includes('Index'))).toEqual([]);
    expect(seen.length).toBeGreaterThan(5);
    expect(await definitions()).toEqual(REBUILT);
    expect((await builds.deploy('second')).people_by_age).toMatchObject({ status: 'present', attempts: 0 });
  });

  test('is replaced by the next deploy without another build if a worker died after the build of the replacement', async () => {
    const { replacement } = temporaryNames();
    await database.query(`create index ${replacement} on people (age, id)`);
    const [before] = await database.query(`select '${replacement}'::regclass::oid as oid`);

    await builds.deploy('next');

    expect(await definitions()).toEqual(REBUILT);
    expect(await database.query("select 'people_by_age'::regclass::oid as oid")).toEqual([before]);
  });

  test('is dropped by the next deploy if a worker died after it had renamed the old index', async () => {
    const { dead } = temporaryNames();
    await database.query(
      `alter index people_by_age rename to ${dead}; create index people_by_age on people (age, id)`,
    );

    const report = await builds.deploy('next');

    expect(report.people_by_age).toMatchObject({ status: 'present' });
    expect(await definitions()).toEqual(REBUILT);
  });

  test('gets the definition of this registry although a replacement of an earlier registry exists', async () => {
    const earlier = await openBuilds(database.url, [
      { ...ENTRY, sql: ENTRY.sql.replace('(age, id)', '(id, age)') },
    ]);
    const [index] = earlier.registry;
    if (index === undefined) throw new Error('The registry is empty.');
    await database.query(`create index ${replacementName(index)} on people (id, age)`);

    expect((await builds.deploy('next')).people_by_age).toMatchObject({ status: 'built' });
    expect(await definitions()).toEqual(REBUILT);
  });

  test('is replaced although an invalid replacement exists', async () => {
    const { replacement } = temporaryNames();
    await database.query(`create index ${replacement} on people (age, id)`);
    await database.query(
      `update pg_index set indisvalid = false where indexrelid = '${replacement}'::regclass`,
    );

    expect((await builds.deploy('next')).people_by_age).toMatchObject({ status: 'repaired' });
    expect(await definitions()).toEqual(REBUILT);
  });

  test('is kept unchanged if it cannot be rebuilt, and the failure is reported', async () => {
    const unique = await openBuilds(database.url, [
      { ...ENTRY, sql: 'create unique index concurrently if not exists people_by_age on people (age)' },
    ]);

    for (const deploy of ['first', 'second']) {
      const report = await unique.deploy(deploy);
      expect(report.people_by_age).toMatchObject({
        status: 'failed',
        attempts: 1,
        error: { sqlstate: '23505', message: expect.stringContaining('is duplicated') },
      });
      expect(await definitions()).toEqual(OLD);
    }
  });

  test('is rebuilt once if two deploys find it at the same time', async () => {
    const other = await openBuilds(database.url, [ENTRY]);

    const [one, two] = await Promise.all([builds.deploy('one'), other.deploy('two')]);

    const statuses = [one.people_by_age?.status, two.people_by_age?.status].toSorted();
    expect(statuses).toEqual(['built', 'present']);
    expect(await definitions()).toEqual(REBUILT);
  });
});

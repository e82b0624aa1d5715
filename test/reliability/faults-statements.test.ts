import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { IndexReport } from '../../lambdas/shared/report-schema.ts';
import { openBuilds, type TestBuilds } from '../support/builds.ts';
import type { TestDatabase } from '../support/database.ts';
import { expectNoLeftovers } from '../support/leftovers.ts';
import { MAJORS, serverOf } from '../support/servers.ts';

/** Errors that another attempt cannot fix: the index, its definition, and the error in the report. */
const FAULTS = [
  {
    fault: 'duplicate keys',
    name: 'dup_n',
    on: 'dup (n)',
    sqlstate: '23505',
    message: /duplicate|\(n\)=\(1\)/,
  },
  { fault: 'a missing table', name: 'gone_n', on: 'gone (n)', sqlstate: '42P01', message: /"public\.gone"/ },
  { fault: 'a missing column', name: 'colour', on: 'shop (colour)', sqlstate: '42703', message: /"colour"/ },
  { fault: 'a missing function', name: 'fn', on: 'shop (nofn(n))', sqlstate: '42883', message: /nofn/ },
  {
    fault: 'an expression that fails on a row',
    name: 'ratio',
    on: 'ratios ((100 / n))',
    sqlstate: '22012',
    message: /division by zero/,
  },
  {
    fault: 'a value too large',
    name: 'wide_text',
    on: 'wide (text)',
    sqlstate: '54000',
    message: /index row requires/,
  },
  {
    fault: 'the name of a valid index of another table',
    name: 'taken_by_index',
    on: 'shop (n)',
    sqlstate: '42P07',
    message:
      /taken_by_index is already used by an index of table other.*Rename that relation, or choose another name/,
  },
  {
    fault: 'the name of an invalid index of another table',
    name: 'taken_by_invalid',
    on: 'shop (n, id)',
    sqlstate: '42P07',
    message: /is already used by an index of table other_dup/,
  },
  ...['table', 'view', 'sequence'].map((kind) => ({
    fault: `the name of a ${kind}`,
    name: `taken_by_${kind}`,
    on: `shop (id, n) WHERE n > ${kind.length}`,
    sqlstate: '42P07',
    message: /is already used by a relation that is not an index/,
  })),
];

const TABLES = `
  create table dup (n int); insert into dup values (1), (1);
  create table shop (id int primary key, n int); insert into shop select n, n from generate_series(1, 100) n;
  create table ratios (n int); insert into ratios values (1), (0);
  create table wide (text text); insert into wide select string_agg(md5(n::text), '') from generate_series(1, 1000) n;
  create table other (n int); create index taken_by_index on other (n);
  create table other_dup (n int); insert into other_dup values (1), (1);
  create table taken_by_table (n int); create view taken_by_view as select 1; create sequence taken_by_sequence;`;

describe.each(MAJORS)('errors that another attempt cannot fix, PostgreSQL %i', (major) => {
  const server = serverOf(major);
  let database: TestDatabase;
  let builds: TestBuilds;
  let reports: Record<string, IndexReport>;

  beforeAll(async () => {
    database = await server.createDatabase();
    await database.query(TABLES);
    await database
      .query('create unique index concurrently taken_by_invalid on other_dup (n)')
      .catch(() => 'duplicate keys');
    builds = await openBuilds(database.url, [
      ...FAULTS.map(({ name, on }) => ({
        name,
        sql: `CREATE ${name === 'dup_n' ? 'UNIQUE ' : ''}INDEX CONCURRENTLY IF NOT EXISTS ${name} ON ${on}`,
      })),
      { name: 'shop_good', sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS shop_good ON shop (n DESC)' },
    ]);
    reports = await builds.deploy('first');
  });
  afterAll(async () => {
    await database?.drop();
  });

  test.each(FAULTS)(
    '$fault: the index fails with $sqlstate after one attempt',
    ({ name, sqlstate, message }) => {
      expect(reports[name]).toMatchObject({ status: 'failed', attempts: 1, error: { sqlstate } });
      expect(reports[name]?.error?.message).toMatch(message);
    },
  );

  test('the other index of the table is built, and a second deploy has the same results', async () => {
    expect(reports.shop_good).toMatchObject({ status: 'built', attempts: 1 });
    const again = await builds.deploy('second');
    expect(again.shop_good).toMatchObject({ status: 'present' });
    for (const { name, sqlstate } of FAULTS) {
      expect(again[name]).toMatchObject({ status: 'failed', attempts: 1, error: { sqlstate } });
    }
  });

  test('there are no leftovers, and the indexes of other tables are unchanged', async () => {
    expect(
      await database.query(
        "select indexrelid::regclass::text as name, indisvalid as valid from pg_index where indexrelid::regclass::text like 'taken%' order by 1",
      ),
    ).toEqual([
      { name: 'taken_by_index', valid: true },
      { name: 'taken_by_invalid', valid: false },
    ]);
    await database.query('drop index taken_by_invalid');
    await expectNoLeftovers(async (sql) => await database.query(sql));
  });
});

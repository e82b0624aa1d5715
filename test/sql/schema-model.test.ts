import { afterAll, beforeAll, expect, test } from 'vitest';
import { readSql } from '../../lib/sql/read-sql.ts';
import { applyStatement } from '../../lib/sql/schema/apply-statement.ts';
import { Schema } from '../../lib/sql/schema/schema-model.ts';
import { connect, createDatabase, type TestDatabase } from '../support/database.ts';

/** Statements that move, rename and drop tables and indexes. The test compares with the server after each. */
const HISTORY = `
create table tenants (id int primary key, name text unique, code text constraint tenants_code unique, x int, y int);
create table deals (id int generated always as identity, tenant_id int references tenants, "Status" text, amount int, note text, primary key (id) include (tenant_id));
create index on deals (tenant_id, "Status");
create index on deals (tenant_id, "Status" desc) where amount > 0 and "Status" <> 'amount';
create unique index deals_upper on deals (upper("Status"), (amount + 1)) include (note);
create index if not exists deals_upper on deals (id);
alter table deals add constraint deals_unique unique (tenant_id, amount);
alter table deals rename column amount to "Total";
alter table deals rename column tenant_id to tenant;
alter index deals_upper rename to deals_lower;
alter table deals_lower rename to deals_other;
alter table tenants add column org int unique, add constraint no_overlap exclude using gist (int4range(x, y) with &&);
alter table tenants rename constraint tenants_code to tenants_code_own;
create unique index tenants_x on tenants (x);
alter table tenants add constraint tenants_x_key unique using index tenants_x;
create index tenants_y on tenants (y);
create index tenants_org_y on tenants (org, y);
alter table tenants drop column org;
alter table tenants drop constraint tenants_name_key;
create materialized view totals as select tenant, count(*) as deals from deals group by tenant;
create unique index on totals (tenant);
create schema archive;
alter table deals set schema archive;
alter materialized view totals rename to sums;
drop index archive."deals_tenant_id_Status_idx", archive.deals_other;
create schema reports create table runs (id int primary key, at int) create index runs_at on runs (at);
alter table reports.runs rename to executions;
set search_path = reports, public;
create index on executions (at, id);
select pg_catalog.set_config('search_path', 'public', false);
create table events (id int, at date, kind text) partition by range (at);
create index events_at on only events (at);
create table events_1 partition of events for values from ('2020-01-01') to ('2021-01-01');
create table events_2 (like events);
create index events_2_at on events_2 (at);
alter table events attach partition events_2 for values from ('2021-01-01') to ('2022-01-01');
alter index events_at attach partition events_2_at;
create table events_3 partition of events for values from ('2022-01-01') to ('2023-01-01');
alter table events detach partition events_3;
alter table events rename to happenings;
alter schema reports rename to reporting;
drop table tenants cascade;
drop schema reporting cascade;
drop materialized view sums;
drop table happenings;
`;

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});

afterAll(async () => {
  await database.drop();
});

const INDEXES = `
  select n.nspname as schema, c.relname as name, t.relname as "table", i.indisunique as "unique",
         i.indpred is not null as partial, con.conname as constraint,
         array(select a.attname from unnest(i.indkey) with ordinality k(attnum, at)
                 left join pg_attribute a on a.attrelid = t.oid and a.attnum = k.attnum and k.attnum > 0
                where k.at <= i.indnkeyatts order by k.at)::text[] as columns
    from pg_index i
    join pg_class c on c.oid = i.indexrelid
    join pg_class t on t.oid = i.indrelid
    join pg_namespace n on n.oid = c.relnamespace
    left join pg_constraint con on con.conindid = c.oid and con.contype in ('p', 'u', 'x')
   where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
   order by 1, 2`;

const TABLES = `
  select n.nspname as schema, c.relname as name,
         array(select conname from pg_constraint con where con.conrelid = c.oid and contype = 'f' order by 1)::text[] as "foreignKeys"
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where c.relkind in ('r', 'p', 'm') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
   order by 1, 2`;

const byName = (a: { schema: string; name: string }, b: { schema: string; name: string }) =>
  `${a.schema} ${a.name}` < `${b.schema} ${b.name}` ? -1 : 1;

test('after each statement the model has the same tables and indexes as the server', async () => {
  const client = await connect(database.url);
  const schema = new Schema();
  for (const statement of readSql(HISTORY).statements) {
    await client.query(statement.sql);
    applyStatement(schema, 'history.sql', statement);

    const { rows } = await client.query<{ name: string }>(INDEXES);
    const indexes = schema.indexes.map(({ name, table, unique, partial, constraint, columns, ...index }) => ({
      schema: index.schema,
      ...{ name, table, unique, partial, constraint, columns },
    }));
    expect(indexes.toSorted(byName), statement.sql).toEqual(rows.toSorted(byName as never));
    const tables = schema.tables.map(({ schema: of, name, foreignKeys }) => ({
      schema: of,
      name,
      foreignKeys: foreignKeys.map((key) => key.name).toSorted(),
    }));
    expect(tables.toSorted(byName), statement.sql).toEqual(
      (await client.query(TABLES)).rows.toSorted(byName),
    );
  }
  await client.end();
});

function schemaOf(sql: string): Schema {
  const schema = new Schema();
  for (const statement of readSql(sql).statements) applyStatement(schema, 'a.sql', statement);
  return schema;
}

test('a renamed column has its new name everywhere in the statement of an index', () => {
  const schema = schemaOf(`
    create index i on t (a, lower(a), b desc) include (a2, "A") where a = 'a' and f(a) > a.b and "A" is null;
    alter table t rename column a to "select";
    alter table t rename column "A" to z;`);

  expect(schema.indexes[0]?.written?.sql).toBe(
    `create index i on t ("select", lower("select"), b desc) include (a2, z) where "select" = 'a' and f("select") > a.b and z is null`,
  );
});

test('a dropped index is recorded with the statement that drops it', () => {
  const schema = schemaOf(`create table t (a int, b int);
create index i on t (a);
create index j on t (b) where a > 0;
create index k on t (b);
alter table t drop column a;
drop table t;`);

  expect(schema.dropped.map(({ index, by, place }) => [index.name, by, place.line])).toEqual([
    ['i', 'ALTER TABLE t DROP COLUMN a', 5],
    ['j', 'ALTER TABLE t DROP COLUMN a', 5],
    ['k', 'DROP TABLE t', 6],
  ]);
});

test('a table that no statement creates can have indexes, with their comments', () => {
  const schema = schemaOf(`create index i on app.t (a);
alter table app.t rename to u;
comment on index app.i is 'by a';`);
  expect(schema.indexes).toMatchObject([{ schema: 'app', name: 'i', table: 'u', description: 'by a' }]);
});

test('the model has columns, and the tables that foreign keys reference', () => {
  const schema = schemaOf(`create table a (id int primary key);
create table b (x int references a, y int, foreign key (x, y) references c);
create table d (like b, z int);
alter table b drop column y;`);
  expect(schema.tables.map(({ name, columns }) => [name, columns])).toEqual([
    ['a', ['id']],
    ['b', ['x']],
    ['d', ['x', 'y', 'z']],
  ]);
  expect(schema.table({ schema: 'public', name: 'b' })?.foreignKeys).toMatchObject([
    {
      name: 'b_x_fkey',
      columns: ['x'],
      references: { schema: 'public', name: 'a' },
      place: { file: 'a.sql', line: 2 },
    },
  ]);
});

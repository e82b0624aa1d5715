import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { reportSchema } from '../../lambdas/shared/report-schema.ts';
import { type CommandFolder, createCommandFolder } from '../support/command.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let place: CommandFolder;

const entry = (name: string, definition: string, serves: string[]) => ({
  name,
  sql: `create index concurrently if not exists ${name} on orders ${definition}`,
  description: 'test',
  serves,
});

beforeAll(async () => {
  database = await createDatabase();
  await database.query(`
    create table orders (id int primary key, tenant_id int not null, note text not null);
    insert into orders select i, case when i % 20 > 0 then 1 else i % 500 end, 'note ' || i from generate_series(1, 40000) i;
    analyze orders`);
  place = createCommandFolder();
  mkdirSync(place.file('queries'));
  const query = (name: string, sql: string) => writeFileSync(place.file(`queries/${name}.sql`), sql);
  query('orders_of_tenant', '-- :tenant: 420\nselect note from orders where tenant_id = :tenant');
  query(
    'all_orders_of_tenant',
    '-- :tenant: 420\n-- profile: largest tenant\n-- :tenant: 1\nselect note from orders where tenant_id = :tenant',
  );
  query('untyped', 'select note from orders where $1 is null');
  writeFileSync(
    place.file('my.json'),
    JSON.stringify([
      entry('orders_tenant', '(tenant_id)', [
        'orders_of_tenant',
        'all_orders_of_tenant',
        'untyped',
        'absent',
      ]),
      entry('orders_note', '(note)', ["select id from orders where note = 'note 7'"]),
    ]),
  );
});
afterAll(async () => {
  place.remove();
  await database.drop();
});

async function run() {
  return await place.run(
    ...['run', '--database-url', database.deployUrl, '--mode', 'indexes', '--indexes', 'my.json'],
    ...['--migrations', 'none', '--services', 'none', '--report', 'out.json'],
  );
}

test('after the build, the report says what each query in serves does, for the worst of its profiles', async () => {
  const { exitCode, stdout } = await run();

  expect(exitCode).toBe(0);
  const written = JSON.parse(readFileSync(place.file('out.json'), 'utf8'));
  expect(written).toEqual(reportSchema.parse(written));
  expect(written.queries).toEqual([
    {
      ...{ name: 'orders_of_tenant', servedBy: ['orders_tenant'], verdict: 'index', index: 'orders_tenant' },
      ...{ cost: expect.any(Number), message: expect.stringContaining('It uses index orders_tenant.') },
    },
    {
      ...{ name: 'all_orders_of_tenant', servedBy: ['orders_tenant'], verdict: 'seq-scan', index: null },
      cost: expect.any(Number),
      message: expect.stringContaining('all of orders (40,000 rows) with the filter (orders.tenant_id = $1)'),
    },
    {
      ...{ name: 'untyped', servedBy: ['orders_tenant'], verdict: 'error', index: null, cost: null },
      message: expect.stringContaining('Write a cast to its type in the query, such as $1::bigint'),
    },
    {
      ...{ name: 'absent', servedBy: ['orders_tenant'], verdict: 'error', index: null, cost: null },
      message: expect.stringContaining('queries/absent.sql does not exist'),
    },
    {
      ...{ name: "select id from orders where note = 'note 7'", servedBy: ['orders_note'] },
      ...{ verdict: 'index', index: 'orders_note', cost: expect.any(Number), message: expect.any(String) },
    },
  ]);
  expect(stdout).toContain('Queries: 2 of 5 use the index that names them in serves');
  expect(stdout).toContain('all_orders_of_tenant: seq-scan: It reads all of orders');
  expect(`${stdout}${JSON.stringify(written)}`).not.toContain('420');
});

test('nothing is planned while another role owns a function, which planning could run', async () => {
  await database.query(`
    drop index orders_note;
    create role planner_test login;
    create function code() returns int language sql as 'select 1';
    alter function code() owner to planner_test`);
  try {
    const { exitCode, stdout } = await run();

    expect(exitCode).toBe(0);
    expect(stdout).toContain('The queries in serves were not planned: PostgreSQL runs functions');
    expect(stdout).toContain('planner_test owns some');
    expect(JSON.parse(readFileSync(place.file('out.json'), 'utf8')).queries).toBeUndefined();
  } finally {
    await database.query('drop function code(); drop role planner_test');
  }
});

test('a deploy that builds no index plans no query', async () => {
  const { exitCode, stdout } = await run();

  expect(exitCode).toBe(0);
  expect(JSON.parse(readFileSync(place.file('out.json'), 'utf8')).queries).toBeUndefined();
  expect(stdout).not.toContain('Queries:');
});

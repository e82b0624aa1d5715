import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type CommandFolder, createCommandFolder } from '../support/command.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let place: CommandFolder;

beforeAll(async () => {
  database = await createDatabase();
  await database.query(`
    create table orders (id int primary key, tenant_id int not null, note text not null);
    insert into orders select i, i % 500, 'note ' || i from generate_series(1, 60000) i;
    create table visits (id int primary key, page text not null);
    insert into visits select i, 'page ' || i from generate_series(1, 2000) i;
    analyze`);
});
afterAll(async () => await database.drop());
beforeEach(() => {
  place = createCommandFolder();
  mkdirSync(place.file('queries'));
});
afterEach(() => place.remove());

const BY_TENANT = '-- The orders of a tenant.\n-- $1: 17\nselect note from orders where tenant_id = $1;\n';

function query(name: string, sql: string): void {
  writeFileSync(place.file(`queries/${name}.sql`), sql);
}

async function explain(...args: string[]) {
  return await place.run('explain', '--database-url', database.url, ...args);
}

test('--query prints the contract as JSON', async () => {
  const { exitCode, stdout } = await explain(
    ...['--query', 'select note from orders where tenant_id = $1', '--param', '17', '--json'],
  );
  expect(exitCode).toBe(0);
  const { queries } = JSON.parse(stdout);
  expect(queries).toHaveLength(1);
  expect(queries[0]).toMatchObject({
    name: 'query',
    verdict: 'seq-scan',
    index: null,
    cost: expect.any(Number),
    message: expect.stringContaining('all of orders (60,000 rows) with the filter (orders.tenant_id = $1)'),
    proposal: {
      entry: {
        name: 'idx_orders_tenant_id',
        sql: 'create index concurrently if not exists idx_orders_tenant_id on orders (tenant_id)',
        description: expect.any(String),
      },
      table: 'orders',
      columns: [{ column: 'tenant_id', direction: 'asc' }],
      method: 'btree',
      where: null,
      include: [],
      tried: false,
      costAfter: null,
    },
  });
});

test('--fail-on fails a pull request whose query scans a large table, and names table, rows and filter', async () => {
  query('orders_of_tenant', BY_TENANT);
  query('page', "select id from visits where page = 'page 7'");
  const gate = ['--queries', 'queries', '--fail-on', 'seq-scan', '--min-rows', '50000'];

  const failed = await explain(...gate);
  expect(failed.exitCode).toBe(1);
  expect(failed.stdout).toContain(
    'orders_of_tenant: seq-scan: It reads all of orders (60,000 rows) with the filter (orders.tenant_id = $1).',
  );
  expect(failed.stdout).toContain(
    'page: too-small: visits has 2,000 rows, fewer than 50,000: too small to judge.',
  );
  expect(failed.stdout).toContain('2 queries: 1 failed, 0 warnings, 2 proposals.');

  await database.query('create index orders_by_tenant on orders (tenant_id)');
  try {
    const passed = await explain(...gate);
    expect(passed.exitCode).toBe(0);
    expect(passed.stdout).toContain('orders_of_tenant: index: It uses index orders_by_tenant.');
  } finally {
    await database.query('drop index orders_by_tenant');
  }
});

test('--format github annotates the line of the query', async () => {
  query('orders_of_tenant', BY_TENANT);
  const { exitCode, stdout } = await explain(
    ...['--queries', 'queries', '--fail-on', 'seq-scan', '--format', 'github'],
  );
  expect(exitCode).toBe(1);
  expect(stdout).toMatch(
    /^::error file=queries\/orders_of_tenant\.sql,line=3,title=seq-scan::orders_of_tenant: It reads all of orders/,
  );
});

test('a baseline accepts the plans of today, so that only other ones fail', async () => {
  query('orders_of_tenant', BY_TENANT);
  const gate = ['--queries', 'queries', '--fail-on', 'seq-scan', '--baseline', 'plans.json'];
  expect(await explain(...gate)).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining('--update-baseline'),
  });
  expect((await explain(...gate, '--update-baseline')).exitCode).toBe(0);
  expect(JSON.parse(readFileSync(place.file('plans.json'), 'utf8'))).toEqual({
    version: 1,
    queries: { orders_of_tenant: { verdict: 'seq-scan', tables: ['public.orders'] } },
  });
  const accepted = await explain(...gate);
  expect(accepted).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining('accepted by the baseline'),
  });

  query('visits', "select id from visits where page = 'page 7'");
  expect((await explain(...gate)).exitCode).toBe(1);
  rmSync(place.file('queries/visits.sql'));
  query(
    'orders_of_tenant',
    `${BY_TENANT.replace(';', '')} and exists (select from visits where page = note)`,
  );
  expect((await explain(...gate)).exitCode).toBe(1);
});

test('policies are configured by verdict and table', async () => {
  query('orders_of_tenant', BY_TENANT);
  query('visits', "select id from visits where page = 'page 7'");
  const configure = (explainContext: unknown) =>
    writeFileSync(place.file('cdk.json'), JSON.stringify({ context: { explain: explainContext } }));

  configure({ policies: { 'seq-scan': 'fail' } });
  expect(await explain('--queries', 'queries')).toMatchObject({
    exitCode: 1,
    stdout: expect.stringContaining('2 failed'),
  });
  configure({ policies: { 'seq-scan': [{ tables: ['orders', 'public.visits'], policy: 'off' }] } });
  expect(await explain('--queries', 'queries', '--fail-on', 'seq-scan')).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining('0 failed, 0 warnings'),
  });
  configure({ policies: { 'seq-scan': 'error' }, rows: 3 });
  const wrong = await explain('--queries', 'queries');
  expect(wrong.exitCode).toBe(1);
  expect(wrong.stderr).toContain('explain.policies.seq-scan: must be off, warn or fail');
  expect(wrong.stderr).toContain('unknown field rows');
});

test('without --query and --queries, the queries of the registry are planned: files and texts', async () => {
  query('orders_of_tenant', BY_TENANT);
  const entry = (name: string, definition: string, serves: string[]) => ({
    name,
    sql: `create index concurrently if not exists ${name} on ${definition}`,
    description: 'test',
    serves,
  });
  writeFileSync(
    place.file('indexes.json'),
    JSON.stringify([
      entry('orders_by_tenant', 'orders (tenant_id)', ['orders_of_tenant', 'absent']),
      entry('visits_by_page', 'visits (page)', ["select id from visits where page = 'page 9'"]),
    ]),
  );
  const { exitCode, stdout } = await explain('--indexes', 'indexes.json', '--json');
  expect(exitCode).toBe(1);
  const { queries } = JSON.parse(stdout);
  expect(queries).toMatchObject([
    {
      name: 'orders_of_tenant',
      verdict: 'seq-scan',
      servedBy: ['orders_by_tenant'],
      proposal: { registered: true, entry: { name: 'orders_by_tenant' } },
    },
    {
      name: 'absent',
      verdict: 'error',
      message: expect.stringContaining('queries/absent.sql does not exist'),
    },
    {
      name: "select id from visits where page = 'page 9'",
      verdict: 'seq-scan',
      proposal: { entry: { name: 'visits_by_page' } },
    },
  ]);
});

test('a query that cannot be planned fails the command', async () => {
  query('broken', 'select 1;\nselect 2;\n');
  const { exitCode, stdout } = await explain('--queries', 'queries');
  expect(exitCode).toBe(1);
  expect(stdout).toContain('broken: error: The query cannot be planned: it contains 2 statements');
});

test.each([
  [['--query', 'select 1', '--queries', 'queries'], '--query and --queries cannot be combined'],
  [['--queries', 'queries', '--param', '1'], '--param gives a value to --query'],
  [['--queries', 'queries', '--update-baseline'], '--update-baseline needs the file'],
  [
    ['--queries', 'queries', '--fail-on', 'slow'],
    'Allowed verdicts are seq-scan, other-index, not-provable, too-small',
  ],
  [['--queries', 'absent'], 'absent does not exist'],
  [['--queries', 'queries', '--min-rows', 'many'], 'It must be a whole number'],
  [['--query', 'select 1', '--json', '--format', 'github'], '--json and --format github cannot be combined'],
  [[], 'has no cdk.json that names a registry'],
])('wrong usage: %j', async (args, text) => {
  const { exitCode, stderr } = await explain(...args);
  expect(exitCode).toBe(2);
  expect(stderr).toContain(text);
});

test('too many values are an error that says how many the query has', async () => {
  const { exitCode, stdout } = await explain('--query', 'select 1', '--param', 'x');
  expect(exitCode).toBe(1);
  expect(stdout).toContain('it has 0 parameters, and --param gives 1 value');
});

test('the password and the values never appear', async () => {
  const { stdout, stderr } = await explain(
    ...[
      '--query',
      'select note from orders where note = $1 and tenant_id = $2',
      '--param',
      'secret-note',
      '--param',
      '421',
    ],
  );
  expect(stdout + stderr).not.toMatch(/secret-note|421/);
  expect(stdout + stderr).not.toContain(new URL(database.url).password);
});

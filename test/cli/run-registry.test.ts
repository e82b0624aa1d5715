import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { reportSchema } from '../../lambdas/shared/report-schema.ts';
import type { IndexEntry } from '../../lib/registry/define-indexes.ts';
import { type CommandFolder, createCommandFolder } from '../support/command.ts';
import { connect, createDatabase, type TestDatabase } from '../support/database.ts';

// All tests share one database: each test continues from the state that the previous one left.
const INDEXES: IndexEntry[] = [
  {
    name: 'idx_orders_status',
    sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_orders_status ON shop.orders (status)',
    description: 'orders by status',
  },
  {
    name: 'people_email_key',
    sql: 'CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS people_email_key ON people (lower(email))',
    critical: true,
    description: 'signing in',
  },
  {
    name: 'idx_people_name',
    sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_people_name ON people (name)',
    description: 'people by name',
  },
];

let database: TestDatabase;
let place: CommandFolder;

beforeAll(async () => {
  place = createCommandFolder();
  writeFileSync(place.file('my.json'), JSON.stringify(INDEXES));
  database = await createDatabase();
  await database.query(`
    create schema shop;
    create table shop.orders (id int primary key, status text not null);
    insert into shop.orders select n, 'done' from generate_series(1, 1000) n;
    create table people (id int primary key, email text not null, name text);
    insert into people select n, 'person' || n || '@example.com', 'Person ' || n from generate_series(1, 1000) n;
  `);
});

afterAll(async () => {
  place.remove();
  await database.drop();
});

/** Starts the deploy with the registry of this file. */
function start(...args: string[]) {
  const registry = ['--indexes', 'my.json', '--migrations', 'none', '--services', 'none'];
  return place.start('run', '--database-url', database.deployUrl, ...registry, ...args);
}

async function run(...args: string[]) {
  return await start(...args).ended;
}

/** The oid of each valid index by name, primary keys excluded. */
async function validIndexes(): Promise<Record<string, number>> {
  const rows = await database.query<{ name: string; oid: number }>(
    `select c.relname as name, c.oid::int as oid from pg_index i join pg_class c on c.oid = i.indexrelid
      where i.indisvalid and not i.indisprimary
        and c.relnamespace in (to_regnamespace('public'), to_regnamespace('shop'))
      order by 1`,
  );
  return Object.fromEntries(rows.map(({ name, oid }) => [name, oid]));
}

test('--mode plan lists the missing indexes and changes nothing', async () => {
  const { exitCode, stdout } = await run('--mode', 'plan');

  expect(exitCode).toBe(0);
  expect(stdout).toContain('Indexes: 0 already present, 3 to build');
  expect(stdout).toMatch(/shop\.idx_orders_status +on shop\.orders +non-critical/);
  expect(await validIndexes()).toEqual({});
  expect(await database.query("select 1 from pg_namespace where nspname = 'deploy_step'")).toEqual([]);
});

test('--only, given twice, builds only those two indexes', async () => {
  const { exitCode, stdout } = await run(
    ...['--mode', 'indexes', '--max-concurrent', '1', '--when', 'after-start'],
    ...['--only', 'idx_people_name', '--only', 'people_email_key'],
  );

  expect(exitCode).toBe(0);
  expect(stdout).toContain('Indexes: 2 created, 0 already present, 0 failed, 0 remaining');
  expect(Object.keys(await validIndexes())).toEqual(['idx_people_name', 'people_email_key']);
});

test('--mode indexes builds the indexes of the registry and writes a report that matches the schema', async () => {
  await database.query('drop index idx_people_name, people_email_key');

  const { exitCode, stdout } = await run('--mode', 'indexes', '--report', 'out.json');

  expect(exitCode).toBe(0);
  expect(Object.keys(await validIndexes())).toEqual([
    'idx_orders_status',
    'idx_people_name',
    'people_email_key',
  ]);
  expect(stdout).toContain('Indexes: 3 created, 0 already present, 0 failed, 0 remaining');
  const written: unknown = JSON.parse(readFileSync(place.file('out.json'), 'utf8'));
  const report = reportSchema.parse(written);
  // The report has no field that the schema does not know, and all fields of the contract.
  expect(written).toEqual(report);
  expect(Object.keys(report)).toEqual(
    expect.arrayContaining([
      ...['deploy', 'mode', 'status', 'startedAt', 'finishedAt', 'services', 'downtimeMs'],
      ...['migrations', 'indexes', 'warnings'],
    ]),
  );
  expect(report).toMatchObject({
    mode: 'indexes',
    status: 'succeeded',
    services: [],
    downtimeMs: 0,
    migrations: { applied: [], pending: [] },
    warnings: [],
  });
  expect(Date.parse(report.startedAt)).toBeLessThan(Date.parse(report.finishedAt));
  expect(report.indexes.find((index) => index.name === 'idx_orders_status')).toMatchObject({
    name: 'idx_orders_status',
    schema: 'shop',
    table: 'orders',
    critical: false,
    status: 'built',
    attempts: 1,
    durationMs: expect.any(Number),
    sizeBytes: expect.any(Number),
    error: null,
  });
  expect(report.indexes.find((index) => index.name === 'people_email_key')?.critical).toBe(true);
});

test('a second run changes nothing and reports that there is nothing to do', async () => {
  const before = await validIndexes();

  const { exitCode, stdout } = await run('--mode', 'indexes', '--report', 'out.json');

  expect(exitCode).toBe(0);
  expect(stdout).toContain('Nothing to do');
  expect(stdout).toContain('Indexes: 0 created, 3 already present, 0 failed, 0 remaining');
  expect(await validIndexes()).toEqual(before);
  const report = reportSchema.parse(JSON.parse(readFileSync(place.file('out.json'), 'utf8')));
  expect(report.indexes.map((index) => index.status)).toEqual(['present', 'present', 'present']);
});

test('with one attempt on a locked table, the deploy succeeds with a warning and without the index', async () => {
  await database.query('drop index idx_people_name');
  const blocker = await connect(database.url);
  await blocker.query('begin');
  await blocker.query('lock table people in access exclusive mode');

  const { exitCode, stdout } = await run('--attempts', '1', '--lock-timeout', '3');
  await blocker.query('rollback');
  await blocker.end();

  expect(exitCode).toBe(0);
  expect(stdout).toContain('Indexes: 0 created, 2 already present, 1 failed, 0 remaining');
  expect(stdout).toContain('idx_people_name on people (non-critical, 1 attempt');
  expect(stdout).toMatch(/Blocked by pid \d+ \(test, idle in transaction/);
  expect(stdout).toContain(
    'Warning: Not built: idx_people_name. The deploy continued, because these indexes are not critical.',
  );
  expect(Object.keys(await validIndexes())).toEqual(['idx_orders_status', 'people_email_key']);
});

test('a closed pipe, such as `| head`, does not end the deploy', async () => {
  const command = start();
  command.closeOutput();

  const { exitCode } = await command.ended;

  expect(exitCode).toBe(0);
  expect(Object.keys(await validIndexes())).toEqual([
    'idx_orders_status',
    'idx_people_name',
    'people_email_key',
  ]);
});

test('no run leaves a process or a file behind', () => {
  expect(place.processes()).toEqual([]);
  expect(place.temporaryFiles()).toEqual([]);
  expect(place.files()).toEqual(['my.json', 'out.json']);
});

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { runner } from 'node-pg-migrate';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { MIGRATIONS_TABLE } from '../../lambdas/postgres/migration-history.ts';
import { seedDemo } from '../../lib/local/seed-demo.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

const MIGRATIONS = join(import.meta.dirname, '../../database/migrations');

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});
afterAll(async () => await database.drop());

test('seeds a database whose sequences have used numbers, as after an interrupted seed', async () => {
  await runner({
    databaseUrl: database.url,
    dir: MIGRATIONS,
    direction: 'up',
    migrationsTable: MIGRATIONS_TABLE,
    count: (await readdir(MIGRATIONS)).length - 2,
    log: () => undefined,
  });
  await database.query("begin; insert into tenants (slug, name) values ('x', 'x'); rollback");

  expect(await seedDemo(database.deployUrl)).toBe(true);

  expect(await database.query('select min(id)::int as first, max(id)::int as last from tenants')).toEqual([
    { first: 1, last: 200 },
  ]);
  expect(await seedDemo(database.deployUrl)).toBe(false);
});

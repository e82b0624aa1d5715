import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { reportSchema } from '../../lambdas/shared/report-schema.ts';
import { type CommandFolder, createCommandFolder } from '../support/command.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let place: CommandFolder;

beforeAll(async () => {
  place = createCommandFolder();
  database = await createDatabase();
  await database.query('create table orders (id int primary key, status text)');
  const sql = 'CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_orders_status ON orders (status)';
  writeFileSync(
    place.file('orders.json'),
    JSON.stringify([{ name: 'idx_orders_status', sql, description: 'orders by status' }]),
  );
});

afterAll(async () => {
  place.remove();
  await database.drop();
});

test('--task-definition brings the named services back on their new revisions', async () => {
  const { exitCode, stdout, stderr } = await place.run(
    ...['run', '--database-url', database.deployUrl, '--indexes', 'orders.json', '--migrations', 'none'],
    ...['--services', 'demo', '--seed', 'none', '--json'],
    ...['--task-definition', 'api=api:2', '--task-definition', 'worker=worker:3'],
  );

  expect(exitCode, stderr).toBe(0);
  const { services } = reportSchema.parse(JSON.parse(stdout));
  expect(services.map(({ name, revision }) => [name, revision])).toEqual([
    ['api', { from: 'api:1', to: 'api:2' }],
    ['worker', { from: 'worker:1', to: 'worker:3' }],
  ]);
  expect(stderr).toContain('Revisions: api api:1 → api:2, worker worker:1 → worker:3');
});

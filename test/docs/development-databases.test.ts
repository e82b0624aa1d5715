import { mkdirSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CommandFolder, createCommandFolder } from '../support/command.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { blocksOf, commandsOf } from './support/page-blocks.ts';

/*
 * The commands of docs/development-databases.md, and the SQL with which docs/upgrade.md removes the product, as they are written there.
 */

const PAGE = 'docs/development-databases.md';

const TABLE = 'create table orders (id bigint primary key, tenant_id bigint not null, status text not null);';
const REGISTRY = `export default [{
  name: 'idx_orders_status',
  sql: 'create index concurrently if not exists idx_orders_status on orders (tenant_id, status)',
  description: 'orders by status',
}];
`;

let place: CommandFolder;
let template: TestDatabase;
let migrated: TestDatabase;

beforeAll(async () => {
  place = createCommandFolder();
  mkdirSync(place.file('database/migrations'), { recursive: true });
  writeFileSync(place.file('database/migrations/0001_orders.sql'), TABLE);
  writeFileSync(place.file('database/indexes.ts'), REGISTRY);
  template = await createDatabase();
  migrated = await createDatabase();
});
afterAll(async () => {
  place.remove();
  await template.drop();
  await migrated.drop();
});

/** Runs a command of the page on a database. */
async function run(command: string, database: TestDatabase): Promise<void> {
  const [program, name, ...args] = command.replaceAll('"', '').split(' ');
  expect([program, name]).toEqual(['npx', 'pg-deploy-step']);
  const urls = new Set(['$DATABASE_URL', 'postgres:///shop_template']);
  const ended = await place.run(...args.map((arg) => (urls.has(arg) ? database.deployUrl : arg)));
  expect(ended, ended.stdout + ended.stderr).toMatchObject({ exitCode: 0 });
}

const validIndexes = async (database: TestDatabase) =>
  await database.query(
    `select c.relname as name from pg_index i join pg_class c on c.oid = i.indexrelid
      where i.indisvalid and i.indrelid = 'orders'::regclass and not i.indisprimary`,
  );

test('a database that was made from migrations gets the indexes of the registry, again and again', async () => {
  await migrated.query(TABLE);
  const [command = ''] = commandsOf(PAGE);

  await run(command, migrated);
  await run(command, migrated);

  expect(await validIndexes(migrated)).toEqual([{ name: 'idx_orders_status' }]);
});

test('a copy of the template has the indexes', async () => {
  const [, createTemplate, command = '', copy] = commandsOf(PAGE);
  expect(createTemplate).toBe('createdb shop_template');
  expect(copy).toBe('createdb --template shop_template shop_test_1');

  await run(command, template);
  const copied = await createDatabase({ template: template.name });

  expect(await validIndexes(copied)).toEqual([{ name: 'idx_orders_status' }]);
  await copied.drop();
});

test('the SQL that removes the product leaves indexes and tables', async () => {
  const [dropSchema = '', dropRole = ''] = blocksOf('docs/upgrade.md', 'sql');
  const { name } = migrated;

  expect(await migrated.query("select to_regnamespace('deploy_step') is not null as there")).toEqual([
    { there: true },
  ]);
  await migrated.query(dropSchema);
  await migrated.query(
    dropRole.replaceAll('shop_deploy', `${name}_deploy`).replaceAll('shop_owner', `${name}_owner`),
  );

  expect(await validIndexes(migrated)).toEqual([{ name: 'idx_orders_status' }]);
  expect(
    await migrated.query('select to_regnamespace($1) as schema, to_regrole($2) as role', [
      'deploy_step',
      `${name}_deploy`,
    ]),
  ).toEqual([{ schema: null, role: null }]);
});

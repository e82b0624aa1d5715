import { execFile } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../support/database.ts';

/*
 * docs/migration-tools/drizzle.md: what drizzle-kit itself does with indexes that only the registry has.
 */

const NODE_MODULES = resolve(import.meta.dirname, '../../node_modules');

let folder: string;
let database: TestDatabase;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-drizzle-'));
  symlinkSync(NODE_MODULES, join(folder, 'node_modules'));
  mkdirSync(join(folder, 'drizzle'));
  database = await createDatabase();
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await database.drop();
});

function writeSchema(indexes: string): void {
  writeFileSync(
    join(folder, 'schema.ts'),
    `import { bigint, index, pgTable, text } from 'drizzle-orm/pg-core';
export const orders = pgTable('orders', { id: bigint({ mode: 'number' }).primaryKey(), status: text().notNull() }, (t) => [${indexes}]);
`,
  );
}

async function drizzleKit(...args: string[]): Promise<void> {
  const program = join(NODE_MODULES, 'drizzle-kit/bin.cjs');
  await promisify(execFile)(
    process.execPath,
    [program, ...args, '--dialect', 'postgresql', '--schema', 'schema.ts'],
    {
      cwd: folder,
    },
  );
}

/** Generates a migration. @returns the text of the new file; null if there is none */
async function generate(): Promise<string | null> {
  const files = () => readdirSync(join(folder, 'drizzle')).filter((name) => name.endsWith('.sql'));
  const before = new Set(files());
  await drizzleKit('generate', '--out', 'drizzle');
  const [file] = files().filter((name) => !before.has(name));
  return file === undefined ? null : readFileSync(join(folder, 'drizzle', file), 'utf8');
}

const indexesIn = async () =>
  (await database.query("select indexname from pg_indexes where tablename = 'orders' order by 1")).map(
    ({ indexname }) => indexname,
  );

const KEPT = "index('idx_orders_status').on(t.status)";

test('generate compares with its snapshot: an index of the registry causes nothing, one that leaves the schema is dropped once', async () => {
  writeSchema(KEPT);
  const first = await generate();
  expect(first).toContain('CREATE INDEX "idx_orders_status"');
  await database.query(first ?? '');
  await database.query('create index idx_orders_registry on orders (lower(status))');

  expect(await generate()).toBeNull();
  writeSchema('');
  expect(await generate()).toContain('DROP INDEX "idx_orders_status"');
  expect(await generate()).toBeNull();
});

test('push drops the indexes that are not in the schema', async () => {
  writeSchema(KEPT);
  await database.query('create index idx_orders_later on orders (status desc)');
  expect(await indexesIn()).toContain('idx_orders_later');

  await drizzleKit('push', '--force', '--url', database.url);

  const left = await indexesIn();
  expect(left).toContain('idx_orders_status');
  expect(left).not.toContain('idx_orders_later');
});

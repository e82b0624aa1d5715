import { mkdirSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CommandFolder, createCommandFolder } from '../support/command.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

/*
 * A repository with two databases, as docs/getting-started.md describes it: the flags name the files of one, cdk.json those of both.
 */

const NAMES = ['orders', 'billing'] as const;

let place: CommandFolder;
let databases: Record<(typeof NAMES)[number], TestDatabase>;

beforeAll(async () => {
  place = createCommandFolder();
  databases = { orders: await createDatabase(), billing: await createDatabase() };
  for (const name of NAMES) writeProject(name);
  const environments = Object.fromEntries(NAMES.map((name) => [`${name}-dev`, environment(name)]));
  writeFileSync(place.file('cdk.json'), JSON.stringify({ context: { environments } }));
});
afterAll(async () => {
  place.remove();
  for (const database of Object.values(databases)) await database.drop();
});

function writeProject(name: string): void {
  mkdirSync(place.file(`${name}/migrations`), { recursive: true });
  writeFileSync(
    place.file(`${name}/migrations/0001_${name}.sql`),
    `create table ${name} (id bigint primary key, tenant_id bigint not null);\n`,
  );
  const sql = `create index concurrently if not exists idx_${name}_tenant on ${name} (tenant_id)`;
  const entry = { name: `idx_${name}_tenant`, sql, description: 'rows of a tenant' };
  writeFileSync(place.file(`${name}/indexes.json`), JSON.stringify([entry]));
}

function environment(name: string): unknown {
  return {
    database: { secretArn: `arn:aws:secretsmanager:eu-west-1:111111111111:secret:dev/${name}-AbCdEf` },
    indexes: `${name}/indexes.json`,
    migrations: `${name}/migrations`,
  };
}

test('a run uses the files that its flags name, and leaves the other database as it is', async () => {
  for (const name of NAMES) {
    const flags = ['--indexes', `${name}/indexes.json`, '--migrations', `${name}/migrations`];
    const ended = await place.run('run', '--database-url', databases[name].deployUrl, ...flags);
    expect(ended, ended.stdout + ended.stderr).toMatchObject({ exitCode: 0 });
  }

  for (const name of NAMES) {
    const rows = await databases[name].query(
      "select tablename, indexname from pg_indexes where schemaname = 'public' and indexname like 'idx%'",
    );
    expect(rows).toEqual([{ tablename: name, indexname: `idx_${name}_tenant` }]);
    expect(await databases[name].query('select name from pgmigrations')).toEqual([{ name: `0001_${name}` }]);
  }
});

test('lint checks the files of both, and those of one if flags name them', async () => {
  writeFileSync(place.file('billing/migrations/0002_later.sql'), 'create index on billing (id);\n');

  const both = await place.run('lint');
  expect(both.stdout).toContain('billing/migrations/0002_later.sql');
  expect(both.exitCode).toBe(1);
  const one = await place.run(
    'lint',
    '--indexes',
    'orders/indexes.json',
    '--migrations',
    'orders/migrations',
  );
  expect(one).toMatchObject({ exitCode: 0 });
});

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { notesOnMigrations, readMigrations } from '../../lib/functions/ship-migrations.ts';
import { toText } from '../../lib/lint/format-result.ts';
import { lintMigrations } from '../../lib/lint/lint-migrations.ts';
import { RegisteredIndexes } from '../../lib/registry/registered-indexes.ts';
import { findSources } from '../../lib/sources/find-sources.ts';
import type { Tool } from '../../lib/sources/sql-source.ts';

let project: string;
beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), 'pg-deploy-step-histories-'));
});
afterEach(() => rmSync(project, { recursive: true, force: true }));

/** Writes files; one without text contains one statement. */
function write(...names: (string | [string, string])[]): void {
  for (const name of names) {
    const [path, text] = typeof name === 'string' ? [name, 'select 1;'] : name;
    mkdirSync(dirname(join(project, path)), { recursive: true });
    writeFileSync(join(project, path), text);
  }
}

/** What is read of the project, or of a folder in it. */
async function read(folder = '.', from?: Tool) {
  const found = await findSources(join(project, folder), { from });
  const short = (path: string) => relative(project, path);
  return {
    tool: found.tool,
    folder: short(found.folder),
    files: found.files.map(({ file }) => short(file)),
    dialects: found.dialects.map(({ dialect, files }) => `${dialect} ${files}`),
    skipped: found.skipped.map(({ file }) => short(file)),
  };
}

test('files for other databases beside those for PostgreSQL are left out, one line for each database', async () => {
  write(
    'm/1_a.up.sql',
    'm/1_a.down.sql',
    'm/2_b.mysql.up.sql',
    'm/2_b.sqlite3.up.sql',
    'm/2_b.cockroach.up.sql',
    'm/2_b.postgres.up.sql',
    'm/2_b.up.sql',
    'm/3_from_mysql.up.sql',
    'm/3_from_mysql.cockroach.up.sql',
  );
  expect(await read('m')).toEqual({
    tool: 'plain',
    folder: 'm',
    files: ['m/1_a.up.sql', 'm/2_b.postgres.up.sql', 'm/3_from_mysql.up.sql'],
    dialects: ['cockroach 2', 'mysql 1', 'sqlite3 1', 'any database 1'],
    skipped: [],
  });
});

test('the runner sql applies the same files, and notes the others', () => {
  write('m/1_a.sql', 'm/2_b.mysql.sql', 'm/2_b.postgres.sql', 'm/old/0_x.sql');

  expect(Object.keys(readMigrations(join(project, 'm')))).toEqual(['1_a', '2_b.postgres']);
  expect(notesOnMigrations(join(project, 'm'))).toEqual([
    `${join(project, 'm/old')}: its SQL files are not applied: the runner sql reads no folders in its folder.`,
    `1 file is for mysql, and not read: ${join(project, 'm/2_b.mysql.sql')}.`,
  ]);
});

test('folders of other databases, and files whose name ends in one beside those of PostgreSQL, are left out', async () => {
  write('db/migrations/mysql/1_a.sql', 'db/migrations/postgres/1_a.sql', 'db/migrations/postgres/2_b.sql');
  expect(await read()).toMatchObject({
    files: ['db/migrations/postgres/1_a.sql', 'db/migrations/postgres/2_b.sql'],
    dialects: ['mysql 1'],
  });
  // The user has named this folder.
  expect((await read('db/migrations/mysql')).files).toEqual(['db/migrations/mysql/1_a.sql']);

  write('schema/schema-h2.sql', 'schema/schema-postgresql.sql', 'schema/copy-oracle.sql');
  expect(await read('schema')).toMatchObject({
    files: ['schema/copy-oracle.sql', 'schema/schema-postgresql.sql'],
    dialects: ['h2 1'],
  });
});

test('a path with files for other databases only says for which', async () => {
  write('m/1_a.mysql.sql', 'm/2_b.mysql.sql');
  await expect(read('m')).rejects.toThrow('contains no SQL files for PostgreSQL, only 2 files for mysql.');
});

test('projects of Prisma and Drizzle for another database are left out', async () => {
  write(
    ['prisma/migrations/1_a/migration.sql', 'CREATE TABLE `a` (id int);'],
    ['prisma/migrations/migration_lock.toml', 'provider = "mysql"\n'],
    ['drizzle/0000_a.sql', 'create table a (id int);'],
    [
      'drizzle/meta/_journal.json',
      JSON.stringify({ dialect: 'postgresql', entries: [{ idx: 0, tag: '0000_a' }] }),
    ],
  );
  expect(await read()).toMatchObject({
    tool: 'drizzle',
    files: ['drizzle/0000_a.sql'],
    dialects: ['mysql 1'],
  });
});

test('two separate histories are not merged: none is read, and both are named', async () => {
  write('billing/migrations/001_a.sql', 'billing/migrations/002_b.sql', 'users/migrations/001_a.sql');
  const reading = read();
  await expect(reading).rejects.toThrow('contains 2 separate histories of migrations:');
  await expect(reading).rejects.toThrow(`  - ${join(project, 'billing/migrations')}: 2 SQL files\n`);
  await expect(reading).rejects.toThrow(`  - ${join(project, 'users/migrations')}: 1 SQL file\n`);
  await expect(reading).rejects.toThrow('They are not merged. Give the path of one of them');
});

test.each<[string, string[]]>([
  ['Flyway', ['a/src/main/resources/db/migration/V1__a.sql', 'b/src/main/resources/db/migration/V1__b.sql']],
  ['Prisma', ['a/prisma/migrations/1_a/migration.sql', 'b/prisma/migrations/1_b/migration.sql']],
  ['two tools', ['a/prisma/migrations/1_a/migration.sql', 'b/migrations/V1__b.sql']],
])('two histories of %s are not merged', async (_tools, names) => {
  write(...names);
  await expect(read()).rejects.toThrow('2 separate histories');
  expect((await read('a')).files).toEqual([names[0]]);
});

test('the tool that the user names decides between two histories', async () => {
  write('a/prisma/migrations/1_a/migration.sql', 'b/migrations/V1__b.sql');
  expect((await read('.', 'prisma')).files).toEqual(['a/prisma/migrations/1_a/migration.sql']);
  expect((await read('.', 'flyway')).files).toEqual(['b/migrations/V1__b.sql']);
});

test('the history in the usual place is read, and the others are named', async () => {
  write(
    'prisma/migrations/1_a/migration.sql',
    'legacy/001_a.sql',
    'legacy/002_b.sql',
    'test/fixtures/001_t.sql',
    'queries/list.sql',
  );
  expect(await read()).toEqual({
    tool: 'prisma',
    folder: 'prisma/migrations',
    files: ['prisma/migrations/1_a/migration.sql'],
    dialects: [],
    skipped: ['legacy', 'queries', 'test/fixtures'],
  });
});

test('numbered files are the history, not the queries and scripts beside them', async () => {
  write(
    'sql/migrations/000001_a.up.sql',
    'sql/migrations/000001_a.down.sql',
    'sql/queries/users.sql',
    'dump.sql',
  );
  expect(await read()).toMatchObject({
    folder: 'sql/migrations',
    files: ['sql/migrations/000001_a.up.sql'],
    skipped: ['', 'sql/queries'],
  });
});

test('folders for years and versions are one history, and so are files without numbers', async () => {
  write('2023/001_a.sql', '2024/001_b.sql', 'v10/1.sql', 'v9/1.sql');
  expect((await read()).files).toEqual(['2023/001_a.sql', '2024/001_b.sql', 'v9/1.sql', 'v10/1.sql']);

  rmSync(project, { recursive: true });
  write('tables/a.sql', 'views/b.sql');
  expect((await read()).files).toEqual(['tables/a.sql', 'views/b.sql']);
});

test('files in the folder are the migrations, and a folder in it is named, as for the runner sql', async () => {
  write('m/10_c.sql', 'm/2_b.sql', 'm/20240101000000000_d.sql', 'm/1704067300000_e.sql', 'm/old/1_x.sql');
  expect(await read('m')).toMatchObject({
    files: ['m/2_b.sql', 'm/10_c.sql', 'm/20240101000000000_d.sql', 'm/1704067300000_e.sql'],
    skipped: ['m/old'],
  });
});

test('build folders and tests do not count beside the real history', async () => {
  write(
    'src/main/resources/db/migration/V1__a.sql',
    'target/classes/db/migration/V1__a.sql',
    'src/test/resources/db/migration/V1__t.sql',
  );
  expect(await read()).toMatchObject({
    tool: 'flyway',
    files: ['src/main/resources/db/migration/V1__a.sql'],
    skipped: ['src/test/resources/db/migration', 'target/classes/db/migration'],
  });
});

test('files of Flyway far below the project are no history of the project', async () => {
  write('test/fixtures/V1__a.sql', 'test/fixtures/V2__b.sql', 'app/migrations/001_a.sql');
  expect(await read()).toMatchObject({ folder: 'app/migrations', skipped: ['test/fixtures'] });
});

test('a file without a number in the folder of the runner sql is the migration, and not what is in its folders', async () => {
  write('migrations/only.sql', 'migrations/old/1_a.sql', 'sql/only.sql', 'sql/old/1_a.sql');
  const applied = await findSources(join(project, 'sql'), { appliedFolder: join(project, 'sql') });

  expect(Object.keys(readMigrations(join(project, 'migrations')))).toEqual(['only']);
  expect((await read('migrations')).files).toEqual(['migrations/only.sql']);
  expect(applied.files.map(({ file }) => relative(project, file))).toEqual(['sql/only.sql']);
});

test('lint leaves them out with one line for each database', async () => {
  write(['m/1_a.sql', 'create table t (a int);'], 'm/2_b.mysql.sql', 'm/3_c.mysql.sql');
  const { dialects, findings, files } = await lintMigrations({
    paths: [join(project, 'm')],
    registered: new RegisteredIndexes([]),
    startAfter: null,
    onProgress: () => {},
  });
  const result = { dialects, findings, files, notRun: [], moved: [], kept: [] };

  expect(toText(result, { paint: (text) => text })).toBe(
    `2 files are for mysql, and not read: such as ${join(project, 'm/2_b.mysql.sql')}.\n0 errors, 0 warnings in 1 file.`,
  );
});

/** A file's part that is read at once, with and without the end of its last line. */
const PARTS = [65_536, 65_535, 65_530, 200_000];

test.each(PARTS)('the mark of node-pg-migrate is found after %i characters in one line', async (length) => {
  write(['migrations/1_a.sql', `select '${'x'.repeat(length - 10)}';\n-- Up Migration\nselect 1;`]);
  expect(await read()).toMatchObject({ tool: 'node-pg-migrate' });
});

test('a text in a long line is no mark of node-pg-migrate', async () => {
  write(['migrations/1_a.sql', `select '${'x'.repeat(65_536 - 8)}-- Up Migration';`]);
  expect(await read()).not.toMatchObject({ tool: 'node-pg-migrate' });
});

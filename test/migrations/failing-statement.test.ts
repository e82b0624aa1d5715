import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { databaseOf } from '../../lambdas/postgres/client.ts';
import { runMigrations } from '../../lambdas/run-migrations/run-migrations.ts';
import { statementsOf } from '../../lib/functions/ship-migrations.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { type Migrations, writeMigrations } from '../support/migrations.ts';

let database: TestDatabase;
let folder: string;

beforeEach(async () => {
  database = await createDatabase();
  folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-migrations-'));
});
afterEach(async () => {
  await database.drop();
  rmSync(folder, { recursive: true, force: true });
});

const nothing = () => {};

async function migrate(migrations: Migrations) {
  return await runMigrations({
    database: databaseOf({ DATABASE_URL: database.url }),
    directory: writeMigrations(folder, migrations),
    statements: Object.fromEntries(
      Object.entries(migrations).map(([name, sql]) => [name, statementsOf(sql)]),
    ),
    lockTimeoutSeconds: 5,
    log: { debug: nothing, info: nothing, warn: nothing, error: nothing },
  });
}

const tables = async () =>
  (
    await database.query<{ name: string }>(
      "select tablename as name from pg_tables where schemaname = 'public' order by 1",
    )
  ).map(({ name }) => name);

describe('the statement that fails is named with its file and its line', () => {
  test.each<[string, string, { line: number | null; statement: string | null; sqlstate: string }]>([
    [
      'one that PostgreSQL gives no position for',
      'create table a (id int primary key);\n\n-- twice\ninsert into a values (1);\ninsert into a\n  values (1);\n',
      { line: 5, statement: 'insert into a values (1)', sqlstate: '23505' },
    ],
    [
      'the line within it that PostgreSQL points at',
      "create table a (id int);\nselect id,\n  'ü😀',\n  nowhere\nfrom a;",
      { line: 4, statement: "select id, 'ü😀', nowhere from a", sqlstate: '42703' },
    ],
    [
      'a DO block, after one with semicolons in it',
      "do $$ begin perform 1; perform 2; end $$;\ndo $x$\nbegin\n  perform 1;\n  raise exception 'told; to fail';\nend $x$;",
      {
        line: 2,
        statement: "do $x$ begin perform 1; raise exception 'told; to fail'; end $x$",
        sqlstate: 'P0001',
      },
    ],
    [
      'one behind a function with BEGIN ATOMIC',
      'create function one() returns int language sql begin atomic; select 1; select 2; end;\nselect two();',
      { line: 2, statement: 'select two()', sqlstate: '42883' },
    ],
    [
      'one behind texts and comments with semicolons',
      'create table "a;b" (note text default \';\');\n/* ; */ insert into "a;b" values (\';\'); -- ;\ndrop table nowhere;',
      { line: 3, statement: 'drop table nowhere', sqlstate: '42P01' },
    ],
    [
      'one with passwords in it, without them',
      "create role postgres login password 'it''s secret'; -- exists",
      { line: 1, statement: "create role postgres login password '***'", sqlstate: '42710' },
    ],
    [
      'one with an address in it, without its password',
      "select nowhere('postgres://app:secret@db/x', 'host=db password=secret user=app');",
      {
        line: 1,
        statement: "select nowhere('postgres://app:***@db/x', 'host=db password=*** user=app')",
        sqlstate: '42883',
      },
    ],
    [
      'the line of a syntax error, which leaves the file in one piece',
      'create table a (id int);\ncreate tabel b (id int);\n',
      { line: 2, statement: 'create tabel b (id int);', sqlstate: '42601' },
    ],
    [
      "psql's own commands, which no server knows",
      '\\set x 1\ncreate table a (id int);',
      { line: 1, statement: '\\set x 1', sqlstate: '42601' },
    ],
  ])('%s', async (_what, sql, expected) => {
    const { status, applied, pending, failure } = await migrate({
      '0001_fine': 'create table fine (id int);',
      '0002_wrong': sql,
    });

    expect(status).toBe('failed');
    expect(failure).toMatchObject({ file: '0002_wrong', ...expected });
    expect({ applied, pending }).toEqual({ applied: [], pending: ['0001_fine', '0002_wrong'] });
    expect(await tables()).toEqual(['pgmigrations']);
  });

  test('a long one by its beginning', async () => {
    const { failure } = await migrate({ '0001_long': `select ${'1 + '.repeat(50)} nowhere` });

    expect(failure?.statement).toHaveLength(100);
    expect(failure?.statement).toMatch(/^select 1 \+ .*…$/);
  });
});

test('the way back in a file is never run, also where the way forth has no mark', async () => {
  const { applied } = await migrate({
    '0001_marked': '-- Up Migration\ncreate table marked (id int);\n-- Down Migration\ndrop table marked;\n',
    '0002_unmarked': 'create table unmarked (id int);\n\n-- Down Migration\ndrop table unmarked;\n',
  });

  expect(applied).toEqual(['0001_marked', '0002_unmarked']);
  expect(await tables()).toEqual(['marked', 'pgmigrations', 'unmarked']);
});

test('a file of comments alone is applied', async () => {
  expect(await migrate({ '0001_nothing': '-- nothing to do\n' })).toMatchObject({
    applied: ['0001_nothing'],
  });
});

describe('files that do not go with what was applied', () => {
  const FILES = {
    '0001_a': 'create table a ()',
    '0002_b': 'create table b ()',
    '0010_c': 'create table c ()',
  };

  test('an applied file that is gone is named, and what to do', async () => {
    await migrate(FILES);
    rmSync(join(folder, 'migrations/0002_b.sql'));

    const { status, failure } = await migrate({ '0001_a': FILES['0001_a'], '0010_c': FILES['0010_c'] });

    expect(status).toBe('failed');
    expect(failure?.message).toBe(
      "Migration 0002_b was applied to this database, but there is no file 0002_b.sql. Restore the file with this name. If you removed it deliberately, delete its record: delete from public.pgmigrations where name = '0002_b';",
    );
  });

  test('a file before those that were applied is named, and what to do', async () => {
    await migrate(FILES);

    const { failure } = await migrate({ ...FILES, '0003_late': 'create table late ()' });

    expect(failure?.message).toBe(
      'Migration 0003_late.sql is not applied, but comes before 0010_c, which is applied. Migrations are applied in the order of their names: rename it so that it comes after 0010_c.',
    );
    expect(await tables()).not.toContain('late');
  });

  test('a database that is ahead of the files, as for an older release, is left as it is', async () => {
    await migrate(FILES);
    rmSync(join(folder, 'migrations/0010_c.sql'));

    expect(await migrate({ '0001_a': FILES['0001_a'], '0002_b': FILES['0002_b'] })).toMatchObject({
      ...{ status: 'applied', applied: [], pending: [] },
    });
  });
});

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { connect, createDatabase, type TestDatabase } from '../support/database.ts';
import { migrate as applyMigrations } from '../support/migrate.ts';
import type { Migrations } from '../support/migration-files.ts';

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

const migrate = async (
  migrations: Migrations,
  attempt = { attempt: 1, attempts: 1 },
  lines: unknown[] = [],
) => await applyMigrations({ databaseUrl: database.url, folder, migrations, ...attempt, lines });

const tables = async () =>
  (
    await database.query<{ name: string }>(
      "select tablename as name from pg_tables where schemaname = 'public' order by 1",
    )
  ).map(({ name }) => name);

describe('a failed statement is reported with its file, its line and its text', () => {
  test.each<[string, string, { line: number | null; statement: string | null; sqlstate: string }]>([
    [
      'if PostgreSQL gives no position',
      'create table a (id int primary key);\n\n-- twice\ninsert into a values (1);\ninsert into a\n  values (1);\n',
      { line: 5, statement: 'insert into a values (1)', sqlstate: '23505' },
    ],
    [
      'with the line that PostgreSQL points at',
      "create table a (id int);\nselect id,\n  'ü😀',\n  nowhere\nfrom a;",
      { line: 4, statement: "select id, 'ü😀', nowhere from a", sqlstate: '42703' },
    ],
    [
      'if it is a DO block after a DO block with semicolons',
      "do $$ begin perform 1; perform 2; end $$;\ndo $x$\nbegin\n  perform 1;\n  raise exception 'meant; to fail';\nend $x$;",
      {
        line: 2,
        statement: "do $x$ begin perform 1; raise exception 'meant; to fail'; end $x$",
        sqlstate: 'P0001',
      },
    ],
    [
      'if it follows a function with BEGIN ATOMIC',
      'create function one() returns int language sql begin atomic; select 1; select 2; end;\nselect two();',
      { line: 2, statement: 'select two()', sqlstate: '42883' },
    ],
    [
      'if it follows strings and comments with semicolons',
      'create table "a;b" (note text default \';\');\n/* ; */ insert into "a;b" values (\';\'); -- ;\ndrop table nowhere;',
      { line: 3, statement: 'drop table nowhere', sqlstate: '42P01' },
    ],
    [
      'without its password',
      "create role postgres login password 'it''s secret'; -- not allowed",
      { line: 1, statement: "create role postgres login password '***'", sqlstate: '42501' },
    ],
    [
      'without the passwords in its addresses',
      "select nowhere('postgres://app:secret@db/x', 'host=db password=secret user=app');",
      {
        line: 1,
        statement: "select nowhere('postgres://app:***@db/x', 'host=db password=*** user=app')",
        sqlstate: '42883',
      },
    ],
    [
      'with the line of a syntax error, although the file cannot be split',
      'create table a (id int);\ncreate tabel b (id int);\n',
      { line: 2, statement: 'create tabel b (id int);', sqlstate: '42601' },
    ],
    [
      'if it is a command of psql, which the server does not know',
      '\\set x 1\ncreate table a (id int);',
      { line: 1, statement: '\\set x 1', sqlstate: '42601' },
    ],
  ])('%s', async (_statement, sql, expected) => {
    const { status, applied, pending, failure } = await migrate({
      '0001_fine': 'create table fine (id int);',
      '0002_wrong': sql,
    });

    expect(status).toBe('failed');
    expect(failure).toMatchObject({ file: '0002_wrong', ...expected });
    expect({ applied, pending }).toEqual({ applied: [], pending: ['0001_fine', '0002_wrong'] });
    expect(await tables()).toEqual(['pgmigrations']);
  });

  test('with its first 100 characters if it is longer', async () => {
    const { failure } = await migrate({ '0001_long': `select ${'1 + '.repeat(50)} nowhere` });

    expect(failure?.statement).toHaveLength(100);
    expect(failure?.statement).toMatch(/^select 1 \+ .*…$/);
  });
});

describe('values of rows appear neither in the answer nor in the log', () => {
  test.each<[sqlstate: string, statement: string, message: string]>([
    ['23505', 'insert into people select * from people', 'Detail: Key (email)=(…) already exists.'],
    ['23503', 'insert into visits select email, 1 from people', 'Detail: Key (person)=(…) is not present'],
    ['23502', 'insert into strict select email, null from people', 'null value in column "n"'],
    ['23514', 'insert into strict select email, -1 from people', 'violates check constraint "positive"'],
    ['23P01', 'insert into taken select * from taken', 'Detail: Key (span)=(…).'],
    ['22P02', 'select email::int from people', 'invalid input syntax for type integer: "…"'],
    ['22P02', 'select email::json from people', 'invalid input syntax for type json'],
    ['22007', 'select email::date from people', 'invalid input syntax for type date: "…"'],
    [
      '22003',
      "select (length(email) || '00000000000000')::int from people",
      'value "…" is out of range for type integer',
    ],
    ['23505', 'create unique index on people ((true))', 'Detail: Key ((true))=(…) is duplicated.'],
  ])('%s: %s', async (sqlstate, statement, message) => {
    const lines: unknown[] = [];
    await database.query(
      `create table people (email text primary key); insert into people values ('jane@secret (x) "y"'), ('b');
       create table strict (email text, n int not null constraint positive check (n > 0));
       create table others (email text primary key); create table visits (person text references others, n int);
       create table taken (span int4range, exclude using gist (span with &&));
       insert into taken values ('[1234567,1234569)')`,
    );

    const { failure } = await migrate({ '0001_values': statement }, undefined, lines);

    expect(failure).toMatchObject({ sqlstate, message: expect.stringContaining(message) });
    expect(JSON.stringify([failure, lines])).not.toMatch(/jane|secret|1234567|00000000000000"/);
  });
});

test('a statement that ends its own session with transaction_timeout is reported with its place, and not retried', async () => {
  await database.query('create table locked (id int)');
  const other = await connect(database.url);
  try {
    await other.query('begin; lock table locked');

    const { status, failure } = await migrate({
      '0001_slow': "create table a (id int);\nset local transaction_timeout = '200ms';\nselect from locked;",
    });

    expect({ status, ...failure }).toMatchObject({
      ...{ status: 'failed', file: '0001_slow', line: 3, statement: 'select from locked', sqlstate: '25P04' },
      message: expect.stringContaining(
        'The setting transaction_timeout ended the session. Every session of a deploy starts with transaction_timeout = 0, so a statement of the deploy, such as a migration, has set it again: remove that statement. (SQLSTATE 25P04)',
      ),
    });
    expect(await tables()).toEqual(['locked', 'pgmigrations']);
  } finally {
    await other.end();
  }
});

test('a statement that cannot write is retried, and in the last attempt reported with its place', async () => {
  const migrations = { '0001_read': '\nset transaction read only;\ncreate table a (id int);' };

  await expect(migrate(migrations, { attempt: 1, attempts: 2 })).rejects.toMatchObject({
    ...{ name: 'ConnectionLost', sqlstate: '25006' },
    message: expect.stringContaining('Migration 0001_read.sql, line 3, failed, and no migration was applied'),
  });
  expect((await migrate(migrations, { attempt: 2, attempts: 2 })).failure).toMatchObject({
    ...{ file: '0001_read', line: 3, sqlstate: '25006' },
    message: expect.stringContaining('This was attempt 2 of 2.'),
  });
});

test('the down migration in a file is never run, even if the up migration has no marker', async () => {
  const { applied } = await migrate({
    '0001_marked': '-- Up Migration\ncreate table marked (id int);\n-- Down Migration\ndrop table marked;\n',
    '0002_unmarked': 'create table unmarked (id int);\n\n-- Down Migration\ndrop table unmarked;\n',
  });

  expect(applied).toEqual(['0001_marked', '0002_unmarked']);
  expect(await tables()).toEqual(['marked', 'pgmigrations', 'unmarked']);
});

test('a file with nothing but comments is applied', async () => {
  expect(await migrate({ '0001_nothing': '-- nothing to do\n' })).toMatchObject({
    applied: ['0001_nothing'],
  });
});

describe('migration files that do not match the applied migrations', () => {
  const FILES = {
    '0001_a': 'create table a ()',
    '0002_b': 'create table b ()',
    '0010_c': 'create table c ()',
  };

  test('are refused if the file of an applied migration is missing, and the message says what to do', async () => {
    await migrate(FILES);
    rmSync(join(folder, 'migrations/0002_b.sql'));

    const { status, failure } = await migrate({ '0001_a': FILES['0001_a'], '0010_c': FILES['0010_c'] });

    expect(status).toBe('failed');
    expect(failure?.message).toBe(
      "Migration 0002_b was applied to this database, but there is no file 0002_b.sql. Restore the file with this name. If you removed it deliberately, delete its record: delete from public.pgmigrations where name = '0002_b';",
    );
  });

  test('are refused if a pending file comes before an applied one, and the message says what to do', async () => {
    await migrate(FILES);

    const { failure } = await migrate({ ...FILES, '0003_late': 'create table late ()' });

    expect(failure?.message).toBe(
      'Migration 0003_late.sql is not applied, but comes before 0010_c, which is applied. Migrations are applied in the order of their names: rename it so that it comes after 0010_c.',
    );
    expect(await tables()).not.toContain('late');
  });

  test('are applied in order after a person has applied some in a session with another time zone', async () => {
    await database.query(`alter database ${database.name} set timezone = 'Pacific/Kiritimati'`);
    await database.query(
      `create table a (); create table pgmigrations (id serial primary key, name varchar(255) not null, run_on timestamp not null);
       insert into pgmigrations (name, run_on) values ('0001_a', now())`,
    );
    const { '0010_c': _later, ...first } = FILES;

    expect(await migrate(first)).toMatchObject({ applied: ['0002_b'], failure: null });
    expect(
      await migrate({
        ...FILES,
        '0011_zone': "create table zones as select current_setting('TimeZone') as zone",
      }),
    ).toMatchObject({
      applied: ['0010_c', '0011_zone'],
      failure: null,
    });
    expect(await database.query('select zone from zones')).toEqual([{ zone: 'UTC' }]);
  });

  test('are accepted if the database has more migrations than the files of an older release', async () => {
    await migrate(FILES);
    rmSync(join(folder, 'migrations/0010_c.sql'));

    expect(await migrate({ '0001_a': FILES['0001_a'], '0002_b': FILES['0002_b'] })).toMatchObject({
      ...{ status: 'applied', applied: [], pending: [] },
    });
  });
});

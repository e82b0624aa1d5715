import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  MigrationFilesError,
  manifestOf,
  readMigrations,
  statementsOf,
} from '../../lib/functions/ship-migrations.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-files-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const write = (...names: string[]) => {
  for (const name of names) {
    mkdirSync(join(folder, name, '..'), { recursive: true });
    writeFileSync(join(folder, name), 'select 1;');
  }
};

test('readMigrations reads SQL files and ignores files that are not migrations', () => {
  write('0001_a.sql', '0002_b.sql', 'README.md', '.keep', 'old/0000_x.sql');

  expect(Object.keys(readMigrations(folder))).toEqual(['0001_a', '0002_b']);
});

test('a folder without files has no migrations', () => {
  expect(readMigrations(folder)).toEqual({});
});

test.each([
  ['a migration in TypeScript', ['0001_a.sql', '0002_b.ts'], '0002_b.ts: it is not SQL'],
  ['a migration in JavaScript', ['0001_a.js'], 'with the runner ecs-task or lambda'],
  ['a migration in Python', ['0001_a.py'], 'the runner sql runs only SQL files'],
  [
    'a down migration in its own file',
    ['0001_a.down.sql'],
    '0001_a.down.sql: it is one of the two files of a migration',
  ],
  ['an up migration in its own file', ['0001_a.up.sql'], 'Rename the up migration to 0001_a.sql'],
  ['a folder for each migration', ['20240101_init/migration.sql'], 'such as 20240101_init'],
  ['files without a number', ['V1__a.sql', 'V2__b.sql'], 'V1__a.sql: it has no number'],
])('%s is refused with advice', (_files, names, message) => {
  write(...names);

  expect(() => readMigrations(folder)).toThrow(MigrationFilesError);
  expect(() => readMigrations(folder)).toThrow(message);
});

test('a folder that does not exist is refused', () => {
  expect(() => readMigrations(join(folder, 'nowhere'))).toThrow('does not exist. Enter the folder');
});

test('a file is split into its statements, each unchanged and with its line', () => {
  expect(statementsOf("-- first\nselect 'a;';\n\n  select $$;$$ -- last\n;")).toEqual([
    { sql: "select 'a;'", line: 2, whole: false },
    { sql: 'select $$;$$', line: 4, whole: false },
  ]);
});

test.each([
  ['a syntax error', 'select 1; selct 2;'],
  ['a command of psql', '\\set x 1\nselect 1;'],
  ["COPY's data", 'copy a from stdin;\n1\n\\.\nselect 1;'],
  ['a placeholder of another tool', `create table \${schema}.a (id int);`],
])('a file with %s is not split', (_content, sql) => {
  expect(statementsOf(sql)).toEqual([{ sql, line: 1, whole: true }]);
});

test('the statements of a file of a megabyte are found, and one that is wrong makes it one statement', () => {
  const tables = Array.from(
    { length: 10_000 },
    (_, at) => `create table t_${at} (id bigint primary key, note text default ';', day date);`,
  );
  const text = tables.join('\n-- next;\n');
  const wrong = text.replace('t_5000 (', 't_5000 ((');

  expect(statementsOf(text).map(({ sql }) => `${sql};`)).toEqual(tables);
  expect(statementsOf(wrong)).toEqual([{ sql: wrong, line: 1, whole: true }]);
});

const writeBytes = (name: string, ...parts: (string | number[])[]) =>
  writeFileSync(join(folder, name), Buffer.concat(parts.map((part) => Buffer.from(part as string))));

test.each([
  [
    'begin;\ncreate table a ();\ncommit;',
    [':1:1: ', 'BEGIN has no effect', ':3:1: ', 'COMMIT (or END) ends it'],
  ],
  [
    'create table a ();\n  rollback;',
    [':2:3: ', 'ROLLBACK (or ABORT) undoes this file and the files before it'],
  ],
  ['select 1;\n\\connect other', [':2:1: ', '\\connect other is a command of psql']],
  ['vacuum;', [':1:1: ', 'PostgreSQL refuses VACUUM inside a transaction']],
  ["set client_encoding = 'LATIN1';", [':1:1: ', 'SET changes client_encoding to LATIN1']],
])(
  'readMigrations refuses a file that breaks the transaction, with file, line and column: %j',
  (sql, parts) => {
    writeBytes('0001_a.sql', 'select 1;');
    writeBytes('0002_b.sql', sql);

    for (const part of [join(folder, '0002_b.sql'), ...parts])
      expect(() => readMigrations(folder)).toThrow(part);
  },
);

test('readMigrations accepts files like those of pg_dump, and transaction control in a down migration', () => {
  writeBytes(
    '0001_dump.sql',
    "SET statement_timeout = 0;\nSET client_encoding = 'UTF8';\nSET standard_conforming_strings = on;\n",
    "SELECT pg_catalog.set_config('search_path', '', false);\nCREATE TABLE public.a ();\n",
  );
  writeBytes('0002_b.sql', 'create table b ();\n-- Down Migration\nbegin;\ndrop table b;\ncommit;\n');

  expect(Object.keys(readMigrations(folder))).toEqual(['0001_dump', '0002_b']);
});

test('readMigrations lists the problems of all files, at most 20', () => {
  for (let at = 10; at < 40; at += 1) writeBytes(`${at}_a.sql`, 'commit;');

  expect(() => readMigrations(folder)).toThrow(
    /30 problems:(\n {2}- .*_a\.sql:1:1: .*){20}\n {2}- … and 10 more/,
  );
});

test.each<[string, (string | number[])[], string[]]>([
  ['Latin-1', ["select 1;\nselect 'caf", [0xe9], "';"], [':2:12: Byte 0xE9 at offset 21 is not valid UTF-8']],
  [
    'Latin-1 in a down migration',
    ['select 1;\n-- Down Migration\n-- ', [0xe9]],
    [':3:4: Byte 0xE9 at offset 31'],
  ],
  ['UTF-16', [[0xff, 0xfe], 's\0e\0'], [':1:1: The file is UTF-16 (little-endian)']],
  ['a NUL byte', ["select 'a", [0], "';"], [':1:10: Byte 0x00 (NUL) at offset 9']],
])('readMigrations refuses a file with %s, with file, line and byte', (_what, parts, messages) => {
  writeBytes('0001_a.sql', ...parts);

  for (const message of messages) expect(() => readMigrations(folder)).toThrow(`0001_a.sql${message}`);
});

test('readMigrations removes a byte order mark', () => {
  writeBytes('0001_a.sql', [0xef, 0xbb, 0xbf], "select 'é';");

  expect(readMigrations(folder)).toEqual({ '0001_a': "select 'é';" });
});

test.each([
  ["0001_it's.sql", 'cannot contain quotes'],
  ['0001_a\nb.sql', 'cannot contain quotes, backslashes or control characters'],
  ['0001_a.SQL', 'would not be applied, because its extension is not .sql in lower case'],
])('readMigrations refuses the name %j', (name, message) => {
  writeBytes(name, 'select 1;');

  expect(() => readMigrations(folder)).toThrow(message);
});

test('readMigrations refuses a name that is not UTF-8', () => {
  const name = Buffer.concat([Buffer.from(`${folder}/0001_caf`), Buffer.from([0xe9]), Buffer.from('.sql')]);
  writeFileSync(name, 'select 1;');

  expect(() => readMigrations(folder)).toThrow('its name is not UTF-8; rename it.');
});

test('a name without a schema means the table in the search path of the environment', () => {
  const writeSql = (name: string, sql: string) => writeFileSync(join(folder, name), sql);
  writeSql(
    '0001_a.sql',
    'create table app.orders (id int) partition by range (id); create table public.orders (id int);',
  );
  writeSql('0002_b.sql', 'reindex table orders;');

  expect(() => readMigrations(folder, ['app', 'public'])).toThrow(
    '0002_b.sql:1:1: PostgreSQL refuses REINDEX',
  );
  expect(Object.keys(readMigrations(folder))).toEqual(['0001_a', '0002_b']);
  const migrations = readMigrations(folder);
  expect(manifestOf(migrations, ['app', 'public'])['0002_b']?.problems).toEqual([
    expect.stringContaining('REINDEX'),
  ]);
  expect(manifestOf(migrations)['0002_b']?.problems).toEqual([]);
});

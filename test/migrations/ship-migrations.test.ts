import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { MigrationFilesError, readMigrations, statementsOf } from '../../lib/functions/ship-migrations.ts';

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
  ['a migration in TypeScript', ['0001_a.sql', '0002_b.ts'], '0002_b.ts is not SQL'],
  ['a migration in JavaScript', ['0001_a.js'], 'with the runner ecs-task or lambda'],
  ['a migration in Python', ['0001_a.py'], 'the runner sql runs only SQL files'],
  [
    'a down migration in its own file',
    ['0001_a.down.sql'],
    '0001_a.down.sql is one of the two files of a migration',
  ],
  ['an up migration in its own file', ['0001_a.up.sql'], 'Rename the up migration to 0001_a.sql'],
  ['a folder for each migration', ['20240101_init/migration.sql'], 'such as 20240101_init'],
  ['files without a number', ['V1__a.sql', 'V2__b.sql'], 'V1__a.sql has no number'],
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

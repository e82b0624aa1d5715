import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readMigrations } from '../../lib/functions/ship-migrations.ts';
import { type CommandFolder, createCommandFolder } from '../support/command.ts';

let place: CommandFolder;

/** A folder with a good migration, and one of each thing that cannot be one. */
beforeAll(() => {
  place = createCommandFolder();
  mkdirSync(place.file('migrations/nested'), { recursive: true });
  const write = (name: string, text: string) => writeFileSync(place.file(`migrations/${name}`), text);
  write('001_tables.sql', 'create table t (a int);\n');
  write('003_upper.SQL', 'create index upper on t (a);\n');
  write('nested/004_inside.sql', 'create index inside on t (a);\n');
  write('009_index.sql', 'create index good on t (a);\n');
  symlinkSync('nowhere.sql', place.file('migrations/002_dangling.sql'));
  symlinkSync('005_loop.sql', place.file('migrations/005_loop.sql'));
  symlinkSync('..', place.file('migrations/up'));
  execFileSync('mkfifo', [place.file('migrations/006_pipe.sql')]);
  writeFileSync(
    Buffer.concat([
      Buffer.from(`${place.file('migrations')}/007_`),
      Buffer.from([0xe9]),
      Buffer.from('.sql'),
    ]),
    '',
  );
  writeFileSync(
    place.file('cdk.json'),
    JSON.stringify({
      context: {
        environments: {
          dev: {
            database: {
              secretArn: 'arn:aws:secretsmanager:eu-west-1:111111111111:secret:dev/postgres-AbCdEf',
            },
            indexes: 'indexes.json',
            migrations: 'migrations',
          },
        },
      },
    }),
  );
  writeFileSync(place.file('indexes.json'), '[]');
});
afterAll(() => place.remove());

/** What each of them is called, and why it cannot be applied. */
const WRONG = [
  ['002_dangling.sql', 'it points to nowhere.sql, which does not exist'],
  ['003_upper.SQL', 'its extension is not .sql in lower case. Rename it'],
  ['005_loop.sql', 'it points to 005_loop.sql, which leads back to it'],
  ['006_pipe.sql', 'it is a pipe, a socket or a device'],
  ['007_\ufffd.sql', 'its name is not UTF-8'],
] as const;

test('import reports each file that cannot be a migration, and imports the others', async () => {
  const { exitCode, stdout, stderr } = await place.run('import', 'migrations', '--json');

  expect(exitCode).toBe(0);
  const printed = JSON.parse(stdout);
  expect(printed.entries.map(({ name }: { name: string }) => name)).toEqual(['good']);
  const reported = new Map(
    printed.notTaken.map(({ file, reason }: { file: string; reason: string }) => [file, reason]),
  );
  for (const [name, reason] of WRONG) expect(reported.get(`migrations/${name}`)).toContain(reason);
  expect(reported.get('migrations/nested')).toContain('1 SQL file');
  expect(reported.get('migrations/up')).toContain('it leads back to');
  expect(stderr).toContain('1 imported');
});

test('lint reports each of them as an error, and lints the others', async () => {
  const { exitCode, stdout } = await place.run('lint');

  expect(exitCode).toBe(1);
  for (const [name, reason] of WRONG) {
    const line = stdout
      .split('\n')
      .find((text) => text.startsWith(`migrations/${name}:1:1: error migration-file: `));
    expect(line).toContain(reason);
  }
  expect(stdout).toContain('migrations/009_index.sql:1:1: error create-index');
  expect(stdout).toContain('migrations/nested:1:1: warning unreadable');
  expect(stdout).not.toContain('index inside');
  expect(stdout).not.toContain('index upper');
});

test('synth and run refuse the folder, and name all of them at once', async () => {
  const folder = place.file('migrations');
  for (const [name, reason] of WRONG) {
    expect(() => readMigrations(folder)).toThrow(`${folder}/${name}: `);
    expect(() => readMigrations(folder)).toThrow(reason);
  }
  expect(() => readMigrations(folder)).not.toThrow('001_tables');
  const { exitCode, stderr } = await place.run(
    'run',
    '--migrations',
    'migrations',
    '--indexes',
    'indexes.json',
  );
  expect(exitCode).toBe(1);
  expect(stderr).toContain('002_dangling.sql: it points to nowhere.sql');
  expect(stderr).toContain('nested: its SQL files are not applied');
});

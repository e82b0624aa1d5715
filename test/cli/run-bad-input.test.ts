import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type CommandPlace, makeCommandPlace } from '../support/command.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

const GOOD = {
  name: 'idx_orders_status',
  sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_orders_status ON orders (status)',
  description: 'orders by status',
};

let database: TestDatabase;
let place: CommandPlace;
let before: unknown;

beforeAll(async () => {
  place = makeCommandPlace();
  database = await createDatabase();
  await database.query('create table orders (id int primary key, status text)');
  before = await everything();
  writeFileSync(place.file('good.json'), JSON.stringify([GOOD]));
  mkdirSync(place.file('folder'));
});

afterEach(async () => {
  expect(await everything()).toEqual(before);
  expect(place.processes()).toEqual([]);
});

afterAll(async () => {
  place.remove();
  await database.drop();
});

/** Every schema, table and index that there is. */
async function everything(): Promise<unknown> {
  return await database.query(
    `select n.nspname, c.relname, c.relkind, c.oid from pg_namespace n left join pg_class c on c.relnamespace = n.oid
      where n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema' order by 1, 2`,
  );
}

function run(...args: string[]) {
  const { url } = database;
  return place.run('run', '--database-url', url, '--indexes', 'good.json', '--migrations', 'none', ...args);
}

describe('wrong usage exits with 2 and prints the usage', () => {
  test.each<[string, string[], string]>([
    [
      'an unknown mode',
      ['--mode', 'deplyo'],
      "argument 'deplyo' is invalid. Allowed choices are deploy, indexes, plan, start-services.",
    ],
    [
      'an unknown index',
      ['--only', 'idx_nowhere'],
      "option '--only <name>': idx_nowhere is not in the registry",
    ],
    ['a registry that is not there', ['--indexes', 'nowhere.json'], 'There is no file '],
    ['a registry that is a folder', ['--indexes', 'folder'], 'folder is a folder, not a file.'],
    ['a folder of migrations that is not there', ['--migrations', 'nowhere'], 'There is no folder '],
    ['a folder of migrations that is a file', ['--migrations', 'good.json'], 'There is no folder '],
    ['an unknown flag', ['--tables', 'orders'], "unknown option '--tables'"],
    ['an argument', ['orders'], "too many arguments for 'run'"],
    ['a lock timeout below 3 s', ['--lock-timeout', '1'], 'It must be a whole number from 3 to 600.'],
    ['attempts that are no number', ['--attempts', 'x'], 'It must be a whole number from 1 to 100.'],
    ['no lanes', ['--max-concurrent', '0'], 'It must be a whole number from 1 to 40.'],
    ['an unknown time', ['--when', 'later'], 'Allowed choices are before-start, after-start.'],
    ['services that are not known', ['--services', 'all'], 'Allowed choices are demo, none.'],
    ['a seed that is not known', ['--seed', 'all'], 'Allowed choices are demo, none.'],
    ['a report into a folder that is not there', ['--report', 'nowhere/out.json'], 'There is no folder '],
    ['a report over a folder', ['--report', 'folder'], 'folder is a folder, not a file.'],
    ['a flag without its value', ['--report'], "option '--report <file>' argument missing"],
  ])('%s', async (_what, args, message) => {
    const { exitCode, stdout, stderr } = await run(...args);

    expect(stderr).toContain(message);
    expect(stderr).toContain('Usage: pg-deploy-step run [options]');
    expect(stdout).toBe('');
    expect(exitCode).toBe(2);
  });

  test('the names that --only may have are listed', async () => {
    const { stderr } = await run('--only', 'idx_nowhere');

    expect(stderr).toContain('Valid names: idx_orders_status.');
  });

  test.each(['not-an-address:s3cret', 'postgres://user:s3cret@host:port/db', 'mysql://user:s3cret@host/db'])(
    'an address that is none is not repeated: it may hold a password (%s)',
    async (address) => {
      const { exitCode, stdout, stderr } = await run('--database-url', address);

      expect(stderr).toContain('Write it as postgres://USER:PASSWORD@HOST:PORT/DATABASE.');
      expect(stdout + stderr).not.toContain('s3cret');
      expect(stderr).toContain('Usage:');
      expect(exitCode).toBe(2);
    },
  );

  test('an unknown command, and none', async () => {
    const unknown = await place.run('rum');
    const none = await place.run();

    expect(unknown.stderr).toContain("unknown command 'rum'");
    expect(unknown.stderr).toContain('Usage: pg-deploy-step [options] [command]');
    expect(unknown.exitCode).toBe(2);
    expect(none.stderr).toContain('Usage: pg-deploy-step [options] [command]');
    expect(none.exitCode).toBe(2);
  });
});

test('--help prints the usage on standard output and exits with 0', async () => {
  for (const args of [['--help'], ['run', '--help']]) {
    const { exitCode, stdout, stderr } = await place.run(...args);

    expect(stdout).toContain('Usage: pg-deploy-step');
    expect(stderr).toBe('');
    expect(exitCode).toBe(0);
  }
});

test.each<[string, string, string]>([
  ['JSON that is none', `[{\n  "name": "idx_orders_status",,\n}]`, 'is not valid JSON at line 2, column 31'],
  ['no list', '{"indexes": []}', 'wrong.json'],
  [
    'an entry without CONCURRENTLY',
    JSON.stringify([{ ...GOOD, sql: GOOD.sql.replace('CONCURRENTLY ', '') }]),
    'CONCURRENTLY',
  ],
  [
    'an entry without IF NOT EXISTS',
    JSON.stringify([{ ...GOOD, sql: GOOD.sql.replace('IF NOT EXISTS ', '') }]),
    'IF NOT EXISTS',
  ],
  ['two entries of one name', JSON.stringify([GOOD, GOOD]), '"idx_orders_status"'],
])('a registry with %s exits with 1 and says what is wrong', async (_what, text, message) => {
  writeFileSync(place.file('wrong.json'), text);

  const { exitCode, stdout, stderr } = await run('--indexes', 'wrong.json');

  expect(stderr).toContain(message);
  expect(stderr).toContain('wrong.json');
  expect(stderr).not.toContain('Usage:');
  expect(stdout).toBe('');
  expect(exitCode).toBe(1);
});

test.each<[string, (url: URL) => void, string]>([
  [
    'that cannot be reached',
    (url) => {
      url.port = '1';
      url.password = 's3cret';
    },
    'The database cannot be reached: connect ECONNREFUSED 127.0.0.1:1',
  ],
  [
    'that refuses the password',
    (url) => {
      url.password = 's3cret';
    },
    'The database refused the connection: password authentication failed for user "postgres"',
  ],
])(
  'a database %s exits with 1, and nothing that is written holds the password',
  async (_what, change, message) => {
    const url = new URL(database.url);
    change(url);

    const { exitCode, stdout, stderr } = await run('--database-url', url.href, '--report', 'out.json');

    expect(stdout).toContain('Refused before anything was stopped or changed.');
    expect(stdout).toContain(message);
    const report = readFileSync(place.file('out.json'), 'utf8');
    expect(JSON.parse(report)).toMatchObject({ status: 'failed', downtimeMs: 0 });
    expect(report).toContain(JSON.stringify(message).slice(1, -1));
    expect(place.logs()).not.toBe('');
    expect(stdout + stderr + report + place.logs()).not.toContain('s3cret');
    expect(exitCode).toBe(1);
  },
);

test('a database that refuses the password is not filled with the demo', async () => {
  const url = new URL(database.url);
  url.password = 's3cret';

  const { exitCode, stdout, stderr } = await run('--database-url', url.href, '--seed', 'demo');

  expect(stderr).toMatch(
    /The demo database at postgres:\/\/postgres:\*\*\*@\S+ could not be filled: password authentication failed for user "postgres". No deploy was started./,
  );
  expect(stdout + stderr).not.toContain('s3cret');
  expect(exitCode).toBe(1);
});

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type CommandFolder, createCommandFolder } from '../support/command.ts';
import { createDatabase, readRelations, type TestDatabase } from '../support/database.ts';

const GOOD = {
  name: 'idx_orders_status',
  sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_orders_status ON orders (status)',
  description: 'orders by status',
};

let database: TestDatabase;
let place: CommandFolder;
let before: unknown;

beforeAll(async () => {
  place = createCommandFolder();
  database = await createDatabase();
  await database.query('create table orders (id int primary key, status text)');
  before = await readRelations(database);
  writeFileSync(place.file('good.json'), JSON.stringify([GOOD]));
});

afterEach(async () => {
  expect(await readRelations(database)).toEqual(before);
  expect(place.processes()).toEqual([]);
});

afterAll(async () => {
  place.remove();
  await database.drop();
});

function run(...args: string[]) {
  const { deployUrl: url } = database;
  return place.run('run', '--database-url', url, '--indexes', 'good.json', '--migrations', 'none', ...args);
}

test.each<[string, string, string]>([
  ['invalid JSON', `[{\n  "name": "idx_orders_status",,\n}]`, 'wrong.json:2:31: it is not valid JSON'],
  ['no array', '{"indexes": []}', 'wrong.json'],
  [
    'an entry without CONCURRENTLY',
    JSON.stringify([{ ...GOOD, sql: GOOD.sql.replace('CONCURRENTLY ', '') }]),
    'wrong.json:1:44: entry 1 "idx_orders_status": sql: CONCURRENTLY is missing',
  ],
  [
    'an entry without IF NOT EXISTS',
    JSON.stringify([{ ...GOOD, sql: GOOD.sql.replace('IF NOT EXISTS ', '') }]),
    'IF NOT EXISTS',
  ],
  [
    'two entries with the same name',
    JSON.stringify([GOOD, GOOD], null, 2),
    'wrong.json:8:5: entry 2 "idx_orders_status": name: entry 1 "idx_orders_status" has this name',
  ],
])('a registry with %s exits with 1 and reports the error', async (_what, text, message) => {
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
      url.host = '127.0.0.1:1';
      url.password = 's3cret';
    },
    'The database cannot be reached: connect ECONNREFUSED 127.0.0.1:1',
  ],
  [
    'with another password',
    (url) => {
      url.password = 's3cret';
    },
    'The database refused the connection: password authentication failed for user "postgres"',
  ],
])('a database %s exits with 1, and no output contains the password', async (_what, change, message) => {
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
});

test('a wrong password is reported when the demo database is filled', async () => {
  const url = new URL(database.url);
  url.password = 's3cret';

  const { exitCode, stdout, stderr } = await run('--database-url', url.href, '--seed', 'demo');

  expect(stderr).toMatch(
    /Could not fill the demo database at postgres:\/\/postgres:\*\*\*@\S+: password authentication failed for user "postgres". No deploy was started./,
  );
  expect(stdout + stderr).not.toContain('s3cret');
  expect(exitCode).toBe(1);
});

test('migrations that end the transaction or are not UTF-8 exit with 1, and each message has file, line and column', async () => {
  mkdirSync(place.file('wrong'));
  writeFileSync(place.file('wrong/0001_a.sql'), 'create table a ();\ncommit;\n');
  const latin1 = Buffer.concat([Buffer.from("select 'caf"), Buffer.from([0xe9]), Buffer.from("';")]);
  writeFileSync(place.file('wrong/0002_b.sql'), latin1);

  const { exitCode, stdout, stderr } = await run('--migrations', 'wrong');

  expect(exitCode).toBe(1);
  expect(stdout + stderr).toContain(
    'wrong/0001_a.sql:2:1: The deploy applies all pending files in one transaction.',
  );
  expect(stdout + stderr).toContain('wrong/0002_b.sql:1:12: Byte 0xE9 at offset 11 is not valid UTF-8');
});

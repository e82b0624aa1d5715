import { mkdirSync, writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
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
  mkdirSync(place.file('folder'));
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
      'a hold in a mode that stops no services',
      ['--mode', 'indexes', '--start', 'hold'],
      "option '--start hold': the mode indexes stops no services. Use it with --mode deploy.",
    ],
    [
      'a revision in a mode that stops no services',
      ['--mode', 'indexes', '--task-definition', 'api=api:2'],
      "option '--task-definition <name=revision>': the mode indexes stops no services. Use it with --mode deploy.",
    ],
    [
      'a family without a revision',
      ['--task-definition', 'api=api'],
      "argument 'api=api' is invalid. It must be NAME=FAMILY:REVISION, such as api=api:42.",
    ],
    [
      'two revisions of a service',
      ['--task-definition', 'api=api:2', '--task-definition', 'api=api:3'],
      'The service api has the revision api:2 already.',
    ],
    [
      'a revision of an unknown service',
      ['--services', 'demo', '--task-definition', 'web=web:2'],
      'is named "web". Valid names: api, worker.',
    ],
    ['an unknown index', ['--only', 'idx_nowhere'], '"idx_nowhere" is not in the registry. Valid names:'],
    [
      'an index that is named twice',
      ['--only', 'idx_orders_status', '--only', 'public.idx_orders_status'],
      'it lists "idx_orders_status" and "public"."idx_orders_status", which are the same index. Name each index once.',
    ],
    [
      'a search path that is not a list of names',
      ['--search-path', 'app; drop table orders'],
      "option '--search-path <schemas>' argument 'app; drop table orders' is invalid. It must be names of schemas",
    ],
    [
      'PUBLIC as a trusted role',
      ['--trusted-role', 'owner', '--trusted-role', 'public'],
      "option '--trusted-role <name>' argument 'public' is invalid. It must be the name of one role: PUBLIC is every role",
    ],
    ['a registry that does not exist', ['--indexes', 'nowhere.json'], 'nowhere.json does not exist.'],
    ['a registry that is a folder', ['--indexes', 'folder'], 'folder is a folder, not a file.'],
    ['a migrations folder that does not exist', ['--migrations', 'nowhere'], 'nowhere does not exist.'],
    [
      'a migrations folder that is a file',
      ['--migrations', 'good.json'],
      'good.json is a file, not a folder.',
    ],
    ['an unknown flag', ['--tables', 'orders'], "unknown option '--tables'"],
    ['an argument', ['orders'], "too many arguments for 'run'"],
    ['a lock timeout below 3 s', ['--lock-timeout', '1'], 'It must be a whole number from 3 to 600.'],
    ['attempts that are not a number', ['--attempts', 'x'], 'It must be a whole number from 1 to 100.'],
    ['zero tables at the same time', ['--max-concurrent', '0'], 'It must be a whole number from 1 to 40.'],
    ['an unknown time', ['--when', 'later'], 'Allowed choices are before-start, after-start.'],
    ['unknown services', ['--services', 'all'], 'Allowed choices are demo, none.'],
    ['an unknown seed', ['--seed', 'all'], 'Allowed choices are demo, none.'],
    ['a report in a folder that does not exist', ['--report', 'nowhere/out.json'], 'nowhere does not exist.'],
    ['a report whose path is a folder', ['--report', 'folder'], 'folder is a folder, not a file.'],
    [
      'a migration command together with a migrations folder',
      ['--migration-command', 'true'],
      "option '--migration-command <command>' cannot be used with option '--migrations <dir>'",
    ],
    ['a flag without its value', ['--report'], "option '--report <file>' argument missing"],
  ])('%s', async (_what, args, message) => {
    const { exitCode, stdout, stderr } = await run(...args);

    expect(stderr).toContain(message);
    expect(stderr).toContain('(pg-deploy-step run --help lists its flags)');
    expect(stderr.trim().split('\n').length).toBeLessThanOrEqual(3);
    expect(stdout).toBe('');
    expect(exitCode).toBe(2);
  });

  test('the valid names of --only are listed', async () => {
    const { stderr } = await run('--only', 'idx_nowhere');

    expect(stderr).toContain('Valid names: idx_orders_status.');
  });

  test.each(['not-an-address:s3cret', 'postgres://user:s3cret@host:port/db', 'mysql://user:s3cret@host/db'])(
    'an invalid database URL is not printed, because it may contain a password (%s)',
    async (url) => {
      const { exitCode, stdout, stderr } = await run('--database-url', url);

      expect(stderr).toContain('Write it as postgres://USER:PASSWORD@HOST:PORT/DATABASE.');
      expect(stdout + stderr).not.toContain('s3cret');
      expect(stderr).toContain('--help lists its flags');
      expect(exitCode).toBe(2);
    },
  );

  test('an unknown command, or no command', async () => {
    const unknown = await place.run('rum');
    const none = await place.run();

    expect(unknown.stderr).toContain("unknown command 'rum'");
    expect(unknown.stderr).toContain('(pg-deploy-step --help lists the commands)');
    expect(unknown.stderr).not.toContain('Usage:');
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

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { reportSchema } from '../../lambdas/shared/report-schema.ts';
import { type CommandFolder, createCommandFolder } from '../support/command.ts';
import { connect, createDatabase, readRelations, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/waits.ts';

const REGISTRY = JSON.stringify([
  {
    name: 'idx_orders_status',
    sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_orders_status ON orders (status)',
    description: 'orders by status',
  },
]);
const MIGRATION = 'alter table orders add column note text;';

let database: TestDatabase;
let place: CommandFolder;

beforeAll(async () => {
  place = createCommandFolder();
  database = await createDatabase();
  await database.query('create table orders (id int primary key, status text)');
  writeFileSync(place.file('my.json'), REGISTRY);
  mkdirSync(place.file('folder'));
  mkdirSync(place.file('migrations'));
  writeFileSync(place.file('migrations/0001_note.sql'), MIGRATION);
});

afterAll(async () => {
  place.remove();
  await database.drop();
});

function start(...args: string[]) {
  const target = ['--database-url', database.deployUrl, '--indexes', 'my.json'];
  return place.start('run', ...target, '--mode', 'indexes', ...args);
}

async function run(...args: string[]) {
  return await start('--migrations', 'none', ...args).ended;
}

function isReport(json: string): void {
  expect(reportSchema.parse(JSON.parse(json))).toMatchObject({ status: 'succeeded', mode: 'indexes' });
}

describe('a report that cannot be written is refused at the start', () => {
  test.each<[string, string, string]>([
    ['an empty path', '', 'It must not be empty.'],
    ['a folder', 'folder', 'folder is a folder, not a file.'],
    ['a folder, with a slash', 'folder/', 'folder is a folder, not a file.'],
    ['a folder that does not exist', 'nowhere/out.json', 'nowhere does not exist.'],
    ['a path below a file', 'my.json/out.json', 'my.json is a file, not a folder.'],
    ['a path below a path below a file', 'my.json/a/out.json', 'my.json is a file, not a folder.'],
    ['a folder that allows no files', '/proc/out.json', '/proc/out.json cannot be written: '],
    ['a name that is too long', `${'a'.repeat(300)}.json`, 'cannot be written: name too long (ENAMETOOLONG)'],
    ['the registry', 'my.json', "option '--report <file>': "],
    [
      'the registry by another name',
      'link-to-registry',
      'link-to-registry is the index registry, which the report would overwrite.',
    ],
    [
      'a migration',
      'migrations/0001_note.sql',
      '0001_note.sql is a migration, which the report would overwrite.',
    ],
    ['a new migration', 'migrations/0002.sql', '0002.sql is a migration, which the report would overwrite.'],
    ['a link to itself', 'circle', 'circle cannot be written: '],
    ['a link to a folder that does not exist', 'dangling', 'nowhere does not exist.'],
  ])('%s', async (_what, path, message) => {
    rmSync(place.file('link-to-registry'), { force: true });
    linkSync(place.file('my.json'), place.file('link-to-registry'));
    for (const [target, name] of [
      ['circle', 'circle'],
      ['nowhere/out.json', 'dangling'],
    ] as const) {
      rmSync(place.file(name), { force: true });
      symlinkSync(target, place.file(name));
    }
    const before = await readRelations(database);

    const { exitCode, stdout, stderr } = await start('--migrations', 'migrations', '--report', path).ended;

    expect(stderr).toContain(message);
    expect(stderr).toContain("'--report <file>'");
    expect(stdout).toBe('');
    expect(exitCode).toBe(2);
    expect(await readRelations(database)).toEqual(before);
    expect(readFileSync(place.file('my.json'), 'utf8')).toBe(REGISTRY);
    expect(readFileSync(place.file('migrations/0001_note.sql'), 'utf8')).toBe(MIGRATION);
    expect(place.files('migrations')).toEqual(['0001_note.sql']);
  });
});

test('an existing report is replaced as a whole, with its permissions, and through a symbolic link', async () => {
  writeFileSync(place.file('out.json'), 'x'.repeat(100_000));
  chmodSync(place.file('out.json'), 0o640);
  const { uid, gid } = statSync(place.file('out.json'));
  symlinkSync('out.json', place.file('latest.json'));

  const { exitCode } = await run('--report', 'latest.json');

  expect(exitCode).toBe(0);
  expect(lstatSync(place.file('latest.json')).isSymbolicLink()).toBe(true);
  expect(statSync(place.file('out.json'))).toMatchObject({ uid, gid });
  expect(statSync(place.file('out.json')).mode & 0o777).toBe(0o640);
  isReport(readFileSync(place.file('out.json'), 'utf8'));
  expect(place.files().filter((name) => name.endsWith('.new'))).toEqual([]);
});

test('a run that fails before its end leaves an existing report as it is', async () => {
  writeFileSync(place.file('old.json'), 'old');

  const { exitCode } = await run('--report', 'old.json', '--only', 'idx_nowhere');

  expect(exitCode).toBe(2);
  expect(readFileSync(place.file('old.json'), 'utf8')).toBe('old');
});

test('a full disk at the end prints the report on standard error and exits with 1', async () => {
  const { exitCode, stdout, stderr } = await run('--report', '/dev/full');

  expect(stdout).toMatch(/Deploy \S+ succeeded/);
  expect(stderr).toContain(
    'The report could not be written to a file: /dev/full cannot be written: no space left on device (ENOSPC). The report:\n',
  );
  isReport(stderr.slice(stderr.indexOf('{')));
  expect(exitCode).toBe(1);
});

test('a folder that is removed during the run: the deploy ends, the services start, the report is on standard error', async () => {
  mkdirSync(place.file('reports'));
  await database.query('drop index if exists idx_orders_status');
  const blocker = await connect(database.url);
  await blocker.query('begin');
  await blocker.query('lock table orders in access exclusive mode');
  const command = start(
    '--migrations',
    'none',
    '--mode',
    'deploy',
    '--services',
    'demo',
    '--report',
    'reports/out.json',
  );
  const waiting =
    "select 1 from pg_stat_activity where datname = current_database() and application_name like 'pg-deploy-step%' and wait_event_type = 'Lock'";
  await eventually(async () => (await database.query(waiting)).length).toBe(1);
  rmSync(place.file('reports'), { recursive: true });
  await blocker.query('rollback');
  await blocker.end();

  const { exitCode, stdout, stderr } = await command.ended;

  expect(stdout).toMatch(/Services: api, worker; they were down for/);
  expect(stderr).toMatch(
    /The report could not be written to a file: The folder \S+reports does not exist\. The report:\n/,
  );
  expect(reportSchema.parse(JSON.parse(stderr.slice(stderr.indexOf('{'))))).toMatchObject({
    status: 'succeeded',
    totals: { created: 1 },
  });
  expect(exitCode).toBe(1);
  expect(place.processes()).toEqual([]);
});

test('a device, standard output and a named pipe are written', async () => {
  expect((await run('--report', '/dev/null')).exitCode).toBe(0);
  const printed = await run('--report', '/dev/stdout');
  expect(printed.exitCode).toBe(0);
  isReport(printed.stdout.slice(printed.stdout.indexOf('{'), printed.stdout.lastIndexOf('}') + 1));

  execFileSync('mkfifo', [place.file('pipe')]);
  const reader = spawn('cat', [place.file('pipe')], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [{ exitCode }, read] = await Promise.all([run('--report', 'pipe'), text(reader.stdout)]);
  expect(exitCode).toBe(0);
  isReport(read);
});

test('a closed standard output with --json exits with 1 after the whole deploy, without a stack trace', async () => {
  await database.query('drop index if exists idx_orders_status');
  const { PATH, HOME } = process.env;
  const child = spawn(
    process.execPath,
    [
      new URL('../../bin/pg-deploy-step.ts', import.meta.url).pathname,
      ...[
        'run',
        '--database-url',
        database.deployUrl,
        '--indexes',
        'my.json',
        '--migrations',
        'none',
        '--services',
        'demo',
      ],
      '--json',
    ],
    { cwd: place.directory, env: { PATH, HOME }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  child.stdout.destroy();
  const [stderr, [exitCode]] = await Promise.all([text(child.stderr), once(child, 'exit')]);

  expect(stderr).toMatch(/Deploy \S+ succeeded/);
  expect(stderr).toMatch(/Services: api, worker; they were down for/);
  expect(stderr).toContain(
    'The report could not be written to standard output: its reader has closed it (EPIPE).',
  );
  expect(stderr).not.toMatch(/^ +at /m);
  expect(exitCode).toBe(1);
  expect(await database.query("select 1 from pg_indexes where indexname = 'idx_orders_status'")).toHaveLength(
    1,
  );
});

test('import --out refuses a path that cannot be written before it reads anything', async () => {
  const { exitCode, stderr } = await place.run('import', 'migrations', '--out', 'my.json/indexes.json');

  expect(stderr).toContain('my.json is a file, not a folder.');
  expect(exitCode).toBe(2);
});

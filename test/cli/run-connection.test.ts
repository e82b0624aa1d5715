import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type CommandFolder, createCommandFolder } from '../support/command.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

let place: CommandFolder;
let database: TestDatabase;
let url: URL;

beforeEach(async () => {
  place = createCommandFolder();
  database = await createDatabase();
  url = new URL(database.url);
  await database.query('create table events (kind text); create index idx_events_kind on events (kind)');
  await database.query("insert into events values ('')");
  writeRegistry(false);
  mkdirSync(place.file('home'));
  // Without the password file and the certificates of the user who runs the test.
  place.variables.HOME = place.file('home');
});

afterEach(async () => {
  place.remove();
  await database.drop();
});

function writeRegistry(fails: boolean): void {
  const columns = fails ? '(1 / length(kind))' : 'kind, kind';
  const sql = `create index concurrently if not exists idx_kind on events (${columns})`;
  const entries = [{ name: 'idx_kind', sql, description: 'of the test', critical: true }];
  writeFileSync(place.file('registry.json'), JSON.stringify(entries));
}

const PASSWORD = () => decodeURIComponent(url.password);
const HOST = () => decodeURIComponent(url.hostname);

/** The connection string without the password. */
function withoutPassword(): string {
  return Object.assign(new URL(database.url), { password: '' }).href;
}

const pairs = () => `host=${HOST()} port=${url.port} user=postgres dbname=${database.name}`;

const WITH_SERVICES = 'a URL and PGPASSWORD';

const WAYS: [string, () => { flag: string; variables: Record<string, string> }][] = [
  [WITH_SERVICES, () => ({ flag: withoutPassword(), variables: { PGPASSWORD: PASSWORD() } })],
  ['pairs and PGPASSWORD', () => ({ flag: pairs(), variables: { PGPASSWORD: PASSWORD() } })],
  [
    'pairs and ~/.pgpass',
    () => {
      writeFileSync(place.file('home/.pgpass'), `*:*:*:postgres:${PASSWORD()}\n`, { mode: 0o600 });
      return { flag: pairs(), variables: {} };
    },
  ],
  [
    'a URL and PGPASSFILE',
    () => {
      writeFileSync(place.file('passwords'), `*:*:${database.name}:postgres:${PASSWORD()}\n`, {
        mode: 0o600,
      });
      return { flag: withoutPassword(), variables: { PGPASSFILE: place.file('passwords') } };
    },
  ],
  ['env and DATABASE_URL', () => ({ flag: 'env', variables: { DATABASE_URL: database.url } })],
  [
    'env and the PG* variables',
    () => ({
      flag: 'env',
      variables: {
        ...{ PGHOST: HOST(), PGPORT: url.port, PGUSER: 'postgres', PGDATABASE: database.name },
        ...{ PGPASSWORD: PASSWORD(), PGOPTIONS: '-c work_mem=5MB', PGAPPNAME: 'mine' },
      },
    }),
  ],
  [
    'env, PGSERVICE and PGSERVICEFILE',
    () => {
      const lines = [`host=${HOST()}`, `port=${url.port}`, 'user=postgres', `dbname=${database.name}`];
      writeFileSync(place.file('services'), `[shop]\n${lines.join('\n')}\npassword=${PASSWORD()}\n`);
      return { flag: 'env', variables: { PGSERVICE: 'shop', PGSERVICEFILE: place.file('services') } };
    },
  ],
];

test.each(WAYS)(
  'run --database-url with %s builds, and the password is on no command line',
  async (name, way) => {
    const { flag, variables } = way();
    Object.assign(place.variables, variables);
    const run = place.start(
      ...['run', '--database-url', flag, '--indexes', 'registry.json'],
      // They take the URL as the functions do, and need seconds to stop.
      ...['--services', name === WITH_SERVICES ? 'demo' : 'none'],
      ...['--migration-command', 'printf %s "$DATABASE_URL" > seen', '--report', 'report.json'],
    );
    const seen: string[] = [];
    const timer = setInterval(() => seen.push(...place.processes()), 100);
    const { exitCode, stdout, stderr } = await run.ended;
    clearInterval(timer);

    expect(exitCode, stdout + stderr).toBe(0);
    expect(
      await database.query("select indisvalid from pg_index where indexrelid = 'idx_kind'::regclass"),
    ).toEqual([{ indisvalid: true }]);
    expect(seen.some((line) => line.includes('lambda-process.ts'))).toBe(true);
    for (const text of [...seen, stdout, stderr, readFileSync(place.file('report.json'), 'utf8')]) {
      expect(text).not.toContain(PASSWORD());
    }
    // The migration command gets a URL that is complete, for any tool.
    const client = new pg.Client({ connectionString: readFileSync(place.file('seen'), 'utf8') });
    await client.connect();
    expect((await client.query('select current_database() as name')).rows).toEqual([{ name: database.name }]);
    await client.end();
  },
);

test('without the flag, a run uses the embedded demo, whatever DATABASE_URL and the PG* variables say', async () => {
  Object.assign(place.variables, {
    ...{ DATABASE_URL: database.url, PGHOST: HOST(), PGPORT: url.port, PGDATABASE: database.name },
    ...{ PGPASSWORD: PASSWORD(), PGSSLMODE: 'require', PGOPTIONS: '-c nonsense=1', PGUSER: 'nobody' },
  });
  const { exitCode, stdout, stderr } = await place.run('run', '--mode', 'plan', '--report', 'report.json');

  expect(exitCode, stdout + stderr).toBe(0);
  expect(stderr).toContain('Note: DATABASE_URL is set, but this plan uses the embedded demo database.');
  expect(stderr).toContain('give --database-url env');
  expect(stdout).toContain('Starting embedded PostgreSQL');
  expect(await database.query("select to_regnamespace('deploy_step') as ledger")).toEqual([{ ledger: null }]);
  expect(JSON.parse(readFileSync(place.file('report.json'), 'utf8')).indexes.length).toBeGreaterThan(1);
});

test.each<[string, Record<string, string>, string, string]>([
  ['env', {}, 'The variables name no database. Set DATABASE_URL, or one of PGHOST', ''],
  ['env', { DATABASE_URL: 'mysql://u:hunter2@h/d' }, 'it starts with mysql://', 'hunter2'],
  [
    'host=h password=hunter2 requirepeer=postgres',
    {},
    'requirepeer (variable PGREQUIREPEER) cannot be used',
    'hunter2',
  ],
  [
    'postgres://u:hunter2@h/d?sslmode=verify-full',
    {},
    'sslmode=verify-full needs the certificates',
    'hunter2',
  ],
  [
    'postgres://u@h/d?service=none',
    {},
    'The service "none" (PGSERVICE) is in none of these files',
    'hunter2',
  ],
])('--database-url %s is wrong usage: %s%s', async (flag, variables, message, secret) => {
  Object.assign(place.variables, variables);
  for (const command of [['run'], ['import']]) {
    const { exitCode, stderr, stdout } = await place.run(...command, '--database-url', flag);
    expect(stderr).toContain(`error: option '--database-url <url>': `);
    expect(stderr).toContain(message);
    if (secret !== '') expect(stderr + stdout).not.toContain(secret);
    expect(exitCode).toBe(2);
  }
});

test('a password file that others can read is not used, and a warning says so', async () => {
  writeFileSync(place.file('home/.pgpass'), `*:*:*:*:${PASSWORD()}\n`, { mode: 0o644 });
  const { exitCode, stderr, stdout } = await place.run('import', '--database-url', pairs());
  expect(stderr).toContain(
    `Warning: The password file ${place.file('home/.pgpass')} can be read by other users`,
  );
  expect(stderr).toContain('asks for the password of the user "postgres", and none is given');
  expect(stdout).toBe('');
  expect(exitCode).toBe(1);
});

test('import reads the database of DATABASE_URL if no path is given', async () => {
  Object.assign(place.variables, { DATABASE_URL: withoutPassword(), PGPASSWORD: PASSWORD() });
  const implicit = await place.run('import', '--format', 'json');
  const explicit = await place.run('import', '--database-url', 'env', '--format', 'json');
  expect(JSON.parse(implicit.stdout)).toMatchObject([{ name: 'idx_events_kind' }]);
  expect(explicit.stdout).toBe(implicit.stdout);
  expect([implicit.exitCode, explicit.exitCode]).toEqual([0, 0]);
});

test('the command that starts services again repeats the flag as it was given, without the password', async () => {
  writeRegistry(true);
  place.variables.PGPASSWORD = PASSWORD();
  const run = ['--indexes', 'registry.json', '--migrations', 'none', '--services', 'demo'];
  const flag = `${pairs()} options='-c work_mem=5MB'`;
  const stopped = await place.run('run', '--database-url', flag, ...run);
  expect(stopped.stdout).toContain(
    `--database-url '${flag.replaceAll("'", "'\\''")}' --services demo --mode start-services`,
  );
  expect(stopped.stdout).not.toContain('with the password');
  // The same database in another form has the same state file.
  const started = await place.run(
    'run',
    '--database-url',
    withoutPassword(),
    ...run,
    '--mode',
    'start-services',
  );
  expect(started.exitCode, started.stdout).toBe(0);
  expect(place.files()).not.toContain('.pg-deploy-step');
});

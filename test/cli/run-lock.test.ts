import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { reportSchema } from '../../lambdas/shared/report-schema.ts';
import type { IndexEntry } from '../../lib/registry/define-indexes.ts';
import { type CommandFolder, createCommandFolder } from '../support/command.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/waits.ts';

const INDEXES: IndexEntry[] = [
  {
    name: 'idx_orders_status',
    sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_orders_status ON orders (status)',
    description: 'orders by status',
  },
];

/** Runs for as long as the table gate has a row. */
const MIGRATION = `
  do $$ begin while exists (select from gate) loop perform pg_sleep(0.05); end loop; end $$;
  alter table orders add column note text;`;

let database: TestDatabase;
let older: CommandFolder;
let younger: CommandFolder;

beforeEach(async () => {
  older = createCommandFolder();
  younger = createCommandFolder();
  for (const place of [older, younger]) {
    writeFileSync(place.file('my.json'), JSON.stringify(INDEXES));
    mkdirSync(place.file('migrations'));
    writeFileSync(place.file('migrations/0001_note.sql'), MIGRATION);
  }
  database = await createDatabase();
  // The trigger records even sessions that last only a moment.
  await database.query(`
    create table orders (id int primary key, status text not null);
    create table gate (n int);
    create table logins (id int generated always as identity, name text not null);
    create function note_login() returns event_trigger language plpgsql as $$
      begin
        insert into logins (name) select name from current_setting('application_name') as name where name in ('api', 'worker');
      end $$;
    create event trigger on_login on login execute function note_login();
    alter event trigger on_login enable always;
  `);
});

afterEach(async () => {
  older.remove();
  younger.remove();
  await database.drop();
});

function start(place: CommandFolder, ...args: string[]) {
  const fixed = ['--services', 'demo', '--indexes', 'my.json', '--migrations', 'migrations'];
  return place.start('run', '--database-url', database.deployUrl, ...fixed, ...args);
}

async function sessions(condition: string): Promise<number> {
  const rows = await database.query(
    `select 1 from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and ${condition}`,
  );
  return rows.length;
}

const OF_SERVICES = "application_name in ('api', 'worker')";
const MIGRATES = "query like '%from gate%' and application_name like 'pg-deploy-step%'";

/** Starts the older run and holds it in its maintenance window. */
async function startOlder() {
  await database.query('insert into gate values (1)');
  const run = start(older);
  await eventually(() => sessions(MIGRATES)).toBe(1);
  await eventually(() => sessions(OF_SERVICES)).toBe(0);
  return run;
}

/** Lets the migration of the older run end. */
async function release(): Promise<void> {
  await database.query('delete from gate');
}

/** The state of the services, as the older run has saved it. */
function readState(): string {
  const folder = older.file('.pg-deploy-step');
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .map((name) => readFileSync(join(folder, name), 'utf8'))
    .join();
}

async function countLogins(): Promise<number> {
  return (await database.query('select 1 from logins')).length;
}

test('a run during another run on the same database is refused, and stops, starts and changes nothing', async () => {
  const run = await startOlder();
  const logins = await countLogins();
  const otherName = new URL(database.deployUrl);
  otherName.hostname = 'localhost';

  const refused = await Promise.all([
    start(younger, '--database-url', otherName.href, '--seed', 'demo', '--report', 'out.json').ended,
    // The same directory, and so the same file with the state of the services.
    start(older).ended,
    start(older, '--mode', 'start-services').ended,
  ]);

  for (const { exitCode, stdout } of refused) {
    expect(exitCode).toBe(1);
    expect(stdout).toContain('Refused before anything was stopped or changed.');
    const user = userInfo().username;
    expect(stdout).toMatch(
      new RegExp(
        `Another deploy is running: process ${run.pid} of ${user} on ${hostname().split('.')[0]} ` +
          String.raw`\(database session \d+\), started at 20\d\d-\d\d-\d\dT[\d:.]+Z\. Wait until it ends, or `,
      ),
    );
    expect(stdout).toContain('Then start this deploy again.');
    expect(stdout).not.toContain('Step Functions console');
  }
  const report = reportSchema.parse(JSON.parse(readFileSync(younger.file('out.json'), 'utf8')));
  expect(report).toMatchObject({ status: 'failed', downtimeMs: 0 });
  expect(await countLogins()).toBe(logins);
  expect(await sessions(OF_SERVICES)).toBe(0);
  expect(await sessions(MIGRATES)).toBe(1);

  await release();
  const { exitCode, stdout } = await run.ended;
  expect(exitCode, stdout).toBe(0);
  expect(stdout).toContain('Indexes: 1 created');
  expect(older.processes()).toEqual([]);
  expect(younger.processes()).toEqual([]);
  expect(younger.files()).toEqual(['migrations', 'my.json', 'out.json']);
  await eventually(() => sessions('true')).toBe(0);
});

test('--mode plan runs during another run, names it, and does not start its services', async () => {
  const run = await startOlder();
  const logins = await countLogins();
  const state = readState();

  const planned = await start(older, '--mode', 'plan', '--report', 'plan.json').ended;

  expect(planned.exitCode, planned.stdout).toBe(0);
  expect(planned.stdout).toMatch(
    new RegExp(
      `A deploy would be refused\\. Another deploy is running: process ${run.pid} of .* Wait until it ends`,
    ),
  );
  expect(planned.stdout).toContain(
    'Another deploy has stopped services, which are not started yet: api, worker.',
  );
  expect(planned.stdout).toContain('  api: a deploy has left it stopped');
  const { services } = reportSchema.parse(JSON.parse(readFileSync(older.file('plan.json'), 'utf8')));
  expect(services).toMatchObject([
    { name: 'api', usable: true, reason: null, leftStopped: true },
    { name: 'worker', usable: true, reason: null, leftStopped: true },
  ]);
  expect(readState()).toBe(state);
  expect(await countLogins()).toBe(logins);
  await release();
  expect((await run.ended).exitCode).toBe(0);
});

test('--mode plan without another run checks the services, and starts and changes nothing', async () => {
  const planned = await start(older, '--mode', 'plan', '--report', 'plan.json').ended;

  expect(planned.exitCode, planned.stdout).toBe(0);
  expect(planned.stdout).toContain('A deploy would stop and start the services: api, worker');
  const report = reportSchema.parse(JSON.parse(readFileSync(older.file('plan.json'), 'utf8')));
  expect(report).toMatchObject({
    refusal: null,
    services: [
      { name: 'api', usable: true, desiredCount: 2, scaling: true, leftStopped: false },
      { name: 'worker', usable: true, desiredCount: 1, scaling: false, leftStopped: false },
    ],
  });
  expect(await countLogins()).toBe(0);
  expect(older.processes()).toEqual([]);
  expect(older.files()).toEqual(['migrations', 'my.json', 'plan.json']);
});

test('a run that is killed with SIGKILL does not hold up the next run', async () => {
  const run = await startOlder();
  run.signal('SIGKILL');
  await run.ended;
  await release();
  await eventually(() => sessions("application_name like 'pg-deploy-step%'")).toBe(0);

  const { exitCode, stdout } = await start(older).ended;

  expect(exitCode, stdout).toBe(0);
  expect(stdout).toContain('Services: api, worker');
});

test('of two runs that start at the same time exactly one deploys', async () => {
  await database.query('insert into gate values (1)');
  const runs = [start(older), start(younger)];

  const refused = await Promise.race(runs.map(({ ended }) => ended));

  expect(refused.exitCode).toBe(1);
  expect(refused.stdout).toContain('Another deploy is running: process ');
  await release();
  const both = await Promise.all(runs.map(({ ended }) => ended));
  expect(both.map(({ exitCode }) => exitCode).toSorted()).toEqual([0, 1]);
});

test('a role with a single connection deploys without the lock, with a warning', async () => {
  // The role has no rights on the table into which the trigger writes.
  await database.query('drop event trigger on_login');
  const role = `single_${database.name}`;
  await database.query(`create role ${role} login password 'x' connection limit 1`);
  await database.query(`alter table orders owner to ${role}`);
  await database.query(`grant create on schema public to ${role}`);
  await database.query(`grant select on gate to ${role}`);
  await database.query(`grant create on database ${database.name} to ${role}`);
  const url = new URL(database.url);
  url.username = role;
  url.password = 'x';

  const { exitCode, stdout } = await start(younger, '--database-url', url.href, '--services', 'none').ended;

  expect(exitCode, stdout).toBe(0);
  expect(stdout).toContain(
    `Warning: this run cannot lock the database against other runs, because the role ${role} allows only one connection (CONNECTION LIMIT 1).`,
  );
  await database.query(`drop owned by ${role} cascade`);
  await database.query(`drop role ${role}`);
});

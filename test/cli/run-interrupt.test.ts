import { mkdirSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { IndexEntry } from '../../lib/registry/define-indexes.ts';
import { type CommandPlace, makeCommandPlace } from '../support/command.ts';
import { connect, createDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';

const INDEXES: IndexEntry[] = [
  {
    name: 'idx_orders_status',
    sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_orders_status ON orders (status)',
    description: 'orders by status',
  },
];

/** Sessions of the services, of each task two. */
const SERVICES = ['api', 'api', 'api', 'api', 'worker', 'worker'];

let database: TestDatabase;
let place: CommandPlace;

beforeEach(async () => {
  place = makeCommandPlace();
  writeFileSync(place.file('my.json'), JSON.stringify(INDEXES));
  mkdirSync(place.file('migrations'));
  database = await createDatabase();
  // Sessions of services that come and go again in a moment are seen as well.
  await database.query(`
    create table orders (id int primary key, status text not null);
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
  place.remove();
  await database.drop();
});

function start(...args: string[]) {
  const services = ['--services', 'demo', '--indexes', 'my.json', '--report', 'out.json'];
  return place.start('run', '--database-url', database.url, ...services, ...args);
}

/** Connections that the services have opened so far, in the order of their names. */
async function logins(): Promise<string[]> {
  return (await database.query<{ name: string }>('select name from logins order by name')).map(
    ({ name }) => name,
  );
}

async function sessions(condition: string): Promise<number> {
  const rows = await database.query(
    `select 1 from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and ${condition}`,
  );
  return rows.length;
}

const OF_SERVICES = "application_name in ('api', 'worker')";

async function expectNothingLeft(): Promise<void> {
  expect(place.processes()).toEqual([]);
  expect(place.temporaryFiles()).toEqual([]);
  // Neither a report, as there was none, nor a state file with counts that nobody has started.
  expect(place.files()).toEqual(['migrations', 'my.json']);
  expect(await sessions(OF_SERVICES)).toBe(0);
}

test('Ctrl-C while a migration runs: it is rolled back, the services are started again, exit 1', async () => {
  writeFileSync(
    place.file('migrations/0001_slow.sql'),
    'alter table orders add column note text; select pg_sleep(600);',
  );
  const command = start('--migrations', 'migrations');
  await eventually(() => sessions("query like '%pg_sleep(600)%' and state = 'active'")).toBe(1);
  expect(await sessions(OF_SERVICES)).toBe(0);
  expect(await logins()).toEqual(SERVICES);

  command.interrupt();
  const { exitCode, stdout } = await command.ended;

  expect(exitCode).toBe(1);
  expect(await logins()).toEqual([...SERVICES, ...SERVICES].toSorted());
  expect(stdout).toContain('Interrupted: the deploy is aborted and the services are started again.');
  expect(stdout).toContain('api is steady at 2 tasks');
  expect(stdout).toContain('worker is steady at 1 task');
  expect(stdout).toContain('The services it had stopped were started again.');
  await expectNothingLeft();
  // Its session does not sleep on with the lock that it holds.
  await eventually(() => sessions("query like '%pg_sleep(600)%'")).toBe(0);
  const columns =
    "select 1 from information_schema.columns where table_name = 'orders' and column_name = 'note'";
  expect(await database.query(columns)).toEqual([]);
});

test('Ctrl-C while a build waits for a lock: the services are started again, and again when it is pressed twice', async () => {
  const blocker = await connect(database.url);
  await blocker.query('begin');
  await blocker.query('lock table orders in access exclusive mode');
  const command = start('--migrations', 'none');
  await eventually(() =>
    sessions("application_name like 'pg-deploy-step%' and wait_event_type = 'Lock'"),
  ).toBe(1);
  expect(await sessions(OF_SERVICES)).toBe(0);

  command.interrupt();
  command.interrupt();
  const { exitCode, stdout } = await command.ended;

  expect(exitCode).toBe(1);
  expect(await logins()).toEqual([...SERVICES, ...SERVICES].toSorted());
  expect(stdout).toContain('The services it had stopped were started again.');
  await expectNothingLeft();
  await blocker.query('rollback');
  await blocker.end();
  await eventually(() => sessions("application_name like 'pg-deploy-step%'")).toBe(0);
  expect(await database.query('select 1 from pg_index where not indisvalid')).toEqual([]);
});

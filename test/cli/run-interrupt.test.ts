import { mkdirSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { IndexEntry } from '../../lib/registry/define-indexes.ts';
import { type CommandFolder, createCommandFolder } from '../support/command.ts';
import { connect, createDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/waits.ts';

const INDEXES: IndexEntry[] = [
  {
    name: 'idx_orders_status',
    sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_orders_status ON orders (status)',
    description: 'orders by status',
  },
];

/** Sessions of the services: two for each task. */
const SERVICES = ['api', 'api', 'api', 'api', 'worker', 'worker'];

let database: TestDatabase;
let place: CommandFolder;

beforeEach(async () => {
  place = createCommandFolder();
  writeFileSync(place.file('my.json'), JSON.stringify(INDEXES));
  mkdirSync(place.file('migrations'));
  database = await createDatabase();
  // The trigger records even sessions that last only a moment.
  await database.query(`
    create table orders (id int primary key, status text not null);
    create table logins (id int generated always as identity, name text not null);
    create function note_login() returns event_trigger language plpgsql as $$
      begin
        if current_setting('application_name') in ('api', 'worker') then
          insert into logins (name) values (current_setting('application_name'));
        end if;
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
  return place.start('run', '--database-url', database.deployUrl, ...services, ...args);
}

/** Names of the services, one for each connection that they have opened, sorted. */
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
  // No report, because the deploy wrote none, and no state file, because no service is left stopped.
  expect(place.files()).toEqual(['migrations', 'my.json']);
  await eventually(() => sessions(OF_SERVICES)).toBe(0);
}

test('Ctrl-C during a migration rolls it back, starts the services again and exits with 1', async () => {
  writeFileSync(
    place.file('migrations/0001_slow.sql'),
    'alter table orders add column note text; select pg_sleep(600);',
  );
  const command = start('--migrations', 'migrations');
  await eventually(() => sessions("query like '%pg_sleep(600)%' and state = 'active'")).toBe(1);
  await eventually(() => sessions(OF_SERVICES)).toBe(0);
  expect(await logins()).toEqual(SERVICES);

  command.interrupt();
  const { exitCode, stdout } = await command.ended;

  expect(exitCode).toBe(1);
  expect(await logins()).toEqual([...SERVICES, ...SERVICES].toSorted());
  expect(stdout).toContain('Interrupted. Aborting the deploy and starting the services again.');
  expect(stdout).toContain('api is steady with 2 tasks');
  expect(stdout).toContain('worker is steady with 1 task');
  expect(stdout).toContain('The services that it had stopped are running again.');
  await expectNothingLeft();
  // The session of the migration ends too, and releases its lock.
  await eventually(() => sessions("query like '%pg_sleep(600)%'")).toBe(0);
  const columns =
    "select 1 from information_schema.columns where table_name = 'orders' and column_name = 'note'";
  expect(await database.query(columns)).toEqual([]);
});

test('Ctrl-C while a build waits for a lock starts the services again, also when it is pressed twice', async () => {
  const blocker = await connect(database.url);
  await blocker.query('begin');
  await blocker.query('lock table orders in access exclusive mode');
  const command = start('--migrations', 'none');
  await eventually(() =>
    sessions("application_name like 'pg-deploy-step%' and wait_event_type = 'Lock'"),
  ).toBe(1);
  await eventually(() => sessions(OF_SERVICES)).toBe(0);

  command.interrupt();
  command.interrupt();
  const { exitCode, stdout } = await command.ended;

  expect(exitCode).toBe(1);
  expect(await logins()).toEqual([...SERVICES, ...SERVICES].toSorted());
  expect(stdout).toContain('The services that it had stopped are running again.');
  await expectNothingLeft();
  await blocker.query('rollback');
  await blocker.end();
  await eventually(() => sessions("application_name like 'pg-deploy-step%'")).toBe(0);
  expect(await database.query('select 1 from pg_index where not indisvalid')).toEqual([]);
});

/** A transaction that holds a lock until the test releases it. */
async function lock(table: string) {
  const blocker = await connect(database.url);
  await blocker.query('begin');
  await blocker.query(`lock table ${table} in access exclusive mode`);
  return async () => {
    await blocker.query('rollback');
    await blocker.end();
  };
}

const WAITS_FOR_LOCK = "application_name like 'pg-deploy-step%' and wait_event_type = 'Lock'";

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
  '%s before anything was stopped says that no service was stopped',
  async (signal) => {
    writeFileSync(place.file('migrations/0001_note.sql'), 'alter table orders add column note text;');
    await database.query('create table pgmigrations (id serial primary key, name text, run_on timestamp)');
    const unlock = await lock('pgmigrations');
    const command = start('--migrations', 'migrations');
    await eventually(() => sessions(WAITS_FOR_LOCK)).toBe(1);

    command.signal(signal);
    const { exitCode, stdout } = await command.ended;

    expect(exitCode).toBe(1);
    expect(stdout).toContain('Interrupted. Aborting the deploy. No service has been stopped so far.');
    expect(stdout).toContain('No service was stopped.');
    expect(stdout).not.toContain('running again');
    expect(stdout).not.toContain('starting the services again');
    expect(await logins()).toEqual(SERVICES);
    await unlock();
    await expectNothingLeft();
  },
);

test('SIGTERM in the maintenance window starts the services again', async () => {
  const unlock = await lock('orders');
  const command = start('--migrations', 'none');
  await eventually(() => sessions(WAITS_FOR_LOCK)).toBe(1);
  await eventually(() => sessions(OF_SERVICES)).toBe(0);

  command.signal('SIGTERM');
  const { exitCode, stdout } = await command.ended;

  expect(exitCode).toBe(1);
  expect(stdout).toContain('Interrupted. Aborting the deploy and starting the services again.');
  expect(stdout).toContain('The services that it had stopped are running again.');
  await unlock();
  await expectNothingLeft();
});

test('Ctrl-C while the services start waits until they are steady', async () => {
  writeFileSync(place.file('migrations/0001_note.sql'), 'alter table orders add column note text;');
  // Each login of a service inserts a row, so no service is steady while the table is locked.
  const unlockOrders = await lock('orders');
  const command = start('--migrations', 'migrations');
  await eventually(() => sessions(WAITS_FOR_LOCK)).toBe(1);
  await eventually(() => sessions(OF_SERVICES)).toBe(0);
  const unlockLogins = await lock('logins');
  await unlockOrders();
  await eventually(() => command.output()).toContain('api is starting');

  command.signal('SIGINT');
  await eventually(() => command.output()).toContain(
    'Interrupted. Aborting the deploy and starting the services again.',
  );
  await unlockLogins();
  const { exitCode, stdout } = await command.ended;

  expect(exitCode).toBe(1);
  expect(stdout).toContain('The services that it had stopped are running again.');
  await expectNothingLeft();
});

test('Ctrl-C while an index is built after the start says that the services had already been started', async () => {
  // The migration makes a deploy necessary that stops the services.
  writeFileSync(place.file('migrations/0001_note.sql'), 'create table notes (id int primary key);');
  const unlock = await lock('orders');
  const command = start('--migrations', 'migrations', '--when', 'after-start');
  await eventually(() => sessions(WAITS_FOR_LOCK)).toBe(1);
  await eventually(() => command.output()).toContain('worker is steady');

  command.interrupt();
  const { exitCode, stdout } = await command.ended;

  expect(exitCode).toBe(1);
  expect(stdout).toContain('Interrupted. Aborting the deploy. The services have already been started again.');
  expect(stdout).toContain('The services that it had stopped had already been started again.');
  await unlock();
  await expectNothingLeft();
});

test('Ctrl-C after the end of the deploy does not change its result', async () => {
  // A statement that waits for a lock holds up the end of the services, and so of the command. The index exists, because
  // a build would wait for these statements.
  await database.query(`
    create index idx_orders_status on orders (status);
    create table tenants (id int primary key);
    create table audit_logs (tenant_id int, actor text, action text);
  `);
  const unlock = await lock('audit_logs');
  const command = start('--migrations', 'none', '--mode', 'indexes');
  await eventually(() => command.output()).toMatch(/Deploy \S+ succeeded/);

  command.interrupt();
  const { exitCode, stdout } = await command.ended;

  expect(exitCode).toBe(0);
  expect(stdout).toContain('Interrupted after the end of the deploy.');
  expect(stdout).not.toContain('Aborting');
  await unlock();
});

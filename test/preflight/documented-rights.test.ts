import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { openTestWorkflow, type TestWorkflow } from '../support/workflow.ts';

let database: TestDatabase;
let workflow: TestWorkflow;
let role: string;

beforeAll(async () => {
  database = await createDatabase();
  role = `deploy_${database.name}`;
  await database.query(
    `revoke all on schema public from public; create schema shop;
     create table shop.events (id int, kind text);
     insert into shop.events select n, 'Kind ' || n % 9 from generate_series(1, 500) n;
     create role ${role} login password 'deploy'; grant usage on schema public to ${role}`,
  );
  const url = new URL(database.url);
  url.username = role;
  url.password = 'deploy';
  workflow = await openTestWorkflow({
    databaseUrl: url.href,
    indexes: [
      {
        name: 'events_kind',
        sql: 'create index concurrently if not exists events_kind on shop.events (lower(kind))',
        description: 'on an expression, so that the table must be analysed too',
      },
      {
        name: 'events_number',
        sql: 'create unique index concurrently if not exists events_number on shop.events (number)',
        critical: true,
        description: 'on a column that a migration of the same deploy adds',
      },
    ],
    migrations: {
      '0001_number': 'alter table shop.events add column number int; update shop.events set number = id;',
    },
  });
});

afterAll(async () => {
  await workflow.close();
  await database.query(`drop owned by ${role} cascade`);
  await database.query(`drop role ${role}`);
  await database.drop();
});

test('a role without the documented privileges is refused, and nothing is stopped or changed', async () => {
  const { status, cause } = await workflow.deploy();

  expect(status).toBe('FAILED');
  expect(cause).toContain(`The role ${role} does not have the privileges that the deploy needs.`);
  expect(workflow.running()).toEqual({ api: 2, worker: 1 });
  expect(workflow.events.filter((event) => event.machine.endsWith('maintenance-window'))).toEqual([]);
  expect(await database.query("select to_regnamespace('deploy_step') as ledger")).toEqual([{ ledger: null }]);
});

test('a role with only the documented privileges can run a whole deploy', async () => {
  await database.query(
    `grant connect, create on database ${database.name} to ${role};
     alter table shop.events owner to ${role};
     grant usage, create on schema shop to ${role}; grant create on schema public to ${role}`,
  );

  const { status, report } = await workflow.deploy();

  expect(status).toBe('SUCCEEDED');
  expect(report.migrations).toMatchObject({ outcome: 'succeeded', applied: ['0001_number'], pending: [] });
  expect(report.indexes).toMatchObject([
    { name: 'events_kind', status: 'built' },
    { name: 'events_number', status: 'built' },
  ]);
  expect(workflow.running()).toEqual({ api: 2, worker: 1 });
});

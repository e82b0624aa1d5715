import { afterEach, beforeEach, expect, test } from 'vitest';
import type { IndexEntry } from '../../lib/registry/define-indexes.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { openTestWorkflow, type TestWorkflow } from '../support/workflow.ts';

/** A partition of its table is a foreign table. */
const BY_KIND: IndexEntry = {
  name: 'events_by_kind',
  sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS events_by_kind ON events (kind)',
  description: 'events by kind',
};
/** A foreign key depends on the index in the database, which has another definition. */
const KEY: IndexEntry = {
  name: 'people_key',
  sql: 'CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS people_key ON people (id, name)',
  description: 'people by id',
  onDrift: 'rebuild',
  critical: true,
};
const BY_NAME: IndexEntry = {
  name: 'people_by_name',
  sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS people_by_name ON people (name)',
  description: 'people by name',
};
const REASON = 'partition archive is a foreign table';

let database: TestDatabase;
let workflow: TestWorkflow | undefined;

beforeEach(async () => {
  database = await createDatabase();
  await database.query(`
    create foreign data wrapper dummy; create server elsewhere foreign data wrapper dummy;
    create table events (id int, kind text) partition by range (id);
    create table events_1 partition of events for values from (0) to (1000);
    create foreign table archive partition of events for values from (1000) to (2000) server elsewhere;
    create table people (id int not null, name text not null);
    create unique index people_key on people (id);
    create table orders (person int constraint buyer references people (id));
  `);
});

afterEach(async () => {
  await workflow?.close();
  workflow = undefined;
  await database.drop();
});

async function open(indexes: IndexEntry[]): Promise<TestWorkflow> {
  workflow = await openTestWorkflow({ databaseUrl: database.url, indexes });
  return workflow;
}

function windowEvents({ events }: TestWorkflow): unknown[] {
  return events.filter((event) => event.machine.endsWith('maintenance-window'));
}

test('a plan shows them with the reason, and sends no alert', async () => {
  const opened = await open([BY_KIND, KEY]);

  const { status, report } = await opened.deploy({ mode: 'plan' });

  expect(status).toBe('SUCCEEDED');
  expect(report.indexes).toMatchObject([
    { name: 'events_by_kind', status: 'missing', detail: expect.stringContaining(REASON), error: null },
    { name: 'people_key', status: 'drifted' },
  ]);
  expect(report.warnings).toEqual([expect.stringContaining('is used by foreign key buyer on table orders')]);
  expect(opened.alerts).toEqual([]);
});

test('services are not stopped for them, and the report and the alert have the reason', async () => {
  const opened = await open([BY_KIND, KEY]);

  for (let deploys = 0; deploys < 2; deploys += 1) {
    const { status, report } = await opened.deploy();

    expect(status).toBe('SUCCEEDED');
    expect(report).toMatchObject({
      downtimeMs: 0,
      totals: { created: 0, skipped: 1, failed: 1, remaining: 0 },
    });
    expect(report.indexes).toMatchObject([
      { status: 'failed', error: { sqlstate: '0A000', message: expect.stringContaining(REASON) } },
      { status: 'drifted', error: null },
    ]);
    expect(report.warnings[0]).toContain('no index can be built. Services were not stopped.');
  }
  expect(windowEvents(opened)).toEqual([]);
  expect(opened.alerts.at(-1)?.Message).toContain(REASON);
});

test('the other indexes are built', async () => {
  const opened = await open([BY_KIND, KEY, BY_NAME]);

  const { status, report } = await opened.deploy();

  expect(status).toBe('SUCCEEDED');
  expect(report.indexes.map((index) => index.status)).toEqual(['failed', 'drifted', 'built']);
  expect(opened.running()).toEqual({ api: 2, worker: 1 });
});

test('a critical one is refused before anything is stopped', async () => {
  const opened = await open([{ ...BY_KIND, critical: true }, BY_NAME]);

  const { status, cause } = await opened.deploy();

  expect(status).toBe('FAILED');
  expect(cause).toContain('Refused before anything was stopped or changed.');
  expect(cause).toContain(REASON);
  expect(windowEvents(opened)).toEqual([]);
  expect(await database.query("select to_regclass('people_by_name') as found")).toEqual([{ found: null }]);
});

import { afterAll, beforeAll, expect, test } from 'vitest';
import { DEADLOCK_DETECTED, sqlstateOf } from '../../lambdas/postgres/sqlstate.ts';
import type { IndexEntry } from '../../lib/registry/define-indexes.ts';
import { BUILD_INDEXES } from '../../lib/workflow/state-names.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { openTestWorkflow, type TestWorkflow } from '../support/workflow.ts';

/*
 * bench/tenants.ts in small: no durations, but every count.
 */

const TENANTS = 100;
const CHANGED = 12;
const COLUMNS = ['a', 'b', 'c'];

const ENTRIES: IndexEntry[] = COLUMNS.map((column) => ({
  name: `idx_orders_${column}`,
  sql: `create index concurrently if not exists idx_orders_${column} on orders (${column})`,
  description: 'an index of each tenant',
  schemas: ['tenant_*'],
}));

const createTenants = (name: string, count: number) => `
  do $$ begin for n in 1..${count} loop
    execute format('create schema ${name}_%1$s; create table ${name}_%1$s.orders (${COLUMNS.join(' int, ')} int)', n);
  end loop; end $$`;

let database: TestDatabase;
let workflow: TestWorkflow;
let changing: Promise<unknown> | undefined;

beforeAll(async () => {
  database = await createDatabase();
  await database.query(createTenants('tenant', TENANTS));
  workflow = await openTestWorkflow({
    databaseUrl: database.url,
    indexes: ENTRIES,
    services: 'none',
    onEvent: ({ type, state }) => {
      if (type === 'StateEntered' && state === BUILD_INDEXES.buildBatch) changing ??= changeTenants();
    },
  });
});

afterAll(async () => {
  await workflow.close();
  await database.drop();
});

/** While the batches build: the first tenants go, and as many new ones come. */
async function changeTenants(): Promise<void> {
  for (let at = 1; at <= CHANGED; at += 1) await dropTenant(`tenant_${at}`);
  await database.query(createTenants('tenant_new', CHANGED));
}

/** The drop waits for a build on the table, which waits for the snapshot of the drop: PostgreSQL ends one of the two. */
async function dropTenant(schema: string): Promise<void> {
  try {
    await database.query(`drop schema ${schema} cascade`);
  } catch (error) {
    if (sqlstateOf(error) !== DEADLOCK_DETECTED) throw error;
    await dropTenant(schema);
  }
}

const transitions = () =>
  workflow.events.filter(
    ({ type, machine }) =>
      (type === 'StateEntered' || type === 'StateRetried') && machine.endsWith('-build-indexes'),
  ).length;

test('with tenants that come and go, all indexes are built where the schema exists, with few transitions', async () => {
  const { status, report } = await workflow.deploy();
  await changing;

  expect({ status, failure: report.failure }).toEqual({ status: 'SUCCEEDED', failure: null });
  expect(report.totals).toMatchObject({ failed: 0 });
  expect(transitions() / (TENANTS * COLUMNS.length)).toBeLessThanOrEqual(0.2);
  // A tenant that came after the last plan is built by the next deploy.
  await workflow.deploy();
  const missing = await database.query(
    `select c.oid::regclass as table from pg_class c
      where c.relname = 'orders' and c.relkind = 'r'
        and (select count(*) from pg_index i where i.indrelid = c.oid and i.indisvalid) <> ${COLUMNS.length}`,
  );
  expect(missing).toEqual([]);
  expect(
    await database.query("select from pg_class where relname = 'orders' and relkind = 'r'"),
  ).toHaveLength(TENANTS);
});

test('the next deploy has nothing to do', async () => {
  const { report } = await workflow.deploy();

  expect(report.totals).toEqual({
    ...{ created: 0, skipped: TENANTS * COLUMNS.length },
    ...{ failed: 0, remaining: 0 },
  });
  expect(report.warnings).toEqual(expect.arrayContaining([expect.stringContaining('Nothing to do')]));
  const invalid = await database.query('select from pg_index where not indisvalid');
  expect(invalid).toEqual([]);
});

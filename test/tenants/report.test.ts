import { afterAll, beforeAll, expect, test } from 'vitest';
import { runSummary } from '../../lib/cli/summary/run-summary.ts';
import type { IndexEntry } from '../../lib/registry/define-indexes.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { openTestWorkflow, type TestWorkflow } from '../support/workflow.ts';

const TENANTS = 40;

const ENTRIES: IndexEntry[] = ['id', 'status', 'created_at'].map((column) => ({
  name: `idx_orders_${column}`,
  sql: `create ${column === 'id' ? 'unique ' : ''}index concurrently if not exists idx_orders_${column} on orders (${column})`,
  description: 'an index of each tenant',
  schemas: ['tenant_*', 'nobody_*'],
}));

let database: TestDatabase;
let workflow: TestWorkflow;

beforeAll(async () => {
  database = await createDatabase();
  for (let tenant = 1; tenant <= TENANTS; tenant += 1) {
    await database.query(
      `create schema tenant_${tenant}; create table tenant_${tenant}.orders (id int, status text, created_at date)`,
    );
  }
  await database.query(
    'create schema tenant_empty; insert into tenant_7.orders values (1), (1); insert into tenant_9.orders values (2), (2)',
  );
  workflow = await openTestWorkflow({ databaseUrl: database.url, indexes: ENTRIES, services: 'none' });
});

afterAll(async () => {
  await workflow.close();
  await database.drop();
});

test('a deploy of many schemas has one element in its report for each entry, and few transitions', async () => {
  const { status, report } = await workflow.deploy();

  expect(status).toBe('SUCCEEDED');
  expect(report.indexes).toHaveLength(ENTRIES.length);
  expect(report.totals).toEqual({ created: 3 * TENANTS - 2, skipped: 0, failed: 2, remaining: 0 });
  expect(report.indexes[0]).toMatchObject({
    name: 'idx_orders_id',
    schema: 'tenant_*, nobody_*',
    table: 'orders',
    status: 'failed',
    attempts: 1,
    durationMs: expect.any(Number),
    schemas: {
      ...{ total: TENANTS, built: TENANTS - 2, present: 0, failed: 2, remaining: 0 },
      failedSchemas: ['tenant_7', 'tenant_9'],
      causes: [{ sqlstate: '23505', count: 2, schemas: ['tenant_7', 'tenant_9'] }],
    },
  });
  expect(report.indexes[1]?.schemas).toMatchObject({ total: TENANTS, built: TENANTS, failedSchemas: [] });
  expect(report.warnings).toEqual(
    expect.arrayContaining([
      expect.stringContaining('1 schema of the index idx_orders_id has no table orders'),
      expect.stringContaining('This pattern of schemas matches no schema of the database: "nobody_*"'),
    ]),
  );
  const line = `idx_orders_id: ${TENANTS - 2} of ${TENANTS} schemas, 2 failed (tenant_7, tenant_9)`;
  expect(workflow.alerts[0]?.Message).toContain(line);
  expect(workflow.alerts[0]?.Message).toContain('{"indexes": ["idx_orders_id"]}');
  const summary = runSummary(report, { colour: false, startCommand: null });
  expect(summary).toContain(line);
  expect(summary).toMatch(/idx_orders_status +on orders .* 40 of 40 schemas/);
  const entered = workflow.events.filter(
    ({ type, machine }) =>
      (type === 'StateEntered' || type === 'StateRetried') && machine.endsWith('-build-indexes'),
  );
  expect(entered.length / (3 * TENANTS)).toBeLessThanOrEqual(0.2);
});

test('the next deploy builds just what is missing', async () => {
  await database.query('delete from tenant_7.orders; delete from tenant_9.orders');
  const { report } = await workflow.deploy({ mode: 'indexes', indexes: ['idx_orders_id'] });

  expect(report.indexes).toMatchObject([
    { name: 'idx_orders_id', schemas: { total: TENANTS, built: 2, present: TENANTS - 2, failed: 0 } },
  ]);
});

test('nothing to do says so, and a plan shows who is behind', async () => {
  const { report } = await workflow.deploy();
  expect(report.warnings).toEqual(expect.arrayContaining([expect.stringContaining('Nothing to do')]));

  await database.query('drop index tenant_3.idx_orders_status');
  const plan = await workflow.deploy({ mode: 'plan' });

  expect(plan.report.indexes[1]?.schemas).toMatchObject({
    total: TENANTS,
    present: TENANTS - 1,
    remaining: 1,
  });
  expect(runSummary(plan.report, { colour: false, startCommand: null })).toMatch(
    /idx_orders_status +on orders +non-critical +39 of 40 schemas, 1 remaining/,
  );
});

test('a name that no schema matches is refused before anything is changed', async () => {
  const { status, report } = await workflow.deploy({ mode: 'indexes', indexes: ['other.idx_orders_id'] });

  expect(status).toBe('FAILED');
  expect(report.failure).toContain('is not in the registry');
});

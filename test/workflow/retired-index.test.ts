import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DEPLOY } from '../../lib/workflow/state-names.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { openTestWorkflow, type TestWorkflow, type TestWorkflowOptions } from '../support/workflow.ts';

const RETIRED = { since: '2026-01-01', reason: 'no query filters by status' };
const FORCED = { ...RETIRED, force: true };
const entry = (retired: typeof RETIRED | typeof FORCED) => ({
  name: 'idx_orders_status',
  sql: 'create index concurrently if not exists idx_orders_status on orders (status)',
  description: 'orders by status',
  retired,
});
const RESTORE = 'CREATE INDEX CONCURRENTLY "idx_orders_status" ON public.orders USING btree (status);';

let database: TestDatabase;
let opened: TestWorkflow | undefined;

beforeEach(async () => {
  database = await createDatabase();
  await database.query(
    'create table orders (id int primary key, status text); create index idx_orders_status on orders (status)',
  );
});
afterEach(async () => {
  await opened?.close();
  opened = undefined;
  await database.drop();
});

async function open(options: Partial<TestWorkflowOptions>): Promise<TestWorkflow> {
  opened = await openTestWorkflow({ databaseUrl: database.url, indexes: [entry(RETIRED)], ...options });
  return opened;
}

const entered = ({ events }: TestWorkflow) =>
  events.flatMap(({ type, state, within }) =>
    type === 'StateEntered' && within.length === 0 ? (state ?? []) : [],
  );

const names = async () =>
  (
    await database.query("select indexname as name from pg_indexes where tablename = 'orders' order by 1")
  ).map((row) => (row as { name: string }).name);

describe.each(['always', 'when-needed'] as const)('a deploy with a retired index, window: %s', (window) => {
  test('drops it while the services run, starts services that are stopped, and has nothing to do afterwards', async () => {
    const workflow = await open({ indexes: [entry(FORCED)], environment: { window } });

    const { status, report } = await workflow.deploy();
    expect([status, report.status, report.failure, report.warnings]).toEqual([
      'SUCCEEDED',
      'succeeded',
      null,
      [],
    ]);
    expect(report.indexes[0]).toMatchObject({ status: 'retired', detail: null, restoreStatement: RESTORE });
    expect(report.totals).toEqual({ created: 0, skipped: 0, failed: 0, remaining: 0 });
    expect(report.services.map(({ stoppedAt }) => stoppedAt)).toEqual(report.services.map(() => null));
    expect(entered(workflow)).not.toContain(DEPLOY.maintenanceWindow);
    expect(entered(workflow)).toContain(DEPLOY.startServices);
    expect(await names()).toEqual(['orders_pkey']);
    expect(workflow.alerts).toEqual([]);

    workflow.events.length = 0;
    const again = await workflow.deploy();
    expect(again.report.indexes[0]).toMatchObject({ status: 'retired', attempts: 0 });
    expect(again.report.indexes[0]?.restoreStatement).toBeUndefined();
    expect(entered(workflow)).not.toContain(DEPLOY.buildOnline);
  });

  test('keeps it during the grace period, with a warning, and succeeds', async () => {
    const workflow = await open({ environment: { window } });

    const { status, report } = await workflow.deploy();
    expect(status).toBe('SUCCEEDED');
    expect(report.indexes[0]).toMatchObject({ status: 'kept', attempts: 0, error: null });
    expect(report.warnings).toEqual([
      `Kept: idx_orders_status on orders is retired. ${report.indexes[0]?.detail}`,
    ]);
    expect(report.indexes[0]?.detail).toMatch(/^No deploy has recorded its scans before\. /);
    expect(workflow.alerts).toEqual([]);
    expect(await names()).toEqual(['idx_orders_status', 'orders_pkey']);
  });
});

test('a deploy with a window drops it in the window', async () => {
  const migrations = { '0001_total': 'alter table orders add column total numeric;' };
  const workflow = await open({ indexes: [entry(FORCED)], migrations });

  const { report } = await workflow.deploy();
  expect(report.migrations.applied).toEqual(['0001_total']);
  expect(report.indexes[0]).toMatchObject({ status: 'retired', restoreStatement: RESTORE });
  expect(report.services.every(({ startedAt }) => startedAt !== null)).toBe(true);
  expect(await names()).toEqual(['orders_pkey']);
});

test('a plan drops nothing, records nothing, and says what a deploy looks at', async () => {
  const workflow = await open({ indexes: [entry(FORCED)] });

  const { status, report } = await workflow.deploy({ mode: 'plan' });
  expect(status).toBe('SUCCEEDED');
  expect(report.decision).toBe('indexes');
  expect(report.indexes[0]).toMatchObject({ status: 'kept', attempts: 0 });
  expect(report.warnings).toEqual([
    'Kept: idx_orders_status on orders is retired. A deploy drops it when it is no longer scanned.',
  ]);
  expect(await database.query("select from pg_namespace where nspname = 'deploy_step'")).toEqual([]);
});

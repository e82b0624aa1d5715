import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { indexLock, tableLock } from '../../lambdas/postgres/advisory-lock.ts';
import type { Delivery } from '../../lib/local/lambda-host.ts';
import type { IndexEntry } from '../../lib/registry/define-indexes.ts';
import { functionNameOf } from '../support/build-indexes.ts';
import { connect, type TestDatabase } from '../support/database.ts';
import { asDeployRole } from '../support/deploy-role.ts';
import { expectNoLeftovers } from '../support/leftovers.ts';
import { MAJORS, serverOf } from '../support/servers.ts';
import {
  recreateTenants,
  TENANT_ENTRIES,
  tenantLedger,
  tenantSchemas,
  validIndexes,
} from '../support/tenants.ts';
import { waitForRows } from '../support/waits.ts';
import { openTestWorkflow, type TestWorkflow } from '../support/workflow.ts';

const TENANTS = 30;
const schemas = tenantSchemas(TENANTS);
const INDEXES: IndexEntry[] = TENANT_ENTRIES.map((entry) => ({ description: 'of each tenant', ...entry }));
const BUILD_INDEX = functionNameOf('build-index');

describe.each(MAJORS)('a schema per tenant with the functions of Lambda, PostgreSQL %i', (major) => {
  let database: TestDatabase;
  let workflow: TestWorkflow;
  let deliveries: Delivery[];

  beforeAll(async () => {
    database = await serverOf(major).createDatabase();
    workflow = await openTestWorkflow({
      databaseUrl: database.url,
      indexes: INDEXES,
      services: 'none',
      aws: { delivery: (name) => (name === BUILD_INDEX ? (deliveries.shift() ?? 'once') : 'once') },
    });
  });
  beforeEach(async () => {
    deliveries = [];
    await recreateTenants(database, schemas);
  });
  afterAll(async () => {
    await workflow.close();
    await database.drop();
  });

  /** Every index is valid, and was built once. */
  async function expectAllBuilt(): Promise<void> {
    expect(await validIndexes(database)).toHaveLength(2 * TENANTS);
    const built = (await tenantLedger(database)).filter(({ status }) => status !== 'retrying');
    expect(built.map(({ status }) => status)).toEqual(Array.from({ length: 2 * TENANTS }, () => 'built'));
    expect(new Set(built.map(({ item }) => item)).size).toBe(2 * TENANTS);
    await workflow.workflow.lambdas.idle();
    await expectNoLeftovers(async (sql) => await database.query(sql));
  }

  test('a batch that is killed during a build is invoked again beside that build, which continues', async () => {
    const old = await connect(database.url);
    await old.query('begin isolation level repeatable read; select 1');
    const killed = waitForRows(
      database,
      `select from pg_stat_progress_create_index
        where datname = current_database() and phase = 'waiting for old snapshots' having count(*) = 2`,
    ).then(async () => {
      workflow.workflow.lambdas.kill(BUILD_INDEX);
      await old.query('commit');
    });

    const { report } = await workflow.deploy();
    await killed;
    await old.end();

    expect(report.totals).toEqual({ created: 2 * TENANTS, skipped: 0, failed: 0, remaining: 0 });
    await expectAllBuilt();
  });

  test.each([
    ['of which Lambda runs a second one at the same time', 'twice'],
    ['whose response is lost while they continue', 'lost-response'],
  ] as const)('batches %s build each index once', async (_, delivery) => {
    deliveries = [delivery, delivery];
    const { report } = await workflow.deploy();

    expect(deliveries).toEqual([]);
    expect(report.totals).toEqual({ created: 2 * TENANTS, skipped: 0, failed: 0, remaining: 0 });
    await expectAllBuilt();
  });
});

describe.each(MAJORS)('a schema per tenant with one attempt for each index, PostgreSQL %i', (major) => {
  let database: TestDatabase;
  let workflow: TestWorkflow;

  beforeAll(async () => {
    database = await serverOf(major).createDatabase();
    workflow = await openTestWorkflow({
      databaseUrl: database.url,
      indexes: INDEXES,
      services: 'none',
      builds: { attempts: 1 },
    });
  });
  beforeEach(async () => await recreateTenants(database, schemas));
  afterAll(async () => {
    await workflow.close();
    await database.drop();
  });

  test('that another session works on an index is no attempt: the deploy waits for it, and builds it', async () => {
    const other = await connect(asDeployRole(database.url));
    const index = indexLock({ schema: 'tenant_4', name: 'idx_orders_id' });
    const table = tableLock({ schema: 'tenant_6', table: 'orders' });
    await other.query('select pg_advisory_lock($1::bigint), pg_advisory_lock($2::bigint)', [index, table]);
    const released = waitForRows(
      database,
      "select from deploy_step.index_builds where status = 'retrying' having count(*) = 3",
    ).then(() => other.end());

    const { report } = await workflow.deploy();
    await released;

    expect(report.totals).toEqual({ created: 2 * TENANTS, skipped: 0, failed: 0, remaining: 0 });
    expect(report.indexes.map(({ attempts }) => attempts)).toEqual([1, 1]);
    await expectNoLeftovers(async (sql) => await database.query(sql));
  });

  test('an index whose table stays locked fails, and the others are built', async () => {
    const blocker = await connect(database.url, 'the blocker');
    await blocker.query('begin; lock table tenant_4.orders');

    const { report } = await workflow.deploy();
    await blocker.end();

    expect(report.totals).toEqual({ created: 2 * TENANTS - 2, skipped: 0, failed: 2, remaining: 0 });
    expect(report.indexes[0]).toMatchObject({
      attempts: 1,
      error: { sqlstate: '55P03', message: expect.stringContaining('the blocker') },
      schemas: { failedSchemas: ['tenant_4'] },
    });
    await expectNoLeftovers(async (sql) => await database.query(sql));
  });
});

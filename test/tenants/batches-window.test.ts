import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { PlanBuildsResult } from '../../lambdas/shared/build-payloads.ts';
import { openBuilds } from '../support/builds.ts';
import { connect, type TestDatabase } from '../support/database.ts';
import { onEachMajor, serverOf } from '../support/servers.ts';
import {
  recreateTenants,
  TENANT_ENTRIES,
  tenantLedger,
  tenantSchemas,
  validIndexes,
} from '../support/tenants.ts';
import { waitForRows } from '../support/waits.ts';

const TENANTS = 30;
const schemas = tenantSchemas(TENANTS);
const CRITICAL = 'idx_orders_id';
const OTHER = 'idx_orders_status';
const ENTRIES = TENANT_ENTRIES.map((entry) => ({ ...entry, critical: entry.name === CRITICAL }));
const HOUR_AGO = () => new Date(Date.now() - 3_600_000).toISOString();
const inAll = (name: string) => schemas.map((schema) => `${schema}.${name}`);

onEachMajor('critical indexes of a schema per tenant', (major) => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await serverOf(major).createDatabase();
  });
  beforeEach(async () => await recreateTenants(database, schemas));
  afterAll(async () => await database.drop());

  test('after the end of the window only they are built, and the phase after the start builds the others', async () => {
    const builds = await openBuilds(database.url, ENTRIES, { windowMinutes: 1 });
    await builds.deploy('window', undefined, { windowStartedAt: HOUR_AGO() });

    expect(await validIndexes(database)).toEqual(inAll(CRITICAL));
    expect(builds.lastPlan).toMatchObject({ decision: 'done', failed: { critical: 0, nonCritical: 0 } });

    await builds.deploy('online');

    expect(await validIndexes(database)).toHaveLength(2 * TENANTS);
  });

  test('a window that ends after the plan ends the other builds of its batches, and no attempt is counted', async () => {
    const builds = await openBuilds(
      database.url,
      ENTRIES,
      { windowMinutes: 600 },
      {
        'build-index': async (event, run) => {
          event.until = HOUR_AGO();
          return await run();
        },
      },
    );
    const plans: PlanBuildsResult[] = [];
    let rounds = 0;
    await builds
      .deploy(
        'ended',
        async (plan) => {
          plans.push(plan);
          rounds += 1;
          // Plan does not see that the window has ended: without this, it would plan the others for ever.
          if (rounds > 1) Object.assign(plan, { decision: 'done' });
        },
        { windowStartedAt: new Date().toISOString() },
      )
      .catch(() => {});

    expect(plans[0]?.batches.reduce((sum, { builds: count }) => sum + count, 0)).toBe(2 * TENANTS);
    expect(builds.batches.reduce((sum, { built }) => sum + built, 0)).toBe(TENANTS);
    expect(await validIndexes(database)).toEqual(inAll(CRITICAL));
    expect(await tenantLedger(database, `%${OTHER}`)).toEqual([]);
  });

  test('each batch builds them first', async () => {
    const builds = await openBuilds(database.url, ENTRIES);
    await builds.deploy('order');

    const rows = await database.query<{ pid: number; name: string }>(
      'select backend_pid as pid, index_name as name from deploy_step.index_builds order by started_at',
    );
    const bySession = [...Map.groupBy(rows, ({ pid }) => pid).values()].map((some) =>
      some.map(({ name }) => name),
    );
    expect(bySession).toHaveLength(2);
    for (const names of bySession) {
      expect(names).toEqual(names.toSorted());
      expect(new Set(names)).toEqual(new Set([CRITICAL, OTHER]));
    }
  });

  test('one that fails is a critical failure, and does not stop the others', async () => {
    await database.query('insert into tenant_7.orders values (1, null)');
    const builds = await openBuilds(database.url, ENTRIES);
    await builds.deploy('failure');

    expect(builds.lastPlan).toMatchObject({ decision: 'done', failed: { critical: 1, nonCritical: 0 } });
    expect(await validIndexes(database)).toHaveLength(2 * TENANTS - 1);
  });

  test('one that a batch leaves is built in a lane before any batch of others continues', async () => {
    const builds = await openBuilds(database.url, ENTRIES, { batchSeconds: 0 });
    const blocker = await connect(database.url);
    await blocker.query('begin; lock table tenant_4.orders');
    // Only tenant_4 misses the critical index.
    await database.query(
      schemas
        .filter((schema) => schema !== 'tenant_4')
        .map((schema) => `create unique index ${CRITICAL} on ${schema}.orders (id);`)
        .join(''),
    );
    const released = waitForRows(
      database,
      `select from deploy_step.index_builds where item = 'tenant_4.${CRITICAL}' and status = 'retrying'`,
    ).then(() => blocker.query('commit'));
    const plans: PlanBuildsResult[] = [];
    await builds.deploy(
      'urgent',
      async (plan) => void plans.push(plan),
      // A batch builds one index in a round, so that the others would need 30 rounds.
      { indexes: [CRITICAL, ...schemas.slice(0, 15).map((schema) => `${schema}.${OTHER}`)] },
    );
    await released;
    await blocker.end();

    const afterLeft = plans.find(({ lanes }) =>
      lanes.flatMap(({ indexes }) => indexes).includes(`tenant_4.${CRITICAL}`),
    );
    expect(afterLeft?.batches).toEqual([]);
    expect(await validIndexes(database)).toHaveLength(TENANTS + 15);
  });
});

import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { tableLock } from '../../lambdas/postgres/advisory-lock.ts';
import { batchProgressSchema } from '../../lambdas/shared/build-payloads.ts';
import { openBuilds, type TestBuilds } from '../support/builds.ts';
import { connect, type TestDatabase } from '../support/database.ts';
import { asDeployRole } from '../support/deploy-role.ts';
import { expectNoLeftovers } from '../support/leftovers.ts';
import { onEachMajor, serverOf } from '../support/servers.ts';
import {
  createTenant,
  recreateTenants,
  TENANT_ENTRIES,
  tenantLedger,
  tenantSchemas,
  validIndexes,
} from '../support/tenants.ts';
import { waitForRows } from '../support/waits.ts';

const TENANTS = 30;

const schemas = tenantSchemas(TENANTS);

onEachMajor('a schema per tenant', (major) => {
  let database: TestDatabase;
  let builds: TestBuilds;

  beforeAll(async () => {
    database = await serverOf(major).createDatabase();
    builds = await openBuilds(database.url, TENANT_ENTRIES);
  });

  beforeEach(async () => {
    await recreateTenants(database, schemas);
  });

  afterAll(async () => {
    await database.drop();
  });

  test('the indexes of all schemas are built in batches, each with its row in the ledger', async () => {
    await builds.deploy('all');

    expect(await validIndexes(database)).toEqual(
      schemas.flatMap((schema) => [`${schema}.idx_orders_id`, `${schema}.idx_orders_status`]),
    );
    expect(builds.rounds).toEqual([[]]);
    expect(builds.batches.map(({ part, of }) => `${part}/${of}`).toSorted()).toEqual(['0/2', '1/2']);
    expect(builds.batches.reduce((sum, { built }) => sum + built, 0)).toBe(2 * TENANTS);
    const rows = await tenantLedger(database);
    expect(rows).toHaveLength(2 * TENANTS);
    expect(rows.every(({ status, attempt }) => status === 'built' && attempt === 1)).toBe(true);
    await expectNoLeftovers(async (sql) => await database.query(sql));
  });

  test('a locked table does not hold up the others: a lane builds its indexes when the lock is free', async () => {
    const blocker = await connect(database.url);
    await blocker.query('begin; lock table tenant_4.orders');
    const released = waitForRows(
      database,
      "select from deploy_step.index_builds where item = 'tenant_4.idx_orders_id' and status = 'retrying'",
    ).then(() => blocker.query('commit'));

    await builds.deploy('locked');
    await released;
    await blocker.end();

    expect(await validIndexes(database)).toHaveLength(2 * TENANTS);
    const inLanes = builds.rounds.flat().flatMap(({ indexes }) => indexes);
    expect(inLanes.toSorted()).toEqual(['tenant_4.idx_orders_id', 'tenant_4.idx_orders_status']);
    expect((await tenantLedger(database, 'tenant_4.idx_orders_id'))[0]).toMatchObject({
      attempt: 1,
      status: 'retrying',
      sqlstate: '55P03',
    });
    expect((await tenantLedger(database, 'tenant_4.idx_orders_id')).at(-1)).toMatchObject({
      status: 'built',
    });
  });

  test('what no retry can fix is recorded as failed, and a later deploy builds just that', async () => {
    await database.query('insert into tenant_7.orders values (1, null)');
    await builds.deploy('duplicate');

    expect(builds.batches.reduce((sum, { failed }) => sum + failed, 0)).toBe(1);
    expect(builds.lastPlan?.failed).toEqual({ critical: 0, nonCritical: 1 });
    expect(await tenantLedger(database, 'tenant_7.idx_orders_id')).toEqual([
      { item: 'tenant_7.idx_orders_id', attempt: 1, status: 'failed', sqlstate: '23505' },
    ]);
    expect(await validIndexes(database)).toHaveLength(2 * TENANTS - 1);
    await expectNoLeftovers(async (sql) => await database.query(sql));

    await database.query(
      'delete from tenant_7.orders where status is null; truncate deploy_step.index_builds',
    );
    await builds.deploy('fixed');

    expect(await tenantLedger(database)).toMatchObject([{ item: 'tenant_7.idx_orders_id', status: 'built' }]);
  });

  test('a schema that is dropped or created after the plan is no failure', async () => {
    let isFirst = true;
    await builds.deploy('changes', async () => {
      if (!isFirst) return;
      isFirst = false;
      await database.query(
        `drop schema tenant_2 cascade; drop table tenant_3.orders; ${createTenant('tenant_new')}`,
      );
    });

    const expected = [...schemas, 'tenant_new'].filter((one) => one !== 'tenant_2' && one !== 'tenant_3');
    expect((await validIndexes(database)).toSorted()).toEqual(
      expected.flatMap((one) => [`${one}.idx_orders_id`, `${one}.idx_orders_status`]).toSorted(),
    );
    expect(builds.lastPlan).toMatchObject({ decision: 'done', failed: { critical: 0, nonCritical: 0 } });
    expect((await tenantLedger(database)).filter(({ status }) => status !== 'built')).toEqual([]);
  });

  test('a table that is dropped while the batch waits for its lock is no failure', async () => {
    const other = await connect(database.url);
    await other.query('begin; drop table tenant_5.orders');
    const committed = waitForRows(
      database,
      "select from pg_locks where not granted and relation = 'tenant_5.orders'::regclass",
    ).then(() => other.query('commit'));

    await builds.deploy('dropped');
    await committed;
    await other.end();

    expect(await validIndexes(database)).toHaveLength(2 * TENANTS - 2);
    expect((await tenantLedger(database)).filter(({ status }) => status === 'failed')).toEqual([]);
  });

  test('builds that wait for an old transaction continue without the batch, which leaves the others', async () => {
    const waiting = await openBuilds(database.url, TENANT_ENTRIES, { waitSeconds: 1 });
    const old = await connect(database.url);
    await old.query('begin isolation level repeatable read; select 1');
    let plans = 0;
    await waiting.deploy('old', async () => {
      plans += 1;
      if (plans === 2) await old.query('commit');
    });
    await old.end();

    expect(await validIndexes(database)).toHaveLength(2 * TENANTS);
    // Two in a row end a batch, and their lanes finish them.
    expect(waiting.batches.slice(0, 2).map(({ built, left }) => [built, left > 2])).toEqual([
      [0, true],
      [0, true],
    ]);
    await expectNoLeftovers(async (sql) => await database.query(sql));
  });

  test('each table has its own advisory lock, with its schema', async () => {
    const other = await connect(asDeployRole(database.url));
    await other.query('select pg_advisory_lock($1::bigint)', [
      tableLock({ schema: 'tenant_6', table: 'orders' }),
    ]);
    let plans = 0;
    await builds.deploy('advisory', async () => {
      plans += 1;
      if (plans === 2) await other.end();
    });

    expect(await validIndexes(database)).toHaveLength(2 * TENANTS);
    const retried = (await tenantLedger(database))
      .filter(({ status }) => status === 'retrying')
      .map(({ item }) => item);
    expect(retried.toSorted()).toEqual(['tenant_6.idx_orders_id', 'tenant_6.idx_orders_status']);
  });

  test('a batch without time builds one index, and the rounds continue', async () => {
    await database.query(
      schemas
        .slice(6)
        .map((schema) => `drop schema ${schema} cascade`)
        .join(';'),
    );
    const short = await openBuilds(database.url, TENANT_ENTRIES, { batchSeconds: 0 });

    await short.deploy('short');

    expect(short.batches.map(({ built }) => built)).toEqual([1, 1, 1]);
    expect(await validIndexes(database)).toHaveLength(12);
  });

  test('the log of a batch shows its progress', async () => {
    const logging = await openBuilds(database.url, TENANT_ENTRIES, { progressSeconds: 0 });
    await logging.deploy('progress');

    const lines = logging.log.flatMap((text) => {
      const [message, fields] = JSON.parse(text);
      const parsed = batchProgressSchema.safeParse({ message, ...fields });
      return parsed.data ?? [];
    });
    const first = lines.filter(({ part }) => part === 0);
    expect(first.map(({ built }) => built)).toEqual(first.map((_, at) => at + 1));
    expect(first.at(-1)).toMatchObject({ of: 2, builds: first.length, failed: 0 });
    expect(lines).toHaveLength(2 * TENANTS);
  });

  test('a batch that is killed loses nothing, and after three rounds with a failure all builds are in lanes', async () => {
    await database.query(
      schemas
        .slice(6)
        .map((schema) => `drop schema ${schema} cascade`)
        .join(';'),
    );
    let kills = 0;
    const killed = await openBuilds(
      database.url,
      TENANT_ENTRIES,
      {},
      {
        'build-index': async (event, run) => {
          if (!('batch' in event)) return await run();
          kills += 1;
          throw Object.assign(new Error('the function was killed'), { name: 'Sandbox.Timedout' });
        },
      },
    );

    await killed.deploy('killed');

    expect(kills).toBe(3);
    expect(killed.lastPlan?.failedBatches).toHaveLength(3);
    expect(await validIndexes(database)).toHaveLength(12);
  });

  test('one schema can be built alone, and an entry in all of its schemas', async () => {
    await builds.deploy('one', undefined, { indexes: ['tenant_17.idx_orders_status'] });
    expect(await validIndexes(database)).toEqual(['tenant_17.idx_orders_status']);

    await builds.deploy('entry', undefined, { indexes: ['idx_orders_status'] });
    expect(await validIndexes(database)).toHaveLength(TENANTS);
    expect(builds.lastPlan?.present).toBe(TENANTS);
  });
});

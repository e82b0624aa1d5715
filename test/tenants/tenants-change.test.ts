import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { indexLock, tableLock } from '../../lambdas/postgres/advisory-lock.ts';
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

const TENANTS = 12;
const schemas = tenantSchemas(TENANTS);

/** Names that a text of schema and index without quotes would confuse with others. */
const ODD_NAMES = [
  'tenant_A',
  'tenant_a',
  'tenant_a.b',
  'tenant_a @ b',
  'tenant_"x"',
  "tenant_'y'",
  'tenant_é',
  'tenant_%s',
];

onEachMajor('tenants that come and go', (major) => {
  let database: TestDatabase;
  let builds: TestBuilds;

  beforeAll(async () => {
    database = await serverOf(major).createDatabase();
    builds = await openBuilds(database.url, TENANT_ENTRIES);
  });
  beforeEach(async () => await recreateTenants(database, schemas));
  afterAll(async () => await database.drop());

  const both = (names: readonly string[]) =>
    names.flatMap((name) => [`${name}.idx_orders_id`, `${name}.idx_orders_status`]);

  async function expectBuiltIn(names: readonly string[]): Promise<void> {
    expect((await validIndexes(database)).toSorted()).toEqual(both(names).toSorted());
    expect(builds.lastPlan).toMatchObject({ decision: 'done', failed: { critical: 0, nonCritical: 0 } });
    expect((await tenantLedger(database)).filter(({ status }) => status === 'failed')).toEqual([]);
    await expectNoLeftovers(async (sql) => await database.query(sql));
  }

  /** Runs a deploy whose builds wait for an old snapshot, until `change` has happened. */
  async function deployWhile(deploy: string, change: () => Promise<void>): Promise<void> {
    const old = await connect(database.url);
    await old.query('begin isolation level repeatable read; select 1');
    const changed = waitForRows(
      database,
      `select from pg_stat_progress_create_index
        where datname = current_database() and phase = 'waiting for old snapshots'`,
    ).then(async () => {
      await change();
      await old.query('commit');
    });
    await builds.deploy(deploy);
    await changed;
    await old.end();
  }

  /** The schema of the table that is being built on. */
  async function schemaOfBuild(): Promise<string> {
    const [row] = await database.query<{ schema: string }>(
      `select relnamespace::regnamespace::text as schema from pg_stat_progress_create_index p join pg_class c on c.oid = p.relid
        where p.datname = current_database() limit 1`,
    );
    if (row === undefined) throw new Error('No build is running.');
    return row.schema;
  }

  test('a schema that is dropped during the build of its index is no failure', async () => {
    let dropped = '';
    let done: Promise<unknown> = Promise.resolve();
    await deployWhile('dropped', async () => {
      dropped = await schemaOfBuild();
      // It waits for the build, which holds a lock on the table.
      done = database.query(`drop schema ${dropped} cascade`);
      await waitForRows(
        database,
        `select from pg_locks where not granted and relation = '${dropped}.orders'::regclass`,
      );
    });
    await done;
    await builds.deploy('after-the-drop');

    await expectBuiltIn(schemas.filter((schema) => schema !== dropped));
  });

  test('a schema that is renamed during the build of its index has it under its new name', async () => {
    let renamed = '';
    await deployWhile('renamed', async () => {
      renamed = await schemaOfBuild();
      await database.query(`alter schema ${renamed} rename to tenant_renamed`);
    });

    await expectBuiltIn([...schemas.filter((schema) => schema !== renamed), 'tenant_renamed']);
  });

  test('a table that is replaced between plan and build gets the index', async () => {
    let isFirst = true;
    await builds.deploy('replaced', async () => {
      if (isFirst) await database.query(`drop schema tenant_3 cascade; ${createTenant('tenant_3')}`);
      isFirst = false;
    });

    await expectBuiltIn(schemas);
  });

  test('a schema that appears between plan and build gets its indexes in the same deploy', async () => {
    let isFirst = true;
    await builds.deploy('new', async () => {
      if (isFirst) await database.query(createTenant('tenant_new'));
      isFirst = false;
    });

    await expectBuiltIn([...schemas, 'tenant_new']);
  });

  test('names of schemas with dots, quotes and capital letters are built, reported and named like any other', async () => {
    const quote = (name: string) => `"${name.replaceAll('"', '""')}"`;
    await recreateTenants(database, ODD_NAMES.map(quote));

    await builds.deploy('odd');

    expect(builds.batches).not.toEqual([]);
    const printed = ODD_NAMES.flatMap((name) => both([name]));
    expect((await validIndexes(database)).toSorted()).toEqual(printed.toSorted());
    const rows = await tenantLedger(database);
    expect(rows.map(({ item }) => item).toSorted()).toEqual(printed.toSorted());
    expect(rows.every(({ status }) => status === 'built')).toBe(true);
    for (const name of ODD_NAMES) {
      await database.query(`drop index ${quote(name)}.idx_orders_id`);
      await builds.deploy(`only-${ODD_NAMES.indexOf(name)}`, undefined, {
        indexes: [`${name}.idx_orders_id`],
      });
      expect(builds.lastPlan).toMatchObject({ present: 1, failed: { critical: 0, nonCritical: 0 } });
    }
    expect(await validIndexes(database)).toHaveLength(2 * ODD_NAMES.length);
  });

  test('the locks of one schema do not hold up the same index in another', async () => {
    const other = await connect(asDeployRole(database.url));
    for (const schema of schemas.slice(1)) {
      await other.query('select pg_advisory_lock($1::bigint), pg_advisory_lock($2::bigint)', [
        indexLock({ schema, name: 'idx_orders_id' }),
        tableLock({ schema, table: 'orders' }),
      ]);
    }

    await builds.deploy('one', undefined, { indexes: ['tenant_1.idx_orders_id'] });

    expect(await validIndexes(database)).toEqual(['tenant_1.idx_orders_id']);
    await other.end();
  });
});

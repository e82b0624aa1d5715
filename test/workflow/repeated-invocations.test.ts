import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Delivery } from '../../lib/local/lambda-host.ts';
import type { IndexEntry } from '../../lib/registry/define-indexes.ts';
import type { TestDatabase } from '../support/database.ts';
import { readLedger } from '../support/ledger.ts';
import { expectNoLeftovers } from '../support/leftovers.ts';
import { onEachMajor, serverOf } from '../support/servers.ts';
import { openTestWorkflow, type TestWorkflow } from '../support/workflow.ts';

/*
 * Lambda may run a function twice for one call. Here it does so for each call of a deploy: the second run starts while the
 * first one is still at work.
 */

const index = (name: string, rest: string, more: Partial<IndexEntry> = {}): IndexEntry => ({
  name,
  sql: `CREATE ${rest.startsWith('unique') ? 'UNIQUE ' : ''}INDEX CONCURRENTLY IF NOT EXISTS ${name} ON ${rest.replace('unique ', '')}`,
  description: 'of a test',
  ...more,
});

const INDEXES = [
  index('orders_status', 'orders (status)'),
  index('orders_total', 'orders (total)', { onDrift: 'rebuild' }),
  index('orders_number', 'unique orders (number)', { critical: true }),
  index('orders_broken', 'orders (status, total)'),
  index('people_email', 'unique people (lower(email))'),
  index('people_nothing', 'people (nothing)'),
];

/** Slow enough for the second run to meet the first one. */
const MIGRATIONS = {
  '0001_note': 'create table notes (id int primary key); select pg_sleep(1);',
  '0002_count': 'insert into notes select count(*) from notes;',
};

onEachMajor('with repeated invocations', (major) => {
  const server = serverOf(major);
  let database: TestDatabase;
  let opened: TestWorkflow | undefined;

  beforeEach(async () => {
    database = await server.createDatabase();
    await database.query(`
      create table orders (id int primary key, number int, status text, total int);
      insert into orders select n, n, 'open', n % 7 from generate_series(1, 20000) n;
      create table people (id int primary key, email text);
      insert into people select n, 'person' || n || '@example.com' from generate_series(1, 1000) n;
      create index orders_total on orders (total desc, id);
      create index orders_broken on orders (status, total);
    `);
    await database.query(
      "update pg_index set indisvalid = false where indexrelid = 'orders_broken'::regclass",
    );
  });
  afterEach(async () => {
    await opened?.close();
    opened = undefined;
    await database.drop();
  });

  test.each<Delivery>(['twice', 'lost-response'])(
    'a deploy ends as with one invocation per call: %s',
    async (delivery) => {
      const calls = new Map<string, number>();
      opened = await openTestWorkflow({
        databaseUrl: database.url,
        indexes: INDEXES,
        migrations: MIGRATIONS,
        services: 'none',
        aws: {
          delivery: (name) => {
            const count = (calls.get(name) ?? 0) + 1;
            calls.set(name, count);
            // A response that is always lost is a function that always fails.
            return delivery === 'twice' || count % 2 === 1 ? delivery : 'once';
          },
        },
      });

      const { status, report } = await opened.deploy();
      await opened.workflow.lambdas.idle();

      expect(report.failure).toBeNull();
      expect(status).toBe('SUCCEEDED');
      expect(report.migrations).toMatchObject({ outcome: 'succeeded', pending: [] });
      expect(report.migrations.applied).toEqual(['0001_note', '0002_count']);
      expect(await database.query('select id from notes')).toEqual([{ id: 0 }]);
      expect(Object.fromEntries(report.indexes.map(({ name, status: of }) => [name, of]))).toEqual({
        orders_status: 'built',
        orders_total: 'built',
        orders_number: 'built',
        orders_broken: 'repaired',
        people_email: 'built',
        people_nothing: 'failed',
      });
      for (const { name } of INDEXES) {
        const rows = await readLedger(database, name);
        expect(rows.filter((row) => row.status === 'building')).toEqual([]);
      }
      await expectNoLeftovers(async (sql) => await database.query(sql));
      for (const name of [
        'preflight',
        'run-migrations',
        'plan-builds',
        'build-index',
        'settle-index',
        'report',
      ])
        expect(calls.get(`pg-deploy-step-local-${name}`)).toBeGreaterThan(0);
    },
  );
});

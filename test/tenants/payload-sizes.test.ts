import { afterAll, beforeAll, expect, test } from 'vitest';
import { planBuilds } from '../../lambdas/plan-builds/plan-builds.ts';
import { databaseOf, withClient } from '../../lambdas/postgres/client.ts';
import { ensureLedger } from '../../lambdas/postgres/ledger.ts';
import { report } from '../../lambdas/report/report.ts';
import { planBuildsEventSchema } from '../../lambdas/shared/build-payloads.ts';
import type { CompiledRegistry } from '../../lambdas/shared/registry.ts';
import { compileRegistry } from '../../lib/registry/compile-registry.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

/*
 * Step Functions accepts 256 KiB. With many tenants, no payload may grow with their number.
 */

const TENANTS = 1_000;
const ENTRIES = 20;
const MOST_BYTES = 64 * 1024;

/** The longest names that PostgreSQL accepts. */
const schemaOf = (tenant: string) => `tenant_${'x'.repeat(50)}_' || ${tenant} || '`;
const nameOf = (at: number) => `idx_${'y'.repeat(54)}_${at}`;

let database: TestDatabase;
let registry: CompiledRegistry;

beforeAll(async () => {
  database = await createDatabase();
  registry = await compileRegistry(
    Array.from({ length: ENTRIES }, (_, at) => ({
      name: nameOf(at),
      sql: `create index concurrently if not exists ${nameOf(at)} on orders (id)`,
      description: 'of each tenant',
      schemas: ['tenant_*'],
    })),
    'the test',
  );
  const schema = `'${schemaOf('n')}'`;
  await database.query(
    `do $$ begin for n in 1..${TENANTS} loop
       execute format('create schema %1$I; create table %1$I.orders (id int)', ${schema});
     end loop; end $$`,
  );
  const db = databaseOf({ DATABASE_URL: database.deployUrl });
  await withClient(db, 'ledger', ensureLedger);
  // Every index has failed, each with another message.
  await database.query(
    `insert into deploy_step.index_builds
            (deploy, item, attempt, index_schema, index_name, table_name, status, finished_at, sqlstate, message, blocked_by)
     select 'failed', schema || '.' || name, 1, schema, name, schema || '.orders', 'failed', clock_timestamp(), 'XX000',
            repeat(md5(schema || name), 40), repeat('blocker ', 100)
       from generate_series(1, ${TENANTS}) n, unnest($1::text[]) name, lateral (select ${schema} as schema) s`,
    [registry.map(({ name }) => name)],
  );
});

afterAll(async () => await database.drop());

const io = () => ({
  registry,
  database: databaseOf({ DATABASE_URL: database.deployUrl }),
  log: { info() {}, warn() {}, error() {} },
});

const bytesOf = (value: unknown) => Buffer.byteLength(JSON.stringify(value));

test.each([
  ['of which all are missing', 'new', TENANTS * ENTRIES],
  ['of which all have failed', 'failed', 0],
])('the plan of 20,000 indexes %s is small', async (_case, execution, batched) => {
  const event = planBuildsEventSchema.parse({ execution, request: {} });
  const plan = await planBuilds(event, { ...io(), buildsPerRound: 500 });

  expect(plan.batches.reduce((sum, { builds }) => sum + builds, 0)).toBe(batched);
  expect(bytesOf(plan)).toBeLessThan(MOST_BYTES);
});

test('the report and the alert of 20,000 different failures are small', async () => {
  const result = await report(
    {
      execution: { id: 'failed', name: 'failed', startedAt: '2026-01-01T00:00:00.000Z' },
      state: { deploy: 'failed', decision: 'indexes' },
    },
    {
      ...io(),
      migrationRunner: 'none',
      window: 'always',
      migrationsDirectory: null,
      services: [],
      context: { environment: 'test', startServicesMachine: 'start', buildIndexesMachine: 'build' },
      connectPauses: [],
      now: () => '2026-01-01T01:00:00.000Z',
    },
  );

  expect(result.report.totals.failed).toBe(TENANTS * ENTRIES);
  expect(result.report.indexes).toHaveLength(ENTRIES);
  expect(result.report.indexes[0]?.schemas).toMatchObject({ failed: TENANTS });
  expect(bytesOf(result)).toBeLessThan(MOST_BYTES);
});

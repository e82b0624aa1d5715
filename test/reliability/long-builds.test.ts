import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openBuilds } from '../support/builds.ts';
import { openInstance, type TestInstance } from '../support/instance.ts';
import { MAJORS, serverOf } from '../support/servers.ts';
import { eventually } from '../support/waits.ts';

const INDEX = 'idx_deals_tenant_created';
/** In AWS a function can run for 15 minutes and Build Index waits for 60 s. This test uses shorter times. */
const LAMBDA_SECONDS = 3;

describe.each(MAJORS)('on PostgreSQL %i', (major) => {
  let instance: TestInstance;

  beforeAll(async () => {
    instance = await openInstance(major, {
      lambdaSeconds: LAMBDA_SECONDS,
      indexes: [
        {
          name: INDEX,
          sql: `CREATE INDEX CONCURRENTLY IF NOT EXISTS ${INDEX} ON deals (tenant_id, created_at DESC)`,
          critical: true,
          description: 'takes longer than a function can run',
        },
      ],
      tables: `create table deals as select n % 50 as tenant_id, now() - n * interval '1 minute' as created_at
                 from generate_series(1, 50000) n;
               create table other (id int);`,
    });
  });

  afterAll(() => instance.close());

  test('a build that is longer than three function timeouts is one attempt of one backend with short checks', async () => {
    // Prepare: a build that cannot end before a transaction does
    const old = await instance.session();
    await old.query('begin isolation level repeatable read; select from other');

    // Act
    const ended = instance.build(INDEX);
    const age = async () => {
      const rows = await instance.database.query<{ pid: number; seconds: number }>(
        `select pid, extract(epoch from clock_timestamp() - query_start)::float8 as seconds
           from pg_stat_activity a join pg_stat_progress_create_index using (pid) where a.datname = current_database()`,
      );
      return rows[0];
    };
    await eventually(async () => (await age())?.seconds).toBeGreaterThan(3 * LAMBDA_SECONDS);
    const builder = (await age())?.pid;
    await old.query('rollback');
    const { status, report } = await ended;

    // Assess
    expect(status).toBe('SUCCEEDED');
    expect(report.indexes).toEqual([
      expect.objectContaining({ name: INDEX, status: 'built', attempts: 1, error: null }),
    ]);
    const [attempt, ...others] = await instance.ledger(INDEX);
    expect(attempt?.pid).toBe(builder);
    expect(others).toEqual([]);
    const invocations = instance.workflow.workflow.lambdas.invocations.filter(({ function: name }) =>
      /(build|check)-index$/.test(name),
    );
    const buildMs = report.indexes[0]?.durationMs ?? 0;
    expect(buildMs).toBeGreaterThan(3 * LAMBDA_SECONDS * 1000);
    // One invocation builds, and checks follow at intervals of two seconds or more. None of them waits for the whole build.
    expect(invocations.filter(({ function: name }) => name.endsWith('build-index'))).toHaveLength(1);
    expect(invocations.length).toBeGreaterThan(2);
    expect(invocations.length).toBeLessThanOrEqual(2 + buildMs / 2000);
    for (const { durationMs } of invocations) expect(durationMs).toBeLessThan(buildMs);
    await instance.expectNoLeftovers();
    expect(instance.workflow.alerts).toEqual([]);
  });
});

test.each(MAJORS)(
  'a function that has no time left sends the statement before its client disconnects: one attempt, PostgreSQL %i',
  async (major) => {
    const database = await serverOf(major).createDatabase();
    await database.query('create table orders (n int); insert into orders select generate_series(1, 1000)');
    const sql = 'CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_orders_n ON orders (n)';
    const builds = await openBuilds(database.url, [{ name: 'idx_orders_n', sql }], { waitSeconds: 0 });

    const report = await builds.deploy('first');

    expect(report.idx_orders_n).toMatchObject({ status: 'built', attempts: 1, error: null });
    await database.drop();
  },
);

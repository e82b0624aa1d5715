import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { planBuilds } from '../../lambdas/plan-builds/plan-builds.ts';
import { databaseOf } from '../../lambdas/postgres/client.ts';
import { compileRegistry } from '../../lib/registry/compile-registry.ts';
import type { IndexEntry } from '../../lib/registry/define-indexes.ts';
import { BUILD_INDEXES } from '../../lib/workflow/state-names.ts';
import { openBuilds } from '../support/builds.ts';
import { connect, createDatabase, type TestDatabase } from '../support/database.ts';
import { waitForEnds } from '../support/executions.ts';
import { expectNoLeftovers } from '../support/leftovers.ts';
import { eventually } from '../support/waits.ts';
import { openTestWorkflow, type TestWorkflow } from '../support/workflow.ts';

function entry(table: string, number: number): IndexEntry {
  const name = `idx_${table}_${number}`;
  return {
    name,
    sql: `CREATE INDEX CONCURRENTLY IF NOT EXISTS ${name} ON ${table} (a, (b + ${number}))`,
    description: 'one of many indexes',
  };
}

const TABLES = ['one', 'two', 'three', 'four'];

function entries(count: number): IndexEntry[] {
  return Array.from({ length: count }, (_, at) => entry(TABLES[at % TABLES.length] ?? 'one', at));
}

const createTables = TABLES.map((table) => `create table ${table} (a int, b int);`).join('');

let database: TestDatabase;

async function validIndexes(): Promise<number> {
  return (
    await database.query("select from pg_index where indisvalid and indexrelid::regclass::text like 'idx_%'")
  ).length;
}

describe('rounds of three builds', () => {
  let opened: TestWorkflow;

  beforeAll(async () => {
    database = await createDatabase();
    opened = await openTestWorkflow({
      databaseUrl: database.url,
      services: 'none',
      indexes: [
        ...entries(10),
        {
          name: 'idx_never',
          sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_never ON two ((1 / (a - b)))',
          description: 'fails in its round and is not planned again',
        },
      ],
      builds: { perRound: 3 },
    });
  });

  beforeEach(async () => {
    await database.query(
      `drop table if exists ${TABLES}; drop schema if exists deploy_step cascade; ${createTables} insert into two values (1, 1)`,
    );
  });

  afterAll(async () => {
    await opened.close();
    await database.drop();
  });

  const rounds = (execution?: string) =>
    opened.events.filter(
      (event) =>
        event.type === 'StateEntered' &&
        event.state === BUILD_INDEXES.buildLanes &&
        (execution === undefined || event.execution === execution),
    );

  test('a deploy starts an execution for each round until every index is built or has failed', async () => {
    const deploy = opened.workflow.engine.start('pg-deploy-step-local-deploy', {});
    const [end] = await waitForEnds(opened, deploy);

    expect(end?.report).toMatchObject({
      status: 'succeeded',
      totals: { created: 10, skipped: 0, failed: 1, remaining: 0 },
    });
    expect(await validIndexes()).toBe(10);
    const started = rounds();
    expect(started).toHaveLength(4);
    expect(new Set(started.map((event) => event.execution)).size).toBe(4);
    const attempts = await database.query(
      'select deploy, count(*)::int as attempts, count(distinct item)::int as items from deploy_step.index_builds group by 1',
    );
    expect(attempts).toEqual([{ deploy: deploy.name, attempts: 11, items: 11 }]);
    await expectNoLeftovers(async (sql) => await database.query(sql));
  });

  test('an execution of build-indexes that a person started runs all rounds itself', async () => {
    const execution = opened.workflow.engine.start('pg-deploy-step-local-build-indexes', {});
    const [end] = await waitForEnds(opened, execution);

    expect(end?.result).toMatchObject({
      status: 'SUCCEEDED',
      output: { decision: 'done', failed: { critical: 0, nonCritical: 1 } },
    });
    expect(await validIndexes()).toBe(10);
    expect(rounds(execution.name)).toHaveLength(4);
    await expectNoLeftovers(async (sql) => await database.query(sql));
  });
});

test('the plan for 600 missing indexes has 500 builds, which fit into a state, and the next plan has the rest', async () => {
  database = await createDatabase();
  await database.query(createTables);
  const indexes = entries(600).map((one) => {
    const name = one.name.padEnd(63, '_');
    return { ...one, name, sql: one.sql.replace(one.name, name) };
  });
  const io = {
    registry: await compileRegistry(indexes, 'the test'),
    database: databaseOf({ DATABASE_URL: database.deployUrl }),
    log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
    buildsPerRound: 500,
  };

  const first = await planBuilds({ execution: 'round-1', request: {} }, io);
  const planned = new Set(first.lanes.flatMap((lane) => lane.indexes));
  // Without CONCURRENTLY all indexes are created with one query. Only the next plan matters here.
  await database.query(
    indexes
      .filter(({ name }) => planned.has(name))
      .map(({ sql }) => sql.replace('CONCURRENTLY', ''))
      .join(';'),
  );
  const second = await planBuilds({ execution: 'round-2', request: {} }, io);
  const rest = second.lanes.flatMap((lane) => lane.indexes);

  expect(first).toMatchObject({ decision: 'build' });
  expect(planned.size).toBe(500);
  expect(Buffer.byteLength(JSON.stringify(first))).toBeLessThan(256 * 1024);
  expect(rest).toHaveLength(100);
  expect(rest.filter((name) => planned.has(name))).toEqual([]);
  await database.drop();
});

test('a detached build that became valid before the next plan is finished, and reported as built', async () => {
  database = await createDatabase();
  await database.query(`${createTables} insert into one select n, n from generate_series(1, 100) as n`);
  const builds = await openBuilds(database.url, entries(1), { waitSeconds: 0.1 });
  const reader = await connect(database.url);
  await reader.query('begin isolation level repeatable read');
  await reader.query('select from two');
  const { state } = await builds.build('deploy-1', 'idx_one_0');
  await reader.query('rollback');
  await reader.end();
  await eventually(validIndexes).toBe(1);

  const report = await builds.deploy('deploy-1');

  expect(state).toBe('building');
  expect(builds.rounds).toEqual([[expect.objectContaining({ indexes: ['idx_one_0'] })]]);
  expect(report).toMatchObject({
    idx_one_0: { status: 'built', attempts: 1, durationMs: expect.any(Number) },
  });
  const analyzed = "select from pg_statistic where starelid = 'idx_one_0'::regclass";
  expect((await database.query(analyzed)).length).toBeGreaterThan(0);
  await database.drop();
});

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { databaseOf, withClient } from '../../lambdas/postgres/client.ts';
import { ensureLedger } from '../../lambdas/postgres/ledger.ts';
import { report } from '../../lambdas/report/report.ts';
import type { ReportState } from '../../lambdas/shared/payloads.ts';
import type { Report } from '../../lambdas/shared/report-schema.ts';
import { compileRegistry } from '../../lib/registry/compile-registry.ts';
import { connect, createDatabase, type TestDatabase } from '../support/database.ts';
import { waitForRows } from '../support/waits.ts';

const nothing = () => {};
const log = { debug: nothing, info: nothing, warn: nothing, error: nothing };

/** Nothing listens on this port. */
const UNREACHABLE = 'postgres://postgres:secret@127.0.0.1:1/shop';

async function reportOf(databaseUrl: string, state: Partial<ReportState>): Promise<Report> {
  const registry = await compileRegistry(
    [
      {
        name: 'idx_orders_id',
        sql: 'create unique index concurrently if not exists idx_orders_id on orders (id)',
        description: 'of a test',
        critical: true,
      },
    ],
    'the test',
  );
  const result = await report(
    {
      execution: { id: 'test', name: 'test', startedAt: new Date().toISOString() },
      state: { deploy: 'test', mode: 'deploy', decision: 'deploy', ...state },
    },
    {
      registry,
      database: databaseOf({ DATABASE_URL: databaseUrl }),
      migrationRunner: 'none',
      window: 'always',
      migrationsDirectory: null,
      services: [],
      context: { environment: 'test', startServicesMachine: 'start', buildIndexesMachine: 'build' },
      connectPauses: [10, 10],
      now: () => new Date().toISOString(),
      log,
    },
  );
  expect(result.status).toBe(result.report.status);
  return result.report;
}

const window = (verdict: 'ok' | 'critical-failed'): Pick<ReportState, 'window'> => ({
  window: {
    output: {
      verdict,
      services: verdict === 'ok' ? 'start' : 'leave-stopped',
      ...{ checked: [], stopped: [], sessions: null, migrations: null, unrecordedFailures: [] },
    },
  },
});

const builds = (critical: number): Pick<ReportState, 'builds'> => ({
  builds: { output: { failed: { critical, nonCritical: 1 }, unrecordedFailures: [] } },
});

describe('the report of a deploy whose database cannot be read', () => {
  test.each<[what: string, state: Partial<ReportState>]>([
    ['in the maintenance window', window('critical-failed')],
    ['while the services run', { mode: 'indexes', ...builds(1) }],
  ])('says that the deploy failed when a critical index failed %s', async (_what, state) => {
    expect(await reportOf(UNREACHABLE, state)).toMatchObject({
      status: 'failed',
      failure: expect.stringContaining('A critical index was not built. The database could not be read'),
      indexes: [],
      warnings: [expect.stringContaining('The state of the indexes could not be read')],
    });
  });

  test('says that the deploy succeeded when no critical index failed', async () => {
    expect(await reportOf(UNREACHABLE, { ...window('ok'), ...builds(0) })).toMatchObject({
      status: 'succeeded',
      failure: null,
      warnings: [expect.stringContaining('The state of the indexes could not be read')],
    });
  });
});

describe('a report that loses its connection', () => {
  let database: TestDatabase;

  beforeEach(async () => {
    database = await createDatabase();
    await database.query('create table orders (id int); create unique index idx_orders_id on orders (id)');
    await withClient(databaseOf({ DATABASE_URL: database.deployUrl }), 'prepare', ensureLedger);
  });
  afterEach(() => database.drop());

  test('reads again on a new connection', async () => {
    const blocker = await connect(database.url);
    await blocker.query('begin; lock table deploy_step.index_builds in access exclusive mode');
    const answer = reportOf(database.deployUrl, window('ok'));
    const waiting =
      "select pid from pg_stat_activity where application_name = 'pg-deploy-step report' and wait_event_type = 'Lock' and datname = current_database()";
    await waitForRows(database, waiting);
    await database.query(`select pg_terminate_backend(pid, 30000) from (${waiting}) as waiting`);
    await blocker.end();

    expect(await answer).toMatchObject({
      status: 'succeeded',
      indexes: [{ name: 'idx_orders_id', status: 'present' }],
      warnings: [],
    });
  });
});

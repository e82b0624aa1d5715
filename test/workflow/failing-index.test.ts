import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { databaseOf, withClient } from '../../lambdas/postgres/client.ts';
import { ensureLedger } from '../../lambdas/postgres/ledger.ts';
import type { IndexEntry } from '../../lib/registry/define-indexes.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { openTestWorkflow, type TestWorkflow, type TestWorkflowOptions } from '../support/workflow.ts';

function entry(name: string, table: string, columns: string, critical = false): IndexEntry {
  return {
    name,
    sql: `create index concurrently if not exists ${name} on ${table} (${columns})`,
    critical,
    description: 'of a test',
  };
}

const indexes = (critical: boolean) => [
  entry('first', 'things', 'a'),
  entry('refused', 'things', 'b', critical),
  entry('last', 'things', 'c'),
  entry('other', 'others', 'a', true),
];
const MESSAGE =
  /BuildFailed.*Settle Index failed, too.* The ledger did not accept this failure: An error raised by code in the database\. Its text is hidden.*\(SQLSTATE P0001\)$/;

let database: TestDatabase;
let opened: TestWorkflow | undefined;

beforeEach(async () => {
  database = await createDatabase();
  await database.query('create table things (a int, b int, c int); create table others (a int)');
  // The ledger accepts no row for one index, so neither Build Index nor Settle Index nor the next plan can work on it.
  await withClient(databaseOf({ DATABASE_URL: database.deployUrl }), 'test', ensureLedger);
  await database.query(
    `create function refuse() returns trigger language plpgsql as $$ begin raise 'refused by the test'; end $$;
     create trigger refuse before insert or update on deploy_step.index_builds
       for each row when (new.item = 'refused') execute function refuse()`,
  );
});

afterEach(async () => {
  await opened?.close();
  opened = undefined;
  await database.drop();
});

async function open(options: Omit<TestWorkflowOptions, 'databaseUrl'>): Promise<TestWorkflow> {
  opened = await openTestWorkflow({ databaseUrl: database.url, ...options });
  return opened;
}

const builds = (workflow: TestWorkflow) =>
  workflow.events.filter(
    (event) => event.type === 'StateEntered' && event.state === 'Build Index' && isRefused(event.input),
  );

function isRefused(input: unknown): boolean {
  return typeof input === 'object' && input !== null && 'index' in input && input.index === 'refused';
}

describe.each([1, 500])('a failure that the ledger does not accept, in rounds of %i builds', (perRound) => {
  test('of a non-critical index: all others are built, the services start, the report names it', async () => {
    const workflow = await open({ indexes: indexes(false), builds: { perRound } });

    const { status, report } = await workflow.deploy();

    expect(status).toBe('SUCCEEDED');
    expect(report).toMatchObject({
      status: 'succeeded',
      failure: null,
      totals: { created: 3, skipped: 0, failed: 1, remaining: 0 },
      warnings: [expect.stringContaining('Not built: refused.')],
    });
    expect(report.indexes.find(({ name }) => name === 'refused')).toMatchObject({
      status: 'failed',
      error: { message: expect.stringMatching(MESSAGE) },
    });
    expect(workflow.running()).toEqual({ api: 2, worker: 1 });
    expect(workflow.alerts.map((alert) => alert.Message).join()).toContain('refused on things');
    expect(builds(workflow)).toHaveLength(1);
  });

  test('of a critical index: the services are left stopped, and the next deploy builds it', async () => {
    const workflow = await open({ indexes: indexes(true), builds: { perRound } });

    const { status, cause, report } = await workflow.deploy();

    expect(status).toBe('FAILED');
    expect(cause).toMatch(/^Critical index not built: refused on things: .*BuildFailed/);
    expect(report.totals).toEqual({ created: 3, skipped: 0, failed: 1, remaining: 0 });
    expect(workflow.running()).toEqual({ api: 0, worker: 0 });
    expect(builds(workflow)).toHaveLength(1);

    await database.query('drop trigger refuse on deploy_step.index_builds');
    const second = await workflow.deploy();
    expect(second.report.totals).toEqual({ created: 1, skipped: 3, failed: 0, remaining: 0 });
    expect(workflow.running()).toEqual({ api: 2, worker: 1 });
  });

  test('when other indexes are built after the start of the services: it is attempted once', async () => {
    const workflow = await open({
      indexes: indexes(true),
      builds: { perRound, when: 'after-start' },
      environment: { onCriticalFailure: 'start' },
    });

    const { status, report } = await workflow.deploy();

    expect(status).toBe('FAILED');
    expect(report.totals).toMatchObject({ failed: 1 });
    expect(report.failure).toContain('Critical index not built: refused on things');
    expect(builds(workflow)).toHaveLength(1);
    expect(workflow.running()).toEqual({ api: 2, worker: 1 });
  });

  test('a non-critical index after the start of the services is in the report, too', async () => {
    const workflow = await open({ indexes: indexes(false), builds: { perRound, when: 'after-start' } });

    const { status, report } = await workflow.deploy();

    expect(status).toBe('SUCCEEDED');
    expect(report.totals).toEqual({ created: 3, skipped: 0, failed: 1, remaining: 0 });
    expect(builds(workflow)).toHaveLength(1);
  });

  test('in an execution of build-indexes that a person started: its output names it', async () => {
    const workflow = await open({ indexes: indexes(true), services: 'none', builds: { perRound } });

    const execution = workflow.workflow.engine.start('pg-deploy-step-local-build-indexes', {});

    expect(await execution.result).toMatchObject({
      status: 'SUCCEEDED',
      output: {
        decision: 'done',
        present: 3,
        failed: { critical: 1, nonCritical: 0 },
        unrecordedFailures: [{ index: 'refused', message: expect.stringMatching(MESSAGE) }],
      },
    });
    expect(builds(workflow)).toHaveLength(1);
  });
});

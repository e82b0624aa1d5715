import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { databaseOf, withClient } from '../../lambdas/postgres/client.ts';
import { ensureLedger } from '../../lambdas/postgres/ledger.ts';
import type { Report } from '../../lambdas/shared/report-schema.ts';
import { runSummary } from '../../lib/cli/summary/run-summary.ts';
import type { ExecutionResult } from '../../lib/local/engine.ts';
import { DEPLOY } from '../../lib/workflow/state-names.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { openTestWorkflow, type TestWorkflow } from '../support/workflow.ts';

/*
 * A deploy in which thousands of indexes have failed, with everything as long as PostgreSQL allows: names of 63 bytes in
 * characters of three bytes, and messages of 8 KB. The ledger has the failures before the deploy starts, so the deploy builds
 * nothing and reports them.
 */

const COUNT = 2_000;
const DEPLOY_NAME = 'many-failures';
const STATE_LIMIT_BYTES = 256 * 1024;
const CAUSE_LIMIT_BYTES = 32 * 1024;

const isCritical = (n: number) => n % 10 === 7;
const nameOf = (n: number) => `${'索'.repeat(19)}${String(n).padStart(4, '0')}`;

let database: TestDatabase;
let opened: TestWorkflow;
let result: ExecutionResult;
let report: Report;

beforeAll(async () => {
  database = await createDatabase();
  await database.query('create table things (a int)');
  await withClient(databaseOf({ DATABASE_URL: database.deployUrl }), 'test', async (client) => {
    await ensureLedger(client);
    await client.query(
      `insert into deploy_step.index_builds
              (deploy, item, attempt, index_schema, index_name, table_name, status, finished_at, sqlstate, message)
       select $1, name, 1, 'public', name, 'public.things', 'failed', clock_timestamp(), 'XX' || to_char(n % 100, 'FM000'),
              'Index ' || name || ': ' || repeat('値', 2700) || ' of "' || name || '"'
         from unnest($2::text[]) with ordinality as named (name, n)`,
      [DEPLOY_NAME, Array.from({ length: COUNT }, (_, n) => nameOf(n))],
    );
  });
  opened = await openTestWorkflow({
    databaseUrl: database.url,
    services: 'none',
    indexes: Array.from({ length: COUNT }, (_, n) => ({
      name: nameOf(n),
      sql: `CREATE INDEX CONCURRENTLY IF NOT EXISTS "${nameOf(n)}" ON things (a)`,
      critical: isCritical(n),
      description: 'of a test',
    })),
  });
  const ended = await opened.workflow.start({}, DEPLOY_NAME).ended;
  result = ended.result;
  if (ended.summary === undefined) throw new Error(`No report: ${JSON.stringify(result)}`);
  report = ended.summary.report;
});

afterAll(async () => {
  await opened.close();
  await database.drop();
});

const linesOf = (text: string) => text.split('\n');

/** The sum of the counts in the lines of a list. */
function countsIn(lines: readonly string[]): number {
  return lines.reduce(
    (sum, line) => sum + Number(/(\d+) (?:critical )?index(?:es)?\b/.exec(line)?.[1] ?? 1),
    0,
  );
}

describe('a deploy in which 2,000 indexes of 100 causes fail', () => {
  test('has a Cause of at most 20 lines and 32 KiB, whose counts add up', () => {
    expect(result).toMatchObject({ status: 'FAILED', error: 'DeployFailed', cause: report.failure });
    const [headline = '', ...list] = linesOf(result.cause ?? '');
    expect(headline).toMatch(/^Critical indexes not built: 200 indexes, \d+ causes\.$/);
    expect(list.length).toBeLessThan(20);
    expect(list.length).toBeGreaterThan(5);
    expect(countsIn(list)).toBe(200);
    expect(Buffer.byteLength(result.cause ?? '')).toBeLessThanOrEqual(CAUSE_LIMIT_BYTES);
    expect(result.cause?.isWellFormed()).toBe(true);
  });

  test('sends one alert of at most 20 lines, the critical indexes first, with what to do next', () => {
    const [alert] = opened.alerts;
    const lines = linesOf(alert?.Message ?? '');
    expect(alert?.Subject).toBe('pg-deploy-step local: deploy FAILED');
    expect(lines.length).toBeLessThanOrEqual(20);
    const failures = lines.filter((line) => line.startsWith('- '));
    expect(failures[0]).toContain(': 20 critical indexes, the first: ');
    expect(failures[0]).toContain(nameOf(7));
    expect(countsIn(failures)).toBe(COUNT);
    expect(alert?.Message).toContain('with the input {}. It builds every index that is missing.');
    expect(alert?.Message).toContain(`where deploy = '${DEPLOY_NAME}' and status = 'failed';`);
    expect(Buffer.byteLength(alert?.Message ?? '')).toBeLessThan(64 * 1024);
  });

  test('omits indexes from the payload of the execution, which stays below 256 KiB', () => {
    const exited = opened.events.find(
      (event) => event.state === DEPLOY.report && event.type === 'StateExited',
    );
    const output = exited?.output as { report: Report };
    expect(Buffer.byteLength(JSON.stringify(output))).toBeLessThan(STATE_LIMIT_BYTES);
    const { indexes, indexesOmitted } = output.report;
    expect(indexes.length + indexesOmitted).toBe(COUNT);
    expect(indexes.length).toBeGreaterThan(100);
    expect(indexes[0]?.critical).toBe(true);
  });

  test('has a whole report on this machine: every index with its whole message', () => {
    expect(report.indexesOmitted).toBe(0);
    expect(report.totals).toEqual({ created: 0, skipped: 0, failed: COUNT, remaining: 0 });
    expect(new Set(report.indexes.map((index) => index.name)).size).toBe(COUNT);
    expect(report.indexes.every((index) => (index.error?.message.length ?? 0) > 2_700)).toBe(true);
  });

  test('groups the failures in the summary and in the warnings', () => {
    const summary = runSummary(report, { colour: false, startCommand: null }).split('\n\n');
    const failed = linesOf(summary.find((section) => section.startsWith('Failed:')) ?? '');
    expect(failed.length).toBeLessThanOrEqual(20);
    expect(countsIn(failed.slice(1).filter((line) => / index(es)?\b/.test(line)))).toBe(COUNT);
    expect(summary.at(-1)).toMatch(
      /^Deploy many-failures failed after .*: Critical indexes not built: 200 indexes, \d+ causes\.$/,
    );
    expect(report.warnings).toHaveLength(1);
    const [headline = '', ...list] = linesOf(report.warnings[0] ?? '');
    expect(headline).toMatch(/^Not built: 1800 indexes, \d+ causes: .* and 1797 more\. The deploy continued/);
    expect(list.length).toBeLessThan(20);
    expect(countsIn(list)).toBe(1_800);
  });
});

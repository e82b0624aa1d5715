import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { openTestWorkflow, type TestWorkflow } from '../support/workflow.ts';

/* The application's migration function, in a separate process as in Lambda. */

const FUNCTION = `
import pg from ${JSON.stringify(import.meta.resolve('pg'))};
export const handler = async (event) => {
  const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
  await client.connect();
  await client.query('create table received (event json)');
  await client.query('insert into received values ($1)', [JSON.stringify(event)]);
  await client.end();
  if (event.payload.fail) throw new RangeError('failed as requested');
  if (event.payload.hang) await new Promise((done) => setTimeout(done, 600_000));
  return event.payload.answer;
};
`;

let database: TestDatabase;
let folder: string;
let opened: TestWorkflow | undefined;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-function-'));
  writeFileSync(join(folder, 'index.mjs'), FUNCTION);
  database = await createDatabase();
});

afterEach(async () => {
  await opened?.close();
  opened = undefined;
  await database.drop();
  rmSync(folder, { recursive: true, force: true });
});

async function deploy(payload: Record<string, string | boolean | string[] | object>, timeoutSeconds = 60) {
  opened = await openTestWorkflow({
    databaseUrl: database.url,
    indexes: [],
    runner: { runner: 'lambda', function: 'shop-migrate:live', payload: payload as never },
    services: 'none',
    aws: { migrationFunction: { directory: folder, timeoutSeconds } },
  });
  return await opened.deploy();
}

test('the migration function receives the name of the deploy, and the report contains its result', async () => {
  const { status, report } = await deploy({ answer: { applied: ['0001_a', 'and b'] } });

  expect(status).toBe('SUCCEEDED');
  expect(report.migrations).toEqual({
    ...{ runner: 'lambda', outcome: 'succeeded', applied: ['0001_a', 'and b'], pending: [], failure: null },
    ...{ appliedOnline: [], pendingOnline: [] },
  });
  expect(await database.query('select event from received')).toEqual([
    {
      event: {
        deploy: report.deploy,
        execution: expect.stringContaining(report.deploy),
        environment: 'local',
        payload: { answer: { applied: ['0001_a', 'and b'] } },
      },
    },
  ]);
});

test.each([
  ['nothing', {}],
  ['a string', { answer: 'done' }],
  ['another structure', { answer: { applied: 'all' } }],
])('the migration function may return %s', async (_what, payload) => {
  const { report } = await deploy(payload);

  expect(report).toMatchObject({ status: 'succeeded', migrations: { outcome: 'succeeded', applied: [] } });
});

test('a migration function that throws fails the deploy, with its message and its log group', async () => {
  const { status, report } = await deploy({ fail: true });

  expect(status).toBe('FAILED');
  expect(report.failure).toBe(
    'The migration function shop-migrate:live failed: RangeError: failed as requested',
  );
  expect(opened?.alerts[0]?.Message).toContain(
    '1. Read the log of the function (CloudWatch log group /aws/lambda/shop-migrate) and fix the cause, then start the deploy again with the input {}.',
  );
});

test('after the timeout of a migration function, the report recommends the runner ecs-task', async () => {
  const { report } = await deploy({ hang: true }, 5);

  expect(report.failure).toContain('did not end within its time limit, or within 15 minutes');
  expect(report.failure).toContain('For a longer migration use the runner ecs-task');
});

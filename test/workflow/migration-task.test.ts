import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { EnvironmentInput } from '../../lib/config/environment-config.ts';
import { MIGRATIONS_END } from '../../lib/workflow/state-names.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/waits.ts';
import { openTestWorkflow, type TestWorkflow } from '../support/workflow.ts';

/*
 * The application's migration tool as an ECS task: a process that connects, applies the migrations and exits.
 */

const TOOL = `
import { writeFileSync } from 'node:fs';
import pg from ${JSON.stringify(import.meta.resolve('pg'))};
const client = new pg.Client({
  connectionString: process.env.DATABASE_URL,
  application_name: 'migration tool',
  options: '-c client_connection_check_interval=500',
});
await client.connect();
await client.query('create table if not exists applied (step text)');
await client.query('insert into applied values ($1)', [process.env.STEP ?? 'default']);
console.log('migration tool: applied ' + process.env.STEP);
if (process.argv[2] === 'hang') {
  writeFileSync(process.argv[3], String(process.pid));
  await client.query('select pg_sleep(600)');
}
await client.end();
process.exit(Number(process.argv[2] ?? 0));
`;

const SERVICES_UP = { api: 2, worker: 1 };

let database: TestDatabase;
let folder: string;
let opened: TestWorkflow | undefined;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-tool-'));
  writeFileSync(join(folder, 'tool.mjs'), TOOL);
  database = await createDatabase();
  await database.query('create table orders (id int primary key, status text)');
});

afterEach(async () => {
  await opened?.close();
  opened = undefined;
  await database.drop();
  rmSync(folder, { recursive: true, force: true });
});

interface Tool {
  /** Arguments of the tool in the image's command. */
  args?: string[];
  runner?: Partial<Extract<EnvironmentInput['migrations'], { runner: 'ecs-task' }>>;
  environment?: Parameters<typeof openTestWorkflow>[0]['environment'];
  onState?: (state: string) => void;
}

async function open({ args = [], runner, environment, onState }: Tool): Promise<TestWorkflow> {
  opened = await openTestWorkflow({
    databaseUrl: database.url,
    indexes: [
      {
        name: 'idx_orders_status',
        sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_orders_status ON orders (status)',
        description: 'orders by status',
      },
    ],
    runner: {
      runner: 'ecs-task',
      ...{ cluster: 'demo', taskDefinition: 'shop-migrate', container: 'migrate' },
      roles: { task: 'none', execution: 'none' },
      network: { subnetIds: ['subnet-1'], securityGroupIds: ['sg-1'] },
      logs: { group: '/ecs/shop', streamPrefix: 'shop' },
      ...runner,
    },
    ...(environment && { environment }),
    aws: {
      tasks: [
        {
          ...{ cluster: 'demo', family: 'shop-migrate', container: 'migrate' },
          command: [process.execPath, join(folder, 'tool.mjs'), ...args],
          variables: { DATABASE_URL: database.url },
        },
      ],
    },
    onEvent: (event) => {
      if (event.type === 'StateEntered') onState?.(event.state ?? '');
    },
  });
  return opened;
}

const steps = async () =>
  (await database.query<{ step: string }>('select step from applied')).map((row) => row.step);

const toolSessions = async () =>
  (
    await database.query(
      "select 1 from pg_stat_activity where application_name = 'migration tool' and datname = current_database()",
    )
  ).length;

describe('a migration task that exits with 0', () => {
  test('lets the deploy continue: it builds the indexes and starts the services', async () => {
    const workflow = await open({ runner: { environment: { STEP: 'from the configuration' } } });

    const { status, report } = await workflow.deploy();

    expect(status).toBe('SUCCEEDED');
    expect(await steps()).toEqual(['from the configuration']);
    expect(report.migrations).toEqual({
      ...{ runner: 'ecs-task', outcome: 'succeeded', applied: [], pending: [], failure: null },
      ...{ appliedOnline: [], pendingOnline: [] },
    });
    expect(report.totals.created).toBe(1);
    expect(report.downtimeMs).toBeGreaterThan(0);
    expect(workflow.running()).toEqual(SERVICES_UP);
    expect(workflow.log).toContain('shop-migrate migration tool: applied from the configuration');
    expect(workflow.alerts).toEqual([]);
  });

  test('is run by every deploy, because only the tool knows what is pending, and by no other mode', async () => {
    const workflow = await open({});
    await workflow.deploy();

    const plan = await workflow.deploy({ mode: 'plan' });
    const indexes = await workflow.deploy({ mode: 'indexes' });
    expect(await steps()).toHaveLength(1);
    expect(plan.report.migrations).toMatchObject({ outcome: 'not-run', applied: [], pending: [] });
    expect(indexes.report.warnings).toEqual([
      'Nothing to do: every requested index is valid. Services were not stopped.',
    ]);
    const again = await workflow.deploy();

    expect(again.report).toMatchObject({ status: 'succeeded', migrations: { outcome: 'succeeded' } });
    expect(again.report.downtimeMs).toBeGreaterThan(0);
    expect(await steps()).toHaveLength(2);
  });
});

describe('a migration task that fails', () => {
  test('with exit code 3: no index is built, the services start, and report and alert name the task and its log', async () => {
    const workflow = await open({ args: ['3'] });

    const { status, cause, report } = await workflow.deploy();

    expect(status).toBe('FAILED');
    const message =
      /^The migration failed: the container migrate of the task ([0-9a-f]{32}) \(task definition shop-migrate:1, cluster demo\) ended with exit code 3: Essential container in task exited\. Its log: CloudWatch log group \/ecs\/shop, stream shop\/migrate\/\1\.$/;
    expect(cause).toMatch(message);
    expect(report.failure).toMatch(message);
    expect(report.migrations).toMatchObject({
      runner: 'ecs-task',
      outcome: 'failed',
      failure: { file: null, line: null, sqlstate: null, message: expect.stringMatching(message) },
    });
    expect(report.totals).toMatchObject({ created: 0, remaining: 1 });
    expect(workflow.running()).toEqual(SERVICES_UP);
    const [alert] = workflow.alerts;
    expect(alert?.Message).toContain('ended with exit code 3');
    expect(alert?.Message).toMatch(
      /1\. Read the log of the task: aws logs tail \/ecs\/shop --since 1d --log-stream-names shop\/migrate\/[0-9a-f]{32}\. The changes that the task made before it failed remain/,
    );
    expect(alert?.Message).toContain('start the deploy again with the input {}');
  });

  test('because of a signal: the report shows the exit code of a container, 128 plus the signal', async () => {
    const pidFile = join(folder, 'pid');
    const workflow = await open({
      args: ['hang', pidFile],
    });

    const deploying = workflow.deploy();
    await eventually(() => existsSync(pidFile)).toBe(true);
    process.kill(Number(readFileSync(pidFile, 'utf8')), 'SIGKILL');
    const { report } = await deploying;

    expect(report.failure).toContain('ended with exit code 137');
    expect(workflow.running()).toEqual(SERVICES_UP);
  });

  test('to start: the report contains the reason, and the services start', async () => {
    const workflow = await open({ runner: { command: ['/no/such/program'] } });

    const { report } = await workflow.deploy();

    expect(report.failure).toMatch(
      /did not start, or has no exit code: Task failed to start; CannotStartContainerError: .*ENOENT/,
    );
    expect(workflow.running()).toEqual(SERVICES_UP);
  });

  test('because the task definition does not exist: the report contains the error of ECS', async () => {
    const workflow = await open({ runner: { taskDefinition: 'nowhere:7' } });

    const { report } = await workflow.deploy();

    expect(report.failure).toBe(
      "The migration's task could not be run (container migrate, task definition nowhere:7, cluster demo). ECS.ClientException: TaskDefinition not found.",
    );
    expect(workflow.alerts[0]?.Message).toContain('1. Fix the cause in the status above');
  });

  test('leaves the services stopped with onMigrationFailure: leave-stopped', async () => {
    const workflow = await open({ args: ['1'], environment: { onMigrationFailure: 'leave-stopped' } });

    const { status } = await workflow.deploy();

    expect(status).toBe('FAILED');
    expect(workflow.running()).toEqual({ api: 0, worker: 0 });
  });
});

test('a migration task that does not end within timeoutMinutes is stopped, and the services start', async () => {
  const workflow = await open({
    args: ['hang', join(folder, 'pid')],
    runner: { timeoutMinutes: 0.1 },
  });

  const { status, report } = await workflow.deploy();

  expect(status).toBe('FAILED');
  expect(report.failure).toMatch(
    /^The migration did not end within 0\.1 minutes \(migrations\.timeoutMinutes\), so the deploy stopped its task \(container migrate, task definition shop-migrate, cluster demo\)\./,
  );
  await eventually(() => workflow.workflow.aws.runningTasks).toBe(0);
  await eventually(toolSessions).toBe(0);
  expect(
    workflow.events.filter(({ type, state }) => type === 'StateEntered' && state === MIGRATIONS_END.stopTask),
  ).toHaveLength(1);
  expect(workflow.running()).toEqual(SERVICES_UP);
  expect(workflow.alerts[0]?.Message).toContain('aws ecs list-tasks --cluster demo --family shop-migrate');
});

test('an aborted execution stops its migration task, and the recovery starts the services', async () => {
  const pidFile = join(folder, 'pid');
  const workflow = await open({ args: ['hang', pidFile] });

  const { execution, ended } = workflow.workflow.start({});
  await eventually(() => existsSync(pidFile)).toBe(true);
  expect(await toolSessions()).toBe(1);
  execution.abort();
  const { result } = await ended;
  await workflow.workflow.recover({ reason: 'deploy-ended' });

  expect(result.status).toBe('ABORTED');
  await eventually(() => workflow.workflow.aws.runningTasks).toBe(0);
  await eventually(toolSessions).toBe(0);
  expect(workflow.running()).toEqual(SERVICES_UP);
});

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Environment, EnvironmentInput } from '../../lib/config/environment-config.ts';
import { DEPLOY } from '../../lib/workflow/state-names.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/waits.ts';
import { openTestWorkflow, type TestWorkflow } from '../support/workflow.ts';

/*
 * The application's own task or function is asked what is pending, while the services run. Each of them here writes what it was
 * called with into a file.
 */

const TASK = `
import { appendFileSync } from 'node:fs';
const [file, what, code] = process.argv.slice(2);
appendFileSync(file, what + '\\n');
if (code === 'hang') setInterval(() => {}, 1000);
else process.exit(Number(code));
`;

const FUNCTION = `
import { appendFileSync } from 'node:fs';
export const handler = async ({ payload }) => {
  appendFileSync(process.env.CALLS, (payload.ask === undefined ? 'migrate' : 'ask') + '\\n');
  if (payload.ask === 'fail') throw new RangeError('failed as requested');
  return payload.ask ?? {};
};
`;

const SERVICES_UP = { api: 2, worker: 1 };

let database: TestDatabase;
let folder: string;
let opened: TestWorkflow | undefined;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-asked-'));
  writeFileSync(join(folder, 'tool.mjs'), TASK);
  writeFileSync(join(folder, 'index.mjs'), FUNCTION);
  database = await createDatabase();
});

afterEach(async () => {
  await opened?.close();
  opened = undefined;
  await database.drop();
  rmSync(folder, { recursive: true, force: true });
});

/** What was called: `ask` or `migrate`. */
const calls = () =>
  existsSync(join(folder, 'calls')) ? readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n') : [];

async function open(
  runner: EnvironmentInput['migrations'],
  onState: (state: string) => void = () => {},
  environment: Partial<Environment> = {},
): Promise<TestWorkflow> {
  opened = await openTestWorkflow({
    ...{ databaseUrl: database.url, indexes: [], runner, environment },
    aws: {
      tasks: [
        {
          ...{ cluster: 'demo', family: 'shop-migrate', container: 'migrate' },
          ...{ command: tool('migrate', 0), directory: folder, variables: {} },
        },
      ],
      migrationFunction: { directory: folder, variables: { CALLS: join(folder, 'calls') } },
    },
    onEvent: (event) => {
      if (event.type === 'StateEntered') onState(event.state ?? '');
    },
  });
  return opened;
}

const tool = (what: string, code: number | 'hang') => [
  process.execPath,
  ...[join(folder, 'tool.mjs'), join(folder, 'calls'), what, String(code)],
];

/** @param code of the command that is asked. Null: there is no such program */
const task = (code: number | 'hang' | null): EnvironmentInput['migrations'] => ({
  runner: 'ecs-task',
  ...{ cluster: 'demo', taskDefinition: 'shop-migrate', container: 'migrate' },
  roles: { task: 'none', execution: 'none' },
  network: { subnetIds: ['subnet-1'], securityGroupIds: ['sg-1'] },
  pending: { command: code === null ? ['/no/such/program'] : tool('ask', code) },
});

const UNKNOWN =
  'It is unknown which migrations are pending, so every deploy stops the services and runs them: ';
const NOTHING =
  'Nothing to do: no migration is pending and every requested index is valid. Services were not stopped.';

describe('a migration task that is asked', () => {
  test('and ends with 0 has nothing to apply: nothing is stopped, and other modes do not ask', async () => {
    const workflow = await open(task(0));

    const { report } = await workflow.deploy();
    const plan = await workflow.deploy({ mode: 'plan' });
    const asked = calls();
    await workflow.deploy({ mode: 'indexes' });
    await workflow.deploy({ mode: 'start-services' });
    const forced = await workflow.deploy({ force: true });

    expect(report).toMatchObject({ status: 'succeeded', warnings: [NOTHING] });
    expect(report.migrations).toMatchObject({ outcome: 'not-run', pending: [], known: true });
    expect(plan.report).toMatchObject({ status: 'succeeded', warnings: [] });
    expect(asked).toEqual(['ask', 'ask']);
    expect(forced.report.migrations.outcome).toBe('succeeded');
    expect(calls()).toEqual(['ask', 'ask', 'ask', 'migrate']);
    expect(workflow.running()).toEqual(SERVICES_UP);
  });

  test.each([
    ['1 has something to apply', 1, []],
    [
      '3 has not answered',
      3,
      [
        `${UNKNOWN}migrations.pending.command ended with exit code 3, which is neither 0 (nothing is pending) nor 1 (something is).`,
      ],
    ],
    [
      'an error of its start has not answered',
      null,
      [expect.stringContaining(`${UNKNOWN}the migration task or function has not answered: `)],
    ],
  ])('and ends with %s: the services are stopped, and it runs', async (_what, code, warnings) => {
    const workflow = await open(task(code));

    const { report } = await workflow.deploy();

    expect(report).toMatchObject({ status: 'succeeded', warnings });
    expect(report.migrations).toMatchObject({ outcome: 'succeeded' });
    expect(report.downtimeMs).toBeGreaterThan(0);
    expect(calls()).toEqual(code === null ? ['migrate'] : ['ask', 'migrate']);
    expect(workflow.running()).toEqual(SERVICES_UP);
  });

  test('and has something to apply gets its window also with "window": "when-needed"', async () => {
    const workflow = await open(task(1), undefined, { window: 'when-needed' });

    const { report } = await workflow.deploy();

    expect(report).toMatchObject({ status: 'succeeded', migrations: { outcome: 'succeeded' } });
    expect(report.downtimeMs).toBeGreaterThan(0);
    expect(calls()).toEqual(['ask', 'migrate']);
  });

  test.each([DEPLOY.pending.needed, DEPLOY.pending.ask])(
    'in a deploy that is killed in the state %s ends, and nothing was stopped',
    async (killedIn) => {
      let kill = () => {};
      const workflow = await open(task('hang'), (state) => {
        if (state === killedIn) kill();
      });
      const { execution, ended } = workflow.workflow.start({});
      kill = () => execution.abort();
      await ended;

      expect(workflow.workflow.servicesWithSavedState).toEqual([]);
      expect(workflow.running()).toEqual(SERVICES_UP);
      await eventually(() => workflow.workflow.aws.runningTasks).toBe(0);
    },
  );
});

describe('a migration function that is asked', () => {
  const lambda = (ask: unknown): EnvironmentInput['migrations'] => ({
    ...{ runner: 'lambda', function: 'shop-migrate' },
    pending: { payload: { ask: ask as never } },
  });

  test('and answers with no name has nothing to apply', async () => {
    const workflow = await open(lambda({ pending: [] }));

    const { report } = await workflow.deploy();

    expect(report).toMatchObject({ status: 'succeeded', warnings: [NOTHING] });
    expect(calls()).toEqual(['ask']);
  });

  test.each([
    ['names has something to apply, which a plan shows', { pending: ['0003_c'] }, ['0003_c'], []],
    [
      'nothing has not answered',
      {},
      [],
      [`${UNKNOWN}the migration function did not answer {"pending": ["name", …]}.`],
    ],
    [
      'an error has not answered',
      'fail',
      [],
      [`${UNKNOWN}the migration task or function has not answered: RangeError: failed as requested.`],
    ],
  ])('and answers with %s', async (_what, ask, pending, warnings) => {
    const workflow = await open(lambda(ask));

    const plan = await workflow.deploy({ mode: 'plan' });
    const { report } = await workflow.deploy();

    expect(plan.report.migrations.pending).toEqual(pending);
    expect(plan.report.warnings).toEqual(warnings);
    expect(report).toMatchObject({ status: 'succeeded', migrations: { outcome: 'succeeded', pending: [] } });
    expect(calls()).toEqual(['ask', 'ask', 'migrate']);
  });
});

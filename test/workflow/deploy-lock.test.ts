import type { Client } from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { TaskError } from '../../lib/local/engine/errors.ts';
import type { LocalDeploy, LocalWorkflow } from '../../lib/local/local-workflow.ts';
import { BUILD_INDEXES, DEPLOY } from '../../lib/workflow/state-names.ts';
import { connect, createDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/waits.ts';
import { openTestWorkflow, type TestWorkflow, type TestWorkflowOptions } from '../support/workflow.ts';

const LOCK = '/pg-deploy-step/local/deploy-lock';
const PUT = 'arn:aws:states:::aws-sdk:ssm:putParameter';
const EXECUTION = 'arn:aws:states:eu-west-1:000000000000:execution:pg-deploy-step-local-deploy';
const FREE = { execution: '', deploy: null, startedAt: null };

let database: TestDatabase;
let opened: TestWorkflow | undefined;
/** Holds the table lock that the builds wait for, so that a deploy runs until the test ends it. */
let blocker: Client | undefined;

beforeEach(async () => {
  database = await createDatabase();
  await database.query('create table orders (id int primary key, status text)');
});

afterEach(async () => {
  await release();
  await opened?.close();
  opened = undefined;
  await database.drop();
});

/** Opens the workflow. Reads of an execution are stale at first, as in AWS. */
async function open(options: Partial<TestWorkflowOptions> = {}): Promise<TestWorkflow> {
  opened = await openTestWorkflow({
    databaseUrl: database.url,
    indexes: [
      {
        name: 'idx_orders_status',
        sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_orders_status ON orders (status)',
        description: 'orders by status',
      },
    ],
    services: 'none',
    builds: { lockTimeoutSeconds: 300 },
    staleReads: 1,
    ...options,
  });
  return opened;
}

async function block(): Promise<void> {
  blocker = await connect(database.url);
  await blocker.query('begin');
  await blocker.query('lock table orders in access exclusive mode');
}

async function release(): Promise<void> {
  await blocker?.end();
  blocker = undefined;
}

const lockOf = ({ workflow }: TestWorkflow) => {
  const parameter = workflow.aws.state.ssm.parameters[LOCK] ?? expect.fail('There is no lock.');
  return { value: JSON.parse(parameter.Value), version: parameter.Version };
};

/** Writes the lock as another program would. */
async function writeLock({ workflow }: TestWorkflow, value: unknown): Promise<void> {
  const Value = typeof value === 'string' ? value : JSON.stringify(value);
  await workflow.aws.call(PUT, { Name: LOCK, Value, Type: 'String', Overwrite: true });
}

const isBuilding = ({ events }: TestWorkflow) =>
  events.some(({ type, state }) => type === 'StateEntered' && state === BUILD_INDEXES.buildIndex);

const entered = ({ events }: TestWorkflow, state: string) =>
  events.filter((event) => event.type === 'StateEntered' && event.state === state);

/**
 * Starts deploys at once. All but one must end, and then the blocker is released.
 * @param meanwhile called while the one is still running
 */
async function startTogether(
  workflow: LocalWorkflow,
  names: string[],
  meanwhile: () => Promise<void> = async () => {},
): Promise<LocalDeploy[]> {
  let running = names.length;
  const ended = names.map((name) => {
    const { ended } = workflow.start({}, name);
    void ended.then(() => {
      running -= 1;
    });
    return ended;
  });
  await eventually(() => running).toBe(1);
  await meanwhile();
  await release();
  return await Promise.all(ended);
}

const NAMES = ['first', 'second', 'third', 'fourth'];

function expectOneWinner(deploys: readonly LocalDeploy[]): void {
  const succeeded = deploys.filter(({ result }) => result.status === 'SUCCEEDED');
  expect(succeeded).toHaveLength(1);
  const winner = NAMES[deploys.indexOf(succeeded[0] ?? expect.fail())];
  for (const { result } of deploys.filter((deploy) => deploy !== succeeded[0])) {
    expect(result.cause).toContain(`Another deploy is running: ${winner}, started at `);
    expect(result.cause).toContain(`(${EXECUTION}:${winner})`);
  }
}

describe('deploys that start in the same second', () => {
  test.each([0, 1, 2])(
    'and are not shown in %i reads: exactly one runs, and the others name it',
    async (staleReads) => {
      await block();
      const workflow = await open({ staleReads });

      const deploys = await startTogether(workflow.workflow, NAMES);

      expectOneWinner(deploys);
      expect(entered(workflow, DEPLOY.maintenanceWindow)).toHaveLength(1);
      expect(lockOf(workflow).value).toMatchObject(FREE);
    },
  );

  test('after a deploy that was aborted: exactly one takes over its lock', async () => {
    await block();
    const workflow = await open();
    const aborted = workflow.workflow.start({}, 'aborted');
    await eventually(() => isBuilding(workflow)).toBe(true);
    aborted.execution.abort();
    await aborted.ended;
    expect(lockOf(workflow).value).toMatchObject({ execution: `${EXECUTION}:aborted`, deploy: 'aborted' });

    const deploys = await startTogether(workflow.workflow, NAMES);

    expectOneWinner(deploys);
    expect(lockOf(workflow).value).toMatchObject(FREE);
  });
});

test.each([1, 2])(
  'deploys that take over the lock of a deleted execution, and are not shown in %i reads: exactly one does',
  async (staleReads) => {
    await block();
    const workflow = await open({ staleReads });
    await writeLock(workflow, { execution: `${EXECUTION}:ninety-days-ago`, version: 1 });

    const deploys = await startTogether(workflow.workflow, NAMES);

    expectOneWinner(deploys);
    expect(entered(workflow, DEPLOY.maintenanceWindow)).toHaveLength(1);
    expect(lockOf(workflow).value).toMatchObject(FREE);
  },
);

describe('the lock', () => {
  test('holds the ARN of the execution while it runs, and is free after it', async () => {
    await block();
    const workflow = await open();
    const { ended } = workflow.workflow.start({}, 'running');
    await eventually(() => isBuilding(workflow)).toBe(true);

    expect(lockOf(workflow)).toEqual({
      value: {
        execution: `${EXECUTION}:running`,
        deploy: 'running',
        startedAt: expect.stringMatching(/^\d{4}-.*Z$/),
        version: 1,
      },
      version: 1,
    });
    await release();
    expect((await ended).result.status).toBe('SUCCEEDED');
    expect(lockOf(workflow)).toEqual({ value: { ...FREE, version: 2 }, version: 2 });
  });

  test('is free after a deploy that was refused or has failed', async () => {
    const workflow = await open({ migrations: { '0001_fails': 'select 1 / 0;' } });

    expect((await workflow.deploy({ mode: 'nonsense' })).cause).toContain('mode must be one of');
    expect(lockOf(workflow).value).toMatchObject(FREE);
    expect((await workflow.deploy()).cause).toContain('division by zero');
    expect(lockOf(workflow).value).toMatchObject(FREE);
  });

  test('is not needed for a plan, which runs during a deploy', async () => {
    await block();
    const workflow = await open();
    const { ended } = workflow.workflow.start({}, 'running');
    await eventually(() => isBuilding(workflow)).toBe(true);
    const before = lockOf(workflow);

    const plan = await workflow.workflow.start({ mode: 'plan' }, 'plan').ended;

    expect(plan.result.status).toBe('SUCCEEDED');
    expect(lockOf(workflow)).toEqual(before);
    await release();
    await ended;
  });

  test.each(['indexes', 'start-services', 'deploy'])('is needed for the mode %s', async (mode) => {
    await block();
    const workflow = await open();
    const { ended } = workflow.workflow.start({}, 'running');
    await eventually(() => isBuilding(workflow)).toBe(true);

    const other = await workflow.workflow.start({ mode }, 'other').ended;

    expect(other.result.cause).toContain('Another deploy is running: running, started at ');
    await release();
    expect((await ended).result.status).toBe('SUCCEEDED');
  });

  test('of an execution that Step Functions has deleted is taken over', async () => {
    const workflow = await open();
    await writeLock(workflow, { execution: `${EXECUTION}:ninety-days-ago`, version: 1 });

    const { status } = await workflow.deploy();

    expect(status).toBe('SUCCEEDED');
    expect(entered(workflow, DEPLOY.lock.describeHolder)).toHaveLength(3);
    expect(lockOf(workflow)).toEqual({ value: { ...FREE, version: 3 }, version: 3 });
  });

  test('stays with its holder when an execution that has read an older version writes late', async () => {
    await block();
    const workflow = await open();
    const { ended } = workflow.workflow.start({}, 'running');
    await eventually(() => isBuilding(workflow)).toBe(true);
    for (let late = 0; late < 3; late += 1)
      await writeLock(workflow, { execution: `${EXECUTION}:late-${late}`, deploy: 'late', version: 1 });

    const other = await workflow.workflow.start({}, 'other').ended;

    expect(other.result.cause).toContain('Another deploy is running: running, started at ');
    await release();
    expect((await ended).result.status).toBe('SUCCEEDED');
    expect((await workflow.deploy()).status).toBe('SUCCEEDED');
    expect(lockOf(workflow).value).toMatchObject(FREE);
  });

  test('stays with the winner when another execution has read the same version, and was late', async () => {
    await block();
    const refused = new Map<unknown, number>();
    const workflow = await open({
      // Each execution writes after all of them have read.
      refuse: (resource, parameters) => {
        const { Name, Value } = parameters as { Name: string; Value: string };
        if (resource !== PUT || Name !== LOCK || Value.includes('"execution":""')) return undefined;
        refused.set(Value, (refused.get(Value) ?? 0) + 1);
        const isEachWaiting = refused.size === NAMES.length;
        return isEachWaiting && refused.get(Value) !== 1
          ? undefined
          : new TaskError('Ssm.SsmException', 'Rate exceeded');
      },
    });
    await writeLock(workflow, { execution: '', version: 1 });

    const deploys = await startTogether(workflow.workflow, NAMES, async () => {
      // The late writes are the latest versions, and the late executions have ended. The winner still holds the lock.
      expect(lockOf(workflow).version).toBe(1 + NAMES.length);
      const other = await workflow.workflow.start({}, 'other').ended;
      expect(other.result.cause).toContain('Another deploy is running: ');
    });

    expectOneWinner(deploys);
    expect(entered(workflow, DEPLOY.maintenanceWindow)).toHaveLength(1);
    expect(lockOf(workflow).value).toMatchObject(FREE);
  });

  test('is acquired when the response of the first write was lost', async () => {
    let lost = 0;
    const workflow = await open({
      refuse: (resource, parameters) => {
        if (resource !== PUT || (parameters as { Name: string }).Name !== LOCK || lost === 1)
          return undefined;
        lost += 1;
        void workflow.workflow.aws.call(resource, parameters);
        return new TaskError('Ssm.SdkClientException', 'Read timed out');
      },
    });
    await workflow.deploy({ mode: 'start-services' });

    lost = 0;
    const { status } = await workflow.deploy();

    expect(status).toBe('SUCCEEDED');
    expect(lost).toBe(1);
    expect(lockOf(workflow).value).toMatchObject(FREE);
  });

  test.each([
    ['is not JSON', 'by hand'],
    ['has no version', { execution: '' }],
    ['has no execution', { version: 1 }],
  ])('refuses a deploy when its value %s, and the message names the parameter', async (_what, value) => {
    const workflow = await open();
    await writeLock(workflow, value);

    const { status, cause } = await workflow.deploy();

    expect(status).toBe('FAILED');
    expect(cause).toContain('The lock that allows one deploy at a time, the parameter ');
    expect(cause).toContain(LOCK);
    expect(entered(workflow, DEPLOY.maintenanceWindow)).toEqual([]);
  });

  test('refuses a deploy when Parameter Store does not allow to write it', async () => {
    const workflow = await open({
      refuse: (resource) =>
        resource === PUT
          ? new TaskError('Ssm.AccessDeniedException', 'not authorized to perform: ssm:PutParameter')
          : undefined,
    });

    const { status, cause } = await workflow.deploy();

    expect(status).toBe('FAILED');
    expect(cause).toContain('Ssm.AccessDeniedException: not authorized to perform: ssm:PutParameter');
    expect(entered(workflow, DEPLOY.maintenanceWindow)).toEqual([]);
  });
});

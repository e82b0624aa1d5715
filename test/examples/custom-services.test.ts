import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { EngineEvent } from '../../lib/local/engine.ts';
import { LambdaHost } from '../../lib/local/lambda-host.ts';
import { functionArn } from '../../lib/local/local-arns.ts';
import type { CustomFunction } from '../../lib/local/local-workflow.ts';
import { WINDOW } from '../../lib/workflow/state-names.ts';
import { type AppRun, runApp } from '../stack/support/run-app.ts';
import { PROJECT_ROOT } from '../stack/support/synthesise.ts';
import { permissionsOf, resourcesOfType } from '../stack/support/template-values.ts';
import { createDatabase } from '../support/database.ts';
import { openTestWorkflow } from '../support/workflow.ts';
import { LocalFunction } from './support/local-function.ts';
import { LocalGroup } from './support/local-group.ts';

/*
 * The functions of examples/custom-services: a Lambda function by its reserved concurrency, and an Auto Scaling group. Their own
 * code, with the AWS SDK, calls endpoints of this machine.
 */

const EXAMPLE = join(PROJECT_ROOT, 'examples/custom-services');

let fn: LocalFunction;
let group: LocalGroup;
let lambdas: LambdaHost | undefined;

beforeEach(async () => {
  fn = await LocalFunction.open();
  group = await LocalGroup.open();
});

afterEach(async () => {
  await lambdas?.close();
  lambdas = undefined;
  await fn.close();
  await group.close();
});

function functionsOf(): CustomFunction[] {
  // Otherwise the SDK itself repeats a call that AWS throttles.
  const shared = {
    ...{ AWS_REGION: 'eu-west-1', AWS_MAX_ATTEMPTS: '1' },
    ...{ AWS_ACCESS_KEY_ID: 'local', AWS_SECRET_ACCESS_KEY: 'local' },
  };
  return [
    {
      name: 'stop-thumbnails',
      directory: join(EXAMPLE, 'lambda-concurrency'),
      variables: { ...shared, STOPPED_FUNCTION: fn.name, AWS_ENDPOINT_URL_LAMBDA: fn.url },
    },
    {
      name: 'stop-workers',
      directory: join(EXAMPLE, 'auto-scaling-group'),
      variables: { ...shared, STOPPED_GROUP: group.name, AWS_ENDPOINT_URL_AUTO_SCALING: group.url },
    },
  ];
}

async function invoke(name: string, event: object): Promise<unknown> {
  lambdas ??= new LambdaHost({
    functions: functionsOf().map(({ variables = {}, ...custom }) => ({
      ...{ ...custom, variables, handler: 'index.handler', timeoutSeconds: 60 },
    })),
  });
  return await lambdas.invoke(name, { environment: 'prod', name: 'x', deploy: 'release-7', ...event });
}

const askFunction = (action: string, state: unknown = null, since = new Date().toISOString()) =>
  invoke('stop-thumbnails', { action, state, ...(action === 'look' && { since }) });
const askGroup = (action: string, state: unknown = null) => invoke('stop-workers', { action, state });

const LONG_AGO = '2020-01-01T00:00:00.000Z';

test('a deploy stops both while the indexes are built, and they are as before', async () => {
  const database = await createDatabase();
  await database.query('create table orders (id int primary key, status text)');
  group.suspended = ['AZRebalance', 'ScheduledActions'];
  const before = { reserved: fn.reserved, group: group.settings };
  const seen: unknown[] = [];
  const workflow = await openTestWorkflow({
    databaseUrl: database.url,
    indexes: [
      {
        name: 'idx_orders_status',
        sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_orders_status ON orders (status)',
        description: 'orders by status',
      },
    ],
    services: 'none',
    environment: {
      services: [
        { kind: 'custom', name: 'thumbnails', function: functionArn('stop-thumbnails') },
        { kind: 'custom', name: 'workers', function: functionArn('stop-workers') },
      ],
    },
    aws: { customFunctions: functionsOf() },
    onEvent: (event: EngineEvent) => {
      if (event.type === 'StateEntered' && event.state === WINDOW.buildIndexes)
        seen.push({ reserved: fn.reserved, group: group.settings, instances: group.instances });
    },
  });
  try {
    const { cause, report } = await workflow.deploy();

    expect(cause).toBeUndefined();
    expect(report.status).toBe('succeeded');
    expect(seen).toEqual([
      {
        reserved: 0,
        group: {
          ...{ min: 0, max: 10, desired: 0 },
          suspended: ['AZRebalance', 'AlarmNotification', 'ScheduledActions'],
        },
        instances: [],
      },
    ]);
    expect({ reserved: fn.reserved, group: group.settings }).toEqual(before);
    expect(group.instances.map(({ state }) => state)).toEqual(['InService', 'InService', 'InService']);
  } finally {
    await workflow.close();
    await database.drop();
  }
});

describe('a Lambda function', () => {
  test.each([
    ['reserved concurrency', 5, ['put 0', 'put 5']],
    ['no reserved concurrency', null, ['put 0', 'delete']],
    ['reserved concurrency 0, which stays', 0, ['put 0']],
  ])('with %s: a stop and a start, each of them twice', async (_what, reserved, changes) => {
    fn.reserved = reserved;

    const checked = (await askFunction('check')) as { state: unknown };
    expect(checked).toEqual({ usable: true, state: { reserved } });
    for (let time = 0; time < 2; time++) await askFunction('stop', checked.state);
    expect(fn.reserved).toBe(0);
    expect(await askFunction('look', checked.state, LONG_AGO)).toMatchObject({ stopped: true });
    for (let time = 0; time < 2; time++) await askFunction('start', checked.state);

    expect(fn.reserved).toBe(reserved);
    expect(await askFunction('look', checked.state)).toMatchObject({ started: true });
    expect([...new Set(fn.changes)]).toEqual(changes);
  });

  test('has stopped when its longest possible invocation has ended', async () => {
    fn.timeout = 900;
    await askFunction('stop', { reserved: 5 });

    const ago = (seconds: number) => new Date(Date.now() - seconds * 1000).toISOString();
    expect(await askFunction('look', { reserved: 5 }, ago(600))).toEqual({ stopped: false, started: false });
    expect(await askFunction('look', { reserved: 5 }, ago(901))).toEqual({ stopped: true, started: false });
  });

  test('that someone else has started again keeps that concurrency', async () => {
    fn.reserved = 7;

    await askFunction('start', { reserved: 5 });

    expect(fn.reserved).toBe(7);
    expect(fn.changes).toEqual([]);
    expect(await askFunction('look', { reserved: 5 })).toEqual({ stopped: false, started: true });
  });

  test.each([
    ['does not exist', () => Object.assign(fn, { exists: false }), 'the function thumbnails does not exist'],
    [
      'has provisioned concurrency',
      () => Object.assign(fn, { provisioned: 2 }),
      'thumbnails has provisioned concurrency: remove it, or the service',
    ],
  ])('that %s cannot be stopped', async (_what, change, reason) => {
    change();

    expect(await askFunction('check')).toEqual({ usable: false, reason });
  });

  test.each(['check', 'stop', 'look', 'start'])(
    'that is throttled asks to be asked again: %s',
    async (action) => {
      fn.refusal = { error: 'TooManyRequestsException', times: 1 };
      fn.reserved = 0;

      await expect(askFunction(action, { reserved: 5 })).rejects.toMatchObject({ name: 'RetryLater' });
    },
  );

  test('fails with the error of AWS', async () => {
    fn.refusal = { error: 'AccessDeniedException', times: 1 };

    await expect(askFunction('stop', { reserved: 5 })).rejects.toMatchObject({
      name: 'AccessDeniedException',
    });
  });
});

describe('an Auto Scaling group', () => {
  const STATE = { min: 2, desired: 3, suspended: [] };

  test('a stop and a start, each of them twice', async () => {
    const before = group.settings;

    const checked = (await askGroup('check')) as { state: unknown };
    expect(checked).toEqual({ usable: true, state: STATE });
    for (let time = 0; time < 2; time++) await askGroup('stop', checked.state);
    expect(group.settings).toMatchObject({ min: 0, desired: 0 });
    expect(await askGroup('look', checked.state)).toEqual({ stopped: false, started: false });
    expect(await askGroup('look', checked.state)).toEqual({ stopped: true, started: false });
    for (let time = 0; time < 2; time++) await askGroup('start', checked.state);
    expect(group.settings).toEqual(before);

    group.instances = [];
    expect(await askGroup('look', checked.state)).toEqual({ stopped: false, started: false });
    expect(await askGroup('look', checked.state)).toEqual({ stopped: false, started: true });
  });

  test('without instances before the deploy gets none', async () => {
    Object.assign(group, { min: 0, desired: 0, instances: [] });

    const { state } = (await askGroup('check')) as { state: unknown };
    await askGroup('stop', state);
    expect(await askGroup('look', state)).toMatchObject({ stopped: true });
    await askGroup('start', state);

    expect(group.settings).toEqual({ min: 0, max: 10, desired: 0, suspended: [] });
    expect(await askGroup('look', state)).toEqual({ stopped: true, started: true });
  });

  test('keeps the desired capacity that scaling has set since its start', async () => {
    await askGroup('stop', STATE);
    await askGroup('start', STATE);
    group.desired = 6;

    await askGroup('start', STATE);

    expect(group.settings).toMatchObject({ min: 2, desired: 6 });
  });

  test('starts within a maximum that someone has lowered since then', async () => {
    await askGroup('stop', STATE);
    group.max = 1;

    await askGroup('start', STATE);

    expect(group.settings).toEqual({ min: 1, max: 1, desired: 1, suspended: [] });
  });

  test('resumes its scaling after a start that was killed in between', async () => {
    await askGroup('stop', STATE);
    Object.assign(group, { min: 2, desired: 3, changes: [] });

    await askGroup('start', STATE);

    expect(group.changes).toEqual(['ResumeProcesses']);
    expect(group.suspended).toEqual([]);
  });

  test.each([
    ['does not exist', () => Object.assign(group, { exists: false }), 'it does not exist'],
    ['is being deleted', () => Object.assign(group, { status: 'Delete in progress' }), 'it is being deleted'],
    [
      'may launch nothing',
      () => Object.assign(group, { suspended: ['Launch'] }),
      'Launch is suspended: resume it',
    ],
    [
      'has a protected instance',
      () => Object.assign(group.instances[1] ?? {}, { isProtected: true }),
      'an instance is protected from scale in, so that it would not be terminated',
    ],
    [
      'has a warm pool',
      () => Object.assign(group, { hasWarmPool: true }),
      'it has a warm pool, whose instances would stay',
    ],
  ])('that %s cannot be stopped', async (_what, change, reason) => {
    change();

    expect(await askGroup('check')).toEqual({
      usable: false,
      reason: `the Auto Scaling group workers: ${reason}`,
    });
  });

  test.each([
    ['ScalingActivityInProgress', 'stop'],
    ['ResourceContention', 'start'],
    ['Throttling', 'check'],
    ['Throttling', 'look'],
  ])('with the error %s asks to be asked again: %s', async (error, action) => {
    group.refusal = { error, times: 1 };

    await expect(askGroup(action, STATE)).rejects.toMatchObject({ name: 'RetryLater' });
  });

  test('that was deleted meanwhile is an error', async () => {
    group.exists = false;

    await expect(askGroup('look', STATE)).rejects.toThrow('The Auto Scaling group workers does not exist.');
  });
});

describe('the app', () => {
  let run: AppRun;
  beforeAll(async () => {
    run = await runApp(join(EXAMPLE, 'app.ts'));
  });
  afterAll(() => run?.dispose());

  test('is synthesised without an account', () => {
    expect([run.exitCode, run.stderr]).toEqual([0, '']);
    expect(run.stacks).toEqual(['example-custom-services']);
  });

  const FUNCTION = 'arn:aws:lambda:eu-west-1:111111111111:function:thumbnails';
  const GROUP = 'arn:aws:autoscaling:eu-west-1:111111111111:autoScalingGroup:*:autoScalingGroupName/workers';

  test.each([
    [
      'StopThumbnails',
      [
        `lambda:DeleteFunctionConcurrency on ${FUNCTION}`,
        `lambda:GetFunctionConcurrency on ${FUNCTION}`,
        `lambda:GetFunctionConfiguration on ${FUNCTION}`,
        `lambda:ListProvisionedConcurrencyConfigs on ${FUNCTION}`,
        `lambda:PutFunctionConcurrency on ${FUNCTION}`,
      ],
    ],
    [
      'StopWorkers',
      [
        'autoscaling:DescribeAutoScalingGroups on *',
        `autoscaling:ResumeProcesses on ${GROUP}`,
        `autoscaling:SuspendProcesses on ${GROUP}`,
        `autoscaling:UpdateAutoScalingGroup on ${GROUP}`,
      ],
    ],
  ])('%s may change its own resource only, and runs once at a time', (name, permissions) => {
    const template = run.template('example-custom-services');
    const named = (type: string) =>
      resourcesOfType(template, type).find(([id]) => id.startsWith(name)) ?? expect.fail(`no ${type}`);

    expect(permissionsOf(template, named('AWS::IAM::Role')[0])).toEqual(permissions);
    expect(named('AWS::Lambda::Function')[1].Properties.ReservedConcurrentExecutions).toBe(1);
  });

  test('lets two state machines invoke them, that of the start by a policy for each', () => {
    const template = run.template('example-custom-services');
    const invoked = resourcesOfType(template, 'AWS::IAM::Policy').flatMap(([id, { Properties }]) => {
      const { Statement } = Properties.PolicyDocument as {
        Statement: { Action: unknown; Resource: unknown }[];
      };
      const resources = Statement.filter(({ Action }) => Action === 'lambda:InvokeFunction').map(
        (statement) => JSON.stringify(statement.Resource),
      );
      const functions = ['StopThumbnails', 'StopWorkers'].filter((name) =>
        resources.some((resource) => resource.includes(`"Fn::GetAtt":["${name}`)),
      );
      const [machine = id] = /MaintenanceWindow|StartServices/.exec(id) ?? [];
      return functions.length === 0 ? [] : [`${machine}: ${functions.join(', ')}`];
    });

    expect(invoked.toSorted()).toEqual([
      'MaintenanceWindow: StopThumbnails, StopWorkers',
      'StartServices: StopThumbnails',
      'StartServices: StopWorkers',
    ]);
  });
});

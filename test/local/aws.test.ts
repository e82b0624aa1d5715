import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LocalAws, type LocalAwsOptions } from '../../lib/local/aws/local-aws.ts';
import type { AwsState } from '../../lib/local/aws/state-file.ts';
import { StatesRuntime } from '../../lib/local/engine/errors.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/waits.ts';

const SDK = 'arn:aws:states:::aws-sdk';
const TOPIC = 'arn:aws:sns:eu-west-1:000000000000:alerts';

let folder: string;
let stateFile: string;
let aws: LocalAws | undefined;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'pg-deploy-step-test-'));
  stateFile = path.join(folder, 'aws.json');
});
afterEach(async () => {
  await aws?.close();
  aws = undefined;
  await rm(folder, { recursive: true });
});

function open(options: Partial<LocalAwsOptions> = {}): LocalAws {
  aws = new LocalAws({ stateFile, topicArns: [TOPIC], ...options });
  return aws;
}

function call<T = Record<string, unknown>>(action: string, parameters: object): Promise<T> {
  return (aws ?? expect.fail('the local AWS is not open')).call(`${SDK}:${action}`, parameters) as Promise<T>;
}

async function savedState(): Promise<AwsState> {
  return JSON.parse(await readFile(stateFile, 'utf8'));
}

describe('Parameter Store', () => {
  const parameter = { Name: '/deploy/web', Value: '{"desiredCount":2}', Type: 'String' };

  test('puts, gets and deletes a parameter', async () => {
    open();
    expect(await call('ssm:putParameter', parameter)).toEqual({ Tier: 'Standard', Version: 1 });
    expect(await call('ssm:getParameter', { Name: parameter.Name })).toEqual({
      Parameter: {
        ...parameter,
        Arn: 'arn:aws:ssm:eu-west-1:000000000000:parameter/deploy/web',
        DataType: 'text',
        Version: 1,
        LastModifiedDate: expect.stringMatching(/Z$/),
      },
    });
    expect(await call('ssm:deleteParameter', { Name: parameter.Name })).toEqual({});
    await expect(call('ssm:getParameter', { Name: parameter.Name })).rejects.toMatchObject({
      name: 'Ssm.ParameterNotFoundException',
    });
    await expect(call('ssm:deleteParameter', { Name: parameter.Name })).rejects.toMatchObject({
      name: 'Ssm.ParameterNotFoundException',
    });
  });

  test('keeps an existing parameter unless Overwrite is set', async () => {
    open();
    await call('ssm:putParameter', { ...parameter, Overwrite: false });
    await expect(call('ssm:putParameter', { ...parameter, Value: '0' })).rejects.toMatchObject({
      name: 'Ssm.ParameterAlreadyExistsException',
    });
    expect(await call('ssm:putParameter', { ...parameter, Value: '3', Overwrite: true })).toMatchObject({
      Version: 2,
    });
  });

  test('counts versions, and returns the value of each of the latest 100', async () => {
    open();
    for (const value of ['a', 'b', 'c'])
      await call('ssm:putParameter', { ...parameter, Value: value, Overwrite: true });
    expect(await call('ssm:getParameter', { Name: parameter.Name })).toMatchObject({
      Parameter: { Value: 'c', Version: 3 },
    });
    expect(await call('ssm:getParameter', { Name: `${parameter.Name}:1` })).toMatchObject({
      Parameter: { Name: parameter.Name, Value: 'a', Version: 1, Selector: ':1' },
    });
    for (let version = 4; version <= 101; version += 1)
      await call('ssm:putParameter', { ...parameter, Overwrite: true });
    expect(await call('ssm:getParameter', { Name: `${parameter.Name}:2` })).toMatchObject({
      Parameter: { Value: 'b', Version: 2 },
    });
    await expect(call('ssm:getParameter', { Name: `${parameter.Name}:1` })).rejects.toMatchObject({
      name: 'Ssm.ParameterVersionNotFoundException',
    });
  });

  test('keeps its parameters for the next process', async () => {
    open();
    await call('ssm:putParameter', parameter);
    open();
    expect(await call('ssm:getParameter', { Name: parameter.Name })).toMatchObject({
      Parameter: { Value: parameter.Value },
    });
  });
});

describe('SNS', () => {
  const publish = (parameters: object) =>
    open().call('arn:aws:states:::sns:publish', { TopicArn: TOPIC, Message: 'text', ...parameters });

  test('stores published messages in the state file', async () => {
    expect(await publish({ Subject: 'Deploy failed', Message: { a: 1 } })).toMatchObject({
      MessageId: expect.any(String),
    });
    expect((await savedState()).sns.messages).toMatchObject([
      { TopicArn: TOPIC, Subject: 'Deploy failed', Message: '{"a":1}' },
    ]);
  });

  test.each([
    ['of 100 characters', 'x'.repeat(100)],
    ['with a line break', 'one\ntwo'],
    ['with a control character', 'one\u0007'],
    ['without characters', ''],
    ['with letters outside ASCII', 'échec'],
  ])('refuses a subject %s', async (_what, Subject) => {
    await expect(publish({ Subject })).rejects.toMatchObject({ name: 'SNS.InvalidParameterException' });
  });

  test('accepts a subject of 99 characters', async () => {
    expect(await publish({ Subject: 'x'.repeat(99) })).toHaveProperty('MessageId');
  });

  test('refuses a topic that does not exist, and an empty or too large message', async () => {
    await expect(publish({ TopicArn: `${TOPIC}2` })).rejects.toMatchObject({ name: 'SNS.NotFoundException' });
    await expect(publish({ Message: '' })).rejects.toMatchObject({ name: 'SNS.InvalidParameterException' });
    await expect(publish({ Message: 'x'.repeat(262_145) })).rejects.toMatchObject({
      name: 'SNS.InvalidParameterException',
    });
  });
});

describe('the local AWS refuses', () => {
  test('an action that it does not support', async () => {
    expect(open().supports(`${SDK}:ecs:deleteService`)).toBe(false);
    await expect(call('ecs:deleteService', {})).rejects.toThrow(
      /does not support .*deleteService\. Supported: .*putParameter/,
    );
  });

  test('an unknown or missing parameter, which the error names', async () => {
    open();
    const error = await call('ssm:getParameter', { Nmae: 'x' }).catch((caught: unknown) => caught);
    // The engine applies no Retry and no Catch to this class.
    expect(error).toBeInstanceOf(StatesRuntime);
    expect(error).toMatchObject({
      name: 'States.Runtime',
      message: expect.stringMatching(/ssm:getParameter.*Nmae/s),
    });
    await expect(call('ecs:updateService', { Cluster: 'c', DesiredCount: 1 })).rejects.toThrow(/Service/);
  });
});

test('a closed local AWS refuses calls and changes nothing', async () => {
  await open().close();
  await expect(call('ssm:putParameter', { Name: '/late', Value: '1', Type: 'String' })).rejects.toThrow(
    'The local AWS is closed',
  );
  expect((await savedState()).ssm.parameters).toEqual({});
});

test('a state file that is not JSON is refused with its name', async () => {
  await writeFile(stateFile, 'not json');
  expect(() => open()).toThrow(/aws\.json does not contain the state of a local run/);
});

describe('ECS services', () => {
  let database: TestDatabase;
  beforeEach(async () => {
    database = await createDatabase();
    await database.query('create table work (service text, at timestamptz default now())');
  });
  afterEach(async () => {
    await aws?.close();
    await database.drop();
  });

  const service = (name: string, desiredCount: number, more: object = {}) => ({
    cluster: 'demo',
    service: name,
    desiredCount,
    variables: {
      DATABASE_URL: database.url,
      WORK_SQL: "insert into work (service) values (current_setting('application_name'))",
    },
    ...more,
  });

  async function connections(name: string): Promise<number> {
    const rows = await database.query<{ n: number }>(
      'select count(*)::int as n from pg_stat_activity where datname = current_database() and application_name = $1',
      [name],
    );
    return rows[0]?.n ?? -1;
  }

  async function describeOne(name: string): Promise<Record<string, unknown>> {
    const { Services } = await call<{ Services: Record<string, unknown>[] }>('ecs:describeServices', {
      Cluster: 'demo',
      Services: [name],
    });
    return Services[0] ?? expect.fail(`no service ${name}`);
  }

  const update = (Service: string, DesiredCount: number) =>
    call('ecs:updateService', { Cluster: 'demo', Service, DesiredCount });

  test('have pending tasks until their connections are open', async () => {
    const unreachable = service('web', 2);
    unreachable.variables.DATABASE_URL = 'postgres://127.0.0.1:1/unreachable';
    open({ services: [unreachable] });
    expect(await describeOne('web')).toMatchObject({ DesiredCount: 2, RunningCount: 0, PendingCount: 2 });
  });

  test('hold connections and write rows while they run', async () => {
    open({ services: [service('web', 2), service('worker', 1)] });
    await aws?.steady();
    expect(await describeOne('web')).toMatchObject({
      ServiceArn: 'arn:aws:ecs:eu-west-1:000000000000:service/demo/web',
      ServiceName: 'web',
      ClusterArn: 'arn:aws:ecs:eu-west-1:000000000000:cluster/demo',
      Status: 'ACTIVE',
      DesiredCount: 2,
      RunningCount: 2,
      PendingCount: 0,
      SchedulingStrategy: 'REPLICA',
      Deployments: [{ Status: 'PRIMARY', RunningCount: 2 }],
    });
    expect(await connections('web')).toBe(4);
    await eventually(() => database.query('select distinct service from work order by 1')).toEqual([
      { service: 'web' },
      { service: 'worker' },
    ]);
  });

  test('close their connections at count 0 and open them again at the previous count', async () => {
    open({ services: [service('web', 2)] });
    await aws?.steady();
    expect(await update('web', 0)).toMatchObject({ Service: { DesiredCount: 0 } });
    await eventually(() => describeOne('web')).toMatchObject({ RunningCount: 0, PendingCount: 0 });
    await eventually(() => connections('web')).toBe(0);
    await update('web', 2);
    await aws?.steady();
    expect(await connections('web')).toBe(4);
  });

  test('are killed when they do not stop within the stop timeout', async () => {
    open({ services: [service('web', 1)], stopTimeoutSeconds: 0 });
    await aws?.steady();
    // A process that is suspended cannot handle SIGTERM.
    process.kill(aws?.state.ecs.services[0]?.tasks[0]?.pid ?? expect.fail('no task'), 'SIGSTOP');
    await update('web', 0);
    await eventually(() => aws?.state.ecs.services[0]?.tasks).toEqual([]);
  });

  test('replace a task that was killed', async () => {
    open({ services: [service('web', 1)] });
    await aws?.steady();
    const [task] = aws?.state.ecs.services[0]?.tasks ?? [];
    process.kill(task?.pid ?? expect.fail('no task'), 'SIGKILL');
    await eventually(() => describeOne('web')).toMatchObject({ RunningCount: 0 });
    await aws?.steady();
    expect(aws?.state.ecs.services[0]?.tasks[0]?.pid).not.toBe(task?.pid);
  });

  test('connect again after the database terminated their sessions', async () => {
    open({ services: [service('web', 1)] });
    await aws?.steady();
    await database.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'web'",
    );
    await eventually(() => connections('web')).toBe(2);
  });

  test('continue when their run is killed, and belong to the next run', async () => {
    const script = path.join(folder, 'run.ts');
    const module = path.resolve(import.meta.dirname, '../../lib/local/aws/local-aws.ts');
    await writeFile(
      script,
      `import { LocalAws } from ${JSON.stringify(module)};
       const aws = new LocalAws(${JSON.stringify({ stateFile, services: [service('web', 2)] })});
       await aws.steady();
       await aws.call('${SDK}:ssm:putParameter', { Name: '/web', Value: '2', Type: 'String' });
       process.send('ready');
       setInterval(() => {}, 1000);`,
    );
    const run = fork(script);
    await once(run, 'message');
    run.kill('SIGKILL');
    await once(run, 'exit');
    const before = (await savedState()).ecs.services[0]?.tasks.map(({ pid }) => pid);

    open({ services: [service('web', 7)] });
    expect(await describeOne('web')).toMatchObject({ DesiredCount: 2, RunningCount: 2, PendingCount: 0 });
    expect(aws?.state.ecs.services[0]?.tasks.map(({ pid }) => pid)).toEqual(before);
    await update('web', 0);
    await eventually(() => describeOne('web')).toMatchObject({ RunningCount: 0 });
  });

  test('continue or stop at the end of the run, as close() was called', async () => {
    const first = open({ services: [service('web', 1)] });
    await first.steady();
    await first.close({ tasks: 'leave' });
    expect(await connections('web')).toBe(2);
    const second = open();
    expect(await describeOne('web')).toMatchObject({ RunningCount: 1 });
    await second.close({ tasks: 'stop' });
    await eventually(() => connections('web')).toBe(0);
    expect((await savedState()).ecs.services).toMatchObject([{ desiredCount: 1, tasks: [] }]);
  });

  test('that do not exist cause the same errors as in ECS', async () => {
    open({ services: [service('web', 0), service('daemon', 0, { schedulingStrategy: 'DAEMON' })] });
    expect(await call('ecs:describeServices', { Cluster: 'demo', Services: ['web', 'gone'] })).toMatchObject({
      Services: [{ ServiceName: 'web' }],
      Failures: [{ Arn: 'arn:aws:ecs:eu-west-1:000000000000:service/demo/gone', Reason: 'MISSING' }],
    });
    await expect(update('gone', 0)).rejects.toMatchObject({ name: 'Ecs.ServiceNotFoundException' });
    await expect(call('ecs:describeServices', { Cluster: 'other', Services: ['web'] })).rejects.toMatchObject(
      {
        name: 'Ecs.ClusterNotFoundException',
      },
    );
    await expect(update('daemon', 0)).rejects.toMatchObject({ name: 'Ecs.InvalidParameterException' });
    await expect(
      call('ecs:describeServices', { Cluster: 'demo', Services: Array.from({ length: 11 }, () => 'web') }),
    ).rejects.toMatchObject({ name: 'Ecs.InvalidParameterException' });
  });

  describe('with scaling', () => {
    const target = {
      ServiceNamespace: 'ecs',
      ResourceId: 'service/demo/web',
      ScalableDimension: 'ecs:service:DesiredCount',
    };
    const suspended = (value: boolean) => ({
      DynamicScalingInSuspended: value,
      DynamicScalingOutSuspended: value,
      ScheduledScalingSuspended: value,
    });
    const register = (more: object) =>
      call('applicationautoscaling:registerScalableTarget', { ...target, ...more });

    test('return to the minimum count when scaling is not suspended', async () => {
      open({ services: [service('web', 2, { scaling: { min: 1, max: 4 } })] });
      await update('web', 0);
      await eventually(() => describeOne('web')).toMatchObject({ DesiredCount: 1 });
    });

    test('stay at 0 while scaling is suspended, and get the minimum count when the target is registered again', async () => {
      open({ services: [service('web', 2, { scaling: { min: 1, max: 4 } })] });
      expect(await register({ SuspendedState: suspended(true) })).toHaveProperty('ScalableTargetARN');
      await update('web', 0);
      await eventually(() => describeOne('web')).toMatchObject({ DesiredCount: 0, RunningCount: 0 });
      await register({ SuspendedState: suspended(true) });
      expect(await describeOne('web')).toMatchObject({ DesiredCount: 1 });
      await register({ SuspendedState: suspended(false) });
      expect(
        await call('applicationautoscaling:describeScalableTargets', {
          ServiceNamespace: 'ecs',
          ResourceIds: ['service/demo/web'],
        }),
      ).toMatchObject({
        ScalableTargets: [{ ...target, MinCapacity: 1, MaxCapacity: 4, SuspendedState: suspended(false) }],
      });
    });

    test('get the maximum count when the target is registered again', async () => {
      open({ services: [service('web', 1, { scaling: { min: 1, max: 1 } })] });
      await update('web', 2);
      await register({ SuspendedState: suspended(true) });
      expect(await describeOne('web')).toMatchObject({ DesiredCount: 1 });
    });

    test('cannot be registered without capacities, or for a service that does not exist', async () => {
      open({ services: [service('web', 0)] });
      await expect(register({})).rejects.toMatchObject({
        name: 'ApplicationAutoScaling.ValidationException',
      });
      await expect(
        register({ ResourceId: 'service/demo/gone', MinCapacity: 0, MaxCapacity: 1 }),
      ).rejects.toMatchObject({ name: 'ApplicationAutoScaling.ValidationException' });
      expect(
        await call('applicationautoscaling:describeScalableTargets', { ServiceNamespace: 'ecs' }),
      ).toEqual({ ScalableTargets: [] });
    });
  });
});

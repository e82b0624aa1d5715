import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LocalAws } from '../../lib/local/aws/local-aws.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { eventually } from '../support/waits.ts';

const RUN = 'arn:aws:states:::ecs:runTask.sync';
const TASK = { cluster: 'shop', family: 'migrate', container: 'app' };
const PARAMETERS = { Cluster: 'shop', TaskDefinition: 'migrate', Group: 'ours' };

let folder: string;
let aws: LocalAws;
let lines: string[];
let clock: ManualClock;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'pg-deploy-step-task-'));
  lines = [];
  clock = new ManualClock();
  aws = new LocalAws({
    stateFile: path.join(folder, 'aws.json'),
    tasks: [{ ...TASK, command: ['/bin/sh', '-c', 'echo $COLOUR; exit $CODE'], variables: { CODE: '0' } }],
    onTaskLine: (_task, line) => lines.push(line),
    clock,
  });
});
afterEach(async () => {
  await aws.close();
  await rm(folder, { recursive: true });
});

const call = <T>(action: string, parameters: object) =>
  aws.call(`arn:aws:states:::aws-sdk:ecs:${action}`, parameters) as Promise<T>;

const overriding = (override: object) => ({
  ...PARAMETERS,
  Overrides: { ContainerOverrides: [{ Name: 'app', ...override }] },
});

test('runTask.sync returns the description of a task that ends with exit code 0', async () => {
  const answer = await aws.call(RUN, overriding({ Environment: [{ Name: 'COLOUR', Value: 'red' }] }));

  expect(answer).toMatchObject({
    Containers: [{ Name: 'app', ExitCode: 0, LastStatus: 'STOPPED' }],
    Group: 'ours',
    StopCode: 'EssentialContainerExited',
    TaskArn: expect.stringMatching(/^arn:aws:ecs:.*:task\/shop\/[0-9a-f]{32}$/),
  });
  expect(lines).toEqual(['red']);
});

test('another exit code fails with States.TaskFailed, and the Cause is the description of the task', async () => {
  const failing = aws.call(RUN, overriding({ Environment: [{ Name: 'CODE', Value: '7' }] }));

  const error = await failing.catch((caught: Error) => caught);
  expect(error).toMatchObject({ name: 'States.TaskFailed' });
  expect(JSON.parse((error as Error).message)).toMatchObject({
    Containers: [{ Name: 'app', ExitCode: 7 }],
    StoppedReason: 'Essential container in task exited',
  });
});

/** A task whose process ignores SIGTERM. */
function startStubborn(signal?: AbortSignal): Promise<unknown> {
  const ignoresSigterm = ['/bin/sh', '-c', 'trap "" TERM; echo up; while :; do sleep 0.1; done'];
  return aws.call(RUN, overriding({ Command: ignoresSigterm }), signal).catch((caught: unknown) => caught);
}

test('the end of the execution stops a task and does not wait for it; SIGKILL comes after the stop timeout', async () => {
  const aborted = new AbortController();
  const running = startStubborn(aborted.signal);
  await eventually(() => lines).toEqual(['up']);

  aborted.abort();

  expect(await running).toMatchObject({ name: 'ExecutionAbortedError' });
  expect(aws.runningTasks).toBe(1);
  clock.advance(30);
  await eventually(() => aws.runningTasks).toBe(0);
});

test('StopTask returns at once, and the task is STOPPED only after its stop timeout', async () => {
  const running = startStubborn();
  await eventually(() => lines).toEqual(['up']);
  const list = async (DesiredStatus: string) =>
    (await call<{ TaskArns: string[] }>('listTasks', { Cluster: 'shop', DesiredStatus })).TaskArns;
  const [Task = expect.fail('no task')] = await list('RUNNING');
  const describe = async () =>
    (await call<{ Tasks: object[] }>('describeTasks', { Cluster: 'shop', Tasks: [Task] })).Tasks[0];

  await call('stopTask', { Cluster: 'shop', Task, Reason: 'of a test' });

  expect(await describe()).toMatchObject({ DesiredStatus: 'STOPPED', LastStatus: 'STOPPING' });
  expect([await list('RUNNING'), await list('STOPPED')]).toEqual([[], [Task]]);
  clock.advance(29);
  expect(await describe()).toMatchObject({ LastStatus: 'STOPPING' });
  clock.advance(1);
  expect(await running).toMatchObject({ name: 'States.TaskFailed' });
  expect(await describe()).toMatchObject({ LastStatus: 'STOPPED', StoppedReason: 'of a test' });
});

test.each<[string, object, string]>([
  ['a cluster that does not exist', { ...PARAMETERS, Cluster: 'other' }, 'ECS.ClusterNotFoundException'],
  [
    'a task definition that does not exist',
    { ...PARAMETERS, TaskDefinition: 'other' },
    'ECS.ClientException',
  ],
  [
    'a container that is not in the task definition',
    overriding({ Name: 'other' }),
    'ECS.InvalidParameterException',
  ],
  ['a parameter that the local AWS does not support', { ...PARAMETERS, Count: 2 }, 'States.Runtime'],
])('%s is refused', async (_what, parameters, name) => {
  await expect(aws.call(RUN, parameters)).rejects.toMatchObject({ name });
});

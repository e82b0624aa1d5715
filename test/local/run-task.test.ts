import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LocalAws } from '../../lib/local/aws/local-aws.ts';
import { eventually } from '../support/waits.ts';

const RUN = 'arn:aws:states:::ecs:runTask.sync';
const TASK = { cluster: 'shop', family: 'migrate', container: 'app' };
const PARAMETERS = { Cluster: 'shop', TaskDefinition: 'migrate', Group: 'ours' };

let folder: string;
let aws: LocalAws;
let lines: string[];

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'pg-deploy-step-task-'));
  lines = [];
  aws = new LocalAws({
    stateFile: path.join(folder, 'aws.json'),
    tasks: [{ ...TASK, command: ['/bin/sh', '-c', 'echo $COLOUR; exit $CODE'], variables: { CODE: '0' } }],
    onTaskLine: (_task, line) => lines.push(line),
    stopTimeoutSeconds: 1,
  });
});
afterEach(async () => {
  await aws.close();
  await rm(folder, { recursive: true });
});

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

test('a command that ignores SIGTERM is killed after the stop timeout', async () => {
  const ignoresSigterm = ['/bin/sh', '-c', 'trap "" TERM; echo up; while :; do sleep 0.1; done'];
  const aborted = new AbortController();
  const running = aws
    .call(RUN, overriding({ Command: ignoresSigterm }), aborted.signal)
    .catch((caught: Error) => caught);
  await eventually(() => lines).toEqual(['up']);

  aborted.abort();

  expect(await running).toMatchObject({ name: 'ExecutionAbortedError' });
  expect(aws.runningTasks).toBe(0);
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

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LocalAws, type LocalAwsOptions, type LocalService } from '../../lib/local/aws/local-aws.ts';
import type { ServiceState } from '../../lib/local/aws/state-file.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { eventually } from '../support/waits.ts';

/* The habits of ECS that cost time. The clock stands still until a test advances it. */

let database: TestDatabase;
let folder: string;
let clock: ManualClock;
let aws: LocalAws;

beforeEach(async () => {
  database = await createDatabase();
  folder = await mkdtemp(path.join(tmpdir(), 'pg-deploy-step-test-'));
  clock = new ManualClock();
});
afterEach(async () => {
  await aws.close();
  await rm(folder, { recursive: true });
  await database.drop();
});

async function open(service: Partial<LocalService>, options: Partial<LocalAwsOptions> = {}): Promise<void> {
  const variables = { DATABASE_URL: database.url, WORK_SQL: 'select', ...service.variables };
  aws = new LocalAws({
    stateFile: path.join(folder, 'aws.json'),
    services: [{ cluster: 'demo', service: 'web', desiredCount: 1, ...service, variables }],
    clock,
    ...options,
  });
  await aws.steady();
}

const call = <T>(action: string, parameters: object) =>
  aws.call(`arn:aws:states:::aws-sdk:ecs:${action}`, { Cluster: 'demo', ...parameters }) as Promise<T>;

const update = (parameters: object) => call('updateService', { Service: 'web', ...parameters });

type Service = { RunningCount: number; PendingCount: number; DesiredCount: number; Deployments: object[] };

async function describeService(): Promise<Service> {
  const { Services } = await call<{ Services: Service[] }>('describeServices', { Services: ['web'] });
  return Services[0] ?? expect.fail('no service');
}

async function list(DesiredStatus: string, more: object = {}) {
  return await call<{ TaskArns: string[]; NextToken?: string }>('listTasks', {
    ServiceName: 'web',
    DesiredStatus,
    ...more,
  });
}

async function statuses(): Promise<string[]> {
  const Tasks = [...(await list('RUNNING')).TaskArns, ...(await list('STOPPED')).TaskArns];
  const described = await call<{ Tasks: { LastStatus: string }[] }>('describeTasks', { Tasks });
  return described.Tasks.map(({ LastStatus }) => LastStatus);
}

const sessions = async () =>
  (
    await database.query(
      "select from pg_stat_activity where datname = current_database() and application_name = 'web'",
    )
  ).length;

const state = (): ServiceState => aws.state.ecs.services[0] ?? expect.fail('no service');

test('a task is DEACTIVATING, STOPPING, DEPROVISIONING and then STOPPED, and is in no count from the beginning', async () => {
  await open({
    deregistrationDelaySeconds: 300,
    deprovisioningSeconds: 20,
    variables: { IGNORE_SIGTERM: 'yes' },
  });
  expect(await describeService()).toMatchObject({ RunningCount: 1 });

  await update({ DesiredCount: 0 });

  expect(await describeService()).toMatchObject({ DesiredCount: 0, RunningCount: 0, PendingCount: 0 });
  expect(await statuses()).toEqual(['DEACTIVATING']);
  // It still serves.
  expect(await sessions()).toBe(2);
  clock.advance(299);
  expect(await statuses()).toEqual(['DEACTIVATING']);
  clock.advance(1);
  await eventually(statuses).toEqual(['STOPPING']);
  clock.advance(29);
  expect(await statuses()).toEqual(['STOPPING']);
  expect(await sessions()).toBe(2);
  // SIGKILL
  clock.advance(1);
  await eventually(statuses).toEqual(['DEPROVISIONING']);
  await eventually(sessions).toBe(0);
  await eventually(() => state().tasks[0]?.endedAt).toBeDefined();
  clock.advance(20);
  await eventually(statuses).toEqual(['STOPPED']);
});

test('a stopped task is shown for an hour', async () => {
  await open({});
  await update({ DesiredCount: 0 });
  await eventually(statuses).toEqual(['STOPPED']);
  const Tasks = (await list('STOPPED')).TaskArns;

  clock.advance(3601);

  await eventually(() => list('STOPPED')).toEqual({ TaskArns: [] });
  expect(await call('describeTasks', { Tasks })).toEqual({
    Failures: [{ Arn: Tasks[0], Reason: 'MISSING' }],
    Tasks: [],
  });
});

test('a task belongs to the group of its service, also in the list of another desired status', async () => {
  await open({});
  const { TaskArns } = await list('RUNNING');

  expect(await call('describeTasks', { Tasks: TaskArns })).toMatchObject({
    Tasks: [{ Group: 'service:web', DesiredStatus: 'RUNNING', LastStatus: 'RUNNING' }],
  });
  expect(await list('STOPPED')).toEqual({ TaskArns: [] });
  await expect(list('RUNNING', { ServiceName: 'other' })).rejects.toMatchObject({
    name: 'Ecs.ServiceNotFoundException',
  });
});

test('tasks are listed in pages', async () => {
  await open({ desiredCount: 0 });
  const stoppedAt = new Date(clock.now()).toISOString();
  const stopped = { pid: 0, deployment: 'd', taskDefinition: 'web:1', startedAt: stoppedAt, stoppedAt };
  state().stoppedTasks = Array.from({ length: 5 }, (_, number) => ({
    ...stopped,
    id: `${number}`,
    stoppingSince: stoppedAt,
  }));

  const first = await list('STOPPED', { MaxResults: 3 });
  const second = await list('STOPPED', { MaxResults: 3, NextToken: first.NextToken });

  expect([first.TaskArns.length, second.TaskArns.length]).toEqual([3, 2]);
  expect(new Set([...first.TaskArns, ...second.TaskArns]).size).toBe(5);
  expect(second).not.toHaveProperty('NextToken');
  await expect(list('STOPPED', { NextToken: 'mine' })).rejects.toMatchObject({
    name: 'Ecs.InvalidParameterException',
  });
  await expect(call('describeTasks', { Tasks: Array(101).fill('x') })).rejects.toMatchObject({
    name: 'Ecs.InvalidParameterException',
  });
});

test('StopTask stops a task of a service, which replaces it', async () => {
  await open({});
  const { TaskArns } = await list('RUNNING');

  await call('stopTask', { Task: TaskArns[0] });

  await eventually(() => list('STOPPED')).toEqual({ TaskArns });
  await eventually(async () => (await list('RUNNING')).TaskArns.length).toBe(1);
});

test('a task that ends by itself is replaced 2 s later, and delays no later start', async () => {
  await open({});
  const [first] = state().tasks;
  process.kill(first?.pid ?? expect.fail('no task'), 'SIGKILL');
  await eventually(() => state().stoppedTasks.map(({ id }) => id)).toEqual([first?.id]);
  expect(state().tasks).toEqual([]);

  clock.advance(2);
  await eventually(async () => (await describeService()).RunningCount).toBe(1);
  await update({ DesiredCount: 0 });
  await eventually(() => state().tasks).toEqual([]);
  await update({ DesiredCount: 1 });

  await eventually(async () => (await describeService()).RunningCount).toBe(1);
});

test('a service that is INACTIVE is described, and cannot be updated', async () => {
  await open({});
  state().status = 'INACTIVE';

  expect(await describeService()).toMatchObject({ Status: 'INACTIVE' });
  await expect(update({ DesiredCount: 0 })).rejects.toMatchObject({
    name: 'Ecs.ServiceNotActiveException',
  });
});

describe('a deployment', () => {
  test('replaces the tasks, and the old ones are deregistered when it is COMPLETED', async () => {
    await open({ deregistrationDelaySeconds: 300 });
    const before = (await list('RUNNING')).TaskArns;

    await update({ TaskDefinition: 'web:2' });

    expect(await describeService()).toMatchObject({
      Deployments: [
        { Status: 'PRIMARY', RolloutState: 'IN_PROGRESS', RunningCount: 0 },
        { Status: 'ACTIVE', RolloutState: 'COMPLETED', RunningCount: 1 },
      ],
    });
    await eventually(describeService).toMatchObject({
      RunningCount: 1,
      Deployments: [{ Status: 'PRIMARY', RolloutState: 'COMPLETED', RunningCount: 1 }],
    });
    expect((await describeService()).Deployments).toHaveLength(1);
    expect((await list('STOPPED')).TaskArns).toEqual(before);
    expect(await statuses()).toEqual(['RUNNING', 'DEACTIVATING']);
    clock.advance(300);
    await eventually(statuses).toEqual(['RUNNING', 'STOPPED']);
  });

  test('of the same task definition can be forced', async () => {
    await open({});
    await update({ ForceNewDeployment: true });
    expect((await describeService()).Deployments).toHaveLength(2);
    await eventually(async () => (await describeService()).Deployments.length).toBe(1);
  });

  test('whose tasks do not become RUNNING keeps the old tasks', async () => {
    await open({});
    state().variables.DATABASE_URL = 'postgres://127.0.0.1:1/unreachable';
    await update({ TaskDefinition: 'web:2' });
    await eventually(describeService).toMatchObject({ RunningCount: 1, PendingCount: 1 });
    expect(await describeService()).toMatchObject({
      Deployments: [{ RolloutState: 'IN_PROGRESS' }, { RunningCount: 1 }],
    });
  });

  test('that FAILED starts no tasks', async () => {
    await open({});
    const primary = state().deployments[0] ?? expect.fail('no deployment');
    await update({ DesiredCount: 0 });
    await eventually(() => state().tasks).toEqual([]);
    primary.rolloutState = 'FAILED';
    await update({ DesiredCount: 1 });
    expect(state().tasks).toEqual([]);
  });
});

test('DescribeServices can return the service as it was before a change', async () => {
  await open({ staleReads: 2 });
  await update({ DesiredCount: 0 });

  const seen = [await describeService(), await describeService(), await describeService()];

  expect(seen.map(({ DesiredCount, RunningCount }) => [DesiredCount, RunningCount])).toEqual([
    [1, 1],
    [1, 1],
    [0, 0],
  ]);
});

test('the state file of an earlier version is continued', async () => {
  await open({});
  await aws.close({ tasks: 'leave' });
  const file = path.join(folder, 'aws.json');
  const stored = JSON.parse(await readFile(file, 'utf8'));
  const fields = ['cluster', 'service', 'schedulingStrategy', 'createdAt', 'desiredCount'];
  stored.ecs.services = stored.ecs.services.map((service: ServiceState) => ({
    ...Object.fromEntries(Object.entries(service).filter(([field]) => fields.includes(field))),
    tasks: service.tasks.map(({ id, pid, startedAt }) => ({ id, pid, startedAt })),
  }));
  await writeFile(file, JSON.stringify(stored));

  aws = new LocalAws({ stateFile: file });

  expect(await describeService()).toMatchObject({ RunningCount: 1, Deployments: [{ RunningCount: 1 }] });
});

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { LocalService } from '../../lib/local/aws/local-aws.ts';
import type { ServiceState } from '../../lib/local/aws/state-file.ts';
import { localDemoServices } from '../../lib/local/demo-services.ts';
import type { EngineEvent } from '../../lib/local/engine.ts';
import { DEPLOY, ECS, MIGRATIONS, WINDOW } from '../../lib/workflow/state-names.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { readServices } from '../support/service-kinds.ts';
import { eventually } from '../support/waits.ts';
import { openTestWorkflow, type TestWorkflow, type TestWorkflowOptions } from '../support/workflow.ts';

/*
 * When a service has stopped. The clock of the local ECS stands still until a test advances it, and the workflow polls every
 * second.
 */

const UP = { processes: { api: 2, worker: 1 }, desired: { api: 2, worker: 1 }, withSavedState: [] };
/** Records which sessions of the services exist when the migrations run. */
const WITNESS = `create table witness as
  select application_name::text as service from pg_stat_activity
  where application_name in ('api', 'worker') and datname = current_database();`;

let database: TestDatabase;
let clock: ManualClock;
let opened: TestWorkflow | undefined;
let onState: (state: string, event: EngineEvent) => void;

beforeEach(async () => {
  database = await createDatabase();
  await database.query('create table orders (id int primary key, status text)');
  clock = new ManualClock();
  onState = () => {};
});

afterEach(async () => {
  for (const { pid } of opened?.workflow.aws.state.ecs.services.flatMap(({ tasks }) => tasks) ?? []) {
    try {
      // Some of them ignore SIGTERM.
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has already ended.
    }
  }
  await opened?.close();
  opened = undefined;
  await database.drop();
});

/** Opens the workflow with the demo's services. `more` adds to the api. */
async function open(
  more: Partial<LocalService> = {},
  options: Partial<TestWorkflowOptions> = {},
): Promise<TestWorkflow> {
  const [api, worker] = localDemoServices(database.url);
  if (api === undefined || worker === undefined) throw new Error('The demo has two services.');
  const variables = { ...api.variables, ...more.variables };
  opened = await openTestWorkflow({
    databaseUrl: database.url,
    indexes: [],
    migrations: { '0001_witness': WITNESS },
    aws: { clock, services: [{ ...api, ...more, variables }, worker] },
    onEvent: (event) => {
      if (event.type === 'StateEntered') onState(event.state ?? '', event);
    },
    ...options,
    // Far longer than the services need, also on a busy machine.
    environment: { stopMinutes: 10, startMinutes: 5, ...options.environment },
  });
  return opened;
}

const serviceOf = (workflow: TestWorkflow, name: string): ServiceState =>
  workflow.workflow.aws.state.ecs.services.find(({ service }) => service === name) ??
  expect.fail(`no service ${name}`);

const update = (workflow: TestWorkflow, Service: string, parameters: object) =>
  workflow.workflow.aws.call('arn:aws:states:::aws-sdk:ecs:updateService', {
    Cluster: 'demo',
    Service,
    ...parameters,
  });

const entered = (workflow: TestWorkflow, state: string) =>
  workflow.events.filter((event) => event.type === 'StateEntered' && event.state === state);

const witness = () => database.query('select service, count(*)::int as sessions from witness group by 1');

/** The states in which the workflow waits for a service to stop. */
const WAITS: readonly string[] = [ECS.stopped.wait, ECS.stopping?.wait];

describe('migrations run only when every task of every service is STOPPED', () => {
  test('a load balancer deregisters the tasks for 300 s, and their processes ignore SIGTERM', async () => {
    const workflow = await open({
      deregistrationDelaySeconds: 300,
      deprovisioningSeconds: 20,
      variables: { IGNORE_SIGTERM: 'yes' },
    });
    const { IGNORE_SIGTERM: _, ...variables } = serviceOf(workflow, 'api').variables;
    onState = (state) => {
      if (WAITS.includes(state)) clock.advance(30);
      // The tasks that are started later end with the test.
      if (state === MIGRATIONS.run) serviceOf(workflow, 'api').variables = variables;
    };
    const before = readServices(workflow);

    const { report } = await workflow.deploy();

    expect(await witness()).toEqual([]);
    expect(report.status).toBe('succeeded');
    expect(readServices(workflow)).toEqual(before);
  });

  test('a deployment has ended, and its old tasks are still being deregistered', async () => {
    const workflow = await open({ deregistrationDelaySeconds: 300 });
    await update(workflow, 'api', { TaskDefinition: 'api:2' });
    await eventually(() => serviceOf(workflow, 'api').deployments.length).toBe(1);
    onState = (state) => {
      if (WAITS.includes(state)) clock.advance(60);
    };

    await workflow.deploy();

    expect(await witness()).toEqual([]);
    expect(serviceOf(workflow, 'api').stoppedTasks.map(({ taskDefinition }) => taskDefinition)).toEqual(
      expect.arrayContaining(['api:1', 'api:1', 'api:2', 'api:2']),
    );
  });

  test('the task that has not stopped is on the last of several pages', async () => {
    const workflow = await open({ deregistrationDelaySeconds: 300 });
    const longAgo = new Date(clock.now() - 1_000_000).toISOString();
    serviceOf(workflow, 'api').stoppedTasks = Array.from({ length: 50 }, (_, number) => ({
      ...{ id: `${number}`, pid: 0, deployment: 'ecs-svc/api', taskDefinition: 'api:1' },
      ...{ startedAt: longAgo, stoppingSince: longAgo, stoppedAt: longAgo },
    }));
    onState = (state) => {
      if (WAITS.includes(state)) clock.advance(150);
    };

    const { report } = await workflow.deploy();

    expect(report.status).toBe('succeeded');
    expect(await witness()).toEqual([]);
    const described = entered(workflow, ECS.stopping.describe);
    const tasks = described.map(
      ({ input }) => (input as { page: { TaskArns: string[] } }).page.TaskArns.length,
    );
    expect(Math.max(...tasks)).toBe(20);
    expect(tasks).toContain(12);
  });

  test('DescribeServices still returns the service as it was before the stop', async () => {
    const workflow = await open({ staleReads: 2 });

    const { report } = await workflow.deploy();

    expect(report.status).toBe('succeeded');
    expect(await witness()).toEqual([]);
  });

  test('a task that appears after the others were listed is waited for', async () => {
    const workflow = await open({ deprovisioningSeconds: 60 });
    let left: number | undefined;
    onState = (state) => {
      const service = serviceOf(workflow, 'api');
      const [task] = service.tasks;
      if (state === MIGRATIONS.run) left = service.tasks.length;
      if (!WAITS.includes(state)) return;
      clock.advance(30);
      const isListed =
        service.tasks.length === 2 && service.tasks.every(({ endedAt }) => endedAt !== undefined);
      if (task === undefined || !isListed) return;
      const { id: _1, stoppingSince: _2, signalledAt: _3, endedAt: _4, ...late } = task;
      service.tasks.push({ ...late, id: 'late', pid: 0, startedAt: new Date(clock.now()).toISOString() });
    };

    const { report } = await workflow.deploy();

    expect(report.status).toBe('succeeded');
    expect(left).toBe(0);
    expect(serviceOf(workflow, 'api').stoppedTasks.map(({ id }) => id)).toContain('late');
  });
});

test('a service that does not stop within stopMinutes is named with the statuses of its tasks', async () => {
  // The worker stops in this time, also on a busy machine.
  const workflow = await open({ deregistrationDelaySeconds: 300 }, { environment: { stopMinutes: 0.25 } });

  const { status, cause } = await workflow.deploy();

  expect(status).toBe('FAILED');
  expect(cause).toContain('Services did not stop in time: api (tasks in DEACTIVATING). No migration ran');
  expect(readServices(workflow)).toMatchObject({ desired: UP.desired, withSavedState: [] });
});

describe('a service that cannot be stopped is named, and the others are started', () => {
  const remove = (workflow: TestWorkflow, names: readonly string[]) => {
    const { services } = workflow.workflow.aws.state.ecs;
    for (const name of names) {
      for (const { pid } of serviceOf(workflow, name).tasks) process.kill(pid, 'SIGKILL');
      services.splice(services.indexOf(serviceOf(workflow, name)), 1);
    }
  };
  const deleteApi = (workflow: TestWorkflow) => remove(workflow, ['api']);

  test.each([
    [
      'deleted before it is stopped',
      ECS.stop,
      deleteApi,
      'api: Ecs.ServiceNotFoundException: Service not found.',
    ],
    [
      'deleted, and still described as INACTIVE',
      ECS.stop,
      (workflow: TestWorkflow) => void Object.assign(serviceOf(workflow, 'api'), { status: 'INACTIVE' }),
      'api: Ecs.ServiceNotActiveException: Service was not ACTIVE.',
    ],
    [
      'deleted while its tasks stop',
      ECS.stopping.wait,
      deleteApi,
      'api: ServiceNotFound: the ECS service api does not exist in the cluster demo, or was deleted.',
    ],
    [
      'deleted with its cluster',
      ECS.shouldSuspendScaling,
      (workflow: TestWorkflow) => remove(workflow, ['api', 'worker']),
      'worker: Ecs.ClusterNotFoundException: Cluster not found.',
    ],
  ])('%s', async (_what, at, change, reason) => {
    const workflow = await open({ deregistrationDelaySeconds: 300 });
    let isChanged = false;
    onState = (state) => {
      if (state === at && !isChanged) {
        isChanged = true;
        change(workflow);
      }
      if (WAITS.includes(state)) clock.advance(100);
    };

    const { status, cause, report } = await workflow.deploy();

    expect(status).toBe('FAILED');
    expect(cause).toContain('Services could not be stopped: ');
    expect(cause).toContain(`${reason} No migration ran and no index was built. If a service was deleted`);
    expect(entered(workflow, WINDOW.verdicts.servicesNotStopped)).toHaveLength(1);
    expect(report.migrations.applied).toEqual([]);
    expect(workflow.alerts.at(-1)?.Message).toContain(reason);
    const left = workflow.workflow.aws.state.ecs.services.filter((one) => one.status !== 'INACTIVE');
    for (const { service, desiredCount } of left)
      expect([service, desiredCount]).toEqual([service, UP.desired[service as 'api' | 'worker']]);
    expect(report.services.find(({ name }) => name === 'api')).toMatchObject({ status: 'failed' });
  });

  test('a cluster that does not exist is refused, and nothing was stopped or changed', async () => {
    const workflow = await open();
    remove(workflow, ['api', 'worker']);

    const { cause } = await workflow.deploy();

    expect(cause).toContain('nothing was stopped or changed. api, worker: the ECS service does not exist');
    expect(entered(workflow, ECS.stop)).toEqual([]);
  });
});

describe('scaling', () => {
  test('that an earlier deploy suspended is not registered again, so no task of a service at 0 starts', async () => {
    const workflow = await open();
    const { execution, ended } = workflow.workflow.start({});
    onState = (state) => {
      if (state === MIGRATIONS.run) execution.abort();
    };
    await ended;
    await workflow.workflow.lambdas.idle();
    await eventually(() => serviceOf(workflow, 'api').tasks).toEqual([]);
    const known = serviceOf(workflow, 'api').stoppedTasks.length;
    workflow.events.length = 0;
    const started: string[] = [];
    onState = (state) => {
      const { tasks, stoppedTasks } = serviceOf(workflow, 'api');
      if (entered(workflow, DEPLOY.startServices).length === 0 && tasks.length + stoppedTasks.length > known)
        started.push(state);
    };

    // The function of the first deploy has applied the migration, so nothing is pending.
    const { report } = await workflow.deploy({ force: true });

    expect(started).toEqual([]);
    expect(entered(workflow, ECS.stop)).toHaveLength(2);
    expect(entered(workflow, ECS.suspendScaling)).toEqual([]);
    expect(report.status).toBe('succeeded');
    expect(readServices(workflow)).toMatchObject(UP);
  });

  test('of a service at 0, whose minimum capacity is above 0, is not registered, so no task starts', async () => {
    const workflow = await open();
    // Otherwise the local scaling raises the count as well.
    Object.assign(workflow.workflow.aws.state.scaling.targets[0]?.SuspendedState ?? {}, {
      DynamicScalingOutSuspended: true,
    });
    await update(workflow, 'api', { DesiredCount: 0 });
    await eventually(() => serviceOf(workflow, 'api').tasks).toEqual([]);
    const known = serviceOf(workflow, 'api').stoppedTasks.length;
    const before = readServices(workflow);

    const { report } = await workflow.deploy();

    expect(report.status).toBe('succeeded');
    expect(serviceOf(workflow, 'api').stoppedTasks).toHaveLength(known);
    expect(readServices(workflow)).toEqual(before);
    expect(entered(workflow, ECS.stop)).toHaveLength(2);
  });

  test('that is suspended in part is suspended completely', async () => {
    const workflow = await open();
    const target = workflow.workflow.aws.state.scaling.targets[0];
    Object.assign(target?.SuspendedState ?? {}, { ScheduledScalingSuspended: true });

    await workflow.deploy();

    expect(entered(workflow, ECS.suspendScaling)).toHaveLength(1);
  });
});

describe('a service in the middle of an ECS deployment', () => {
  const deploying = async (workflow: TestWorkflow) => {
    const service = serviceOf(workflow, 'worker');
    // The new task does not become RUNNING.
    service.variables.DATABASE_URL = 'postgres://127.0.0.1:1/unreachable';
    await update(workflow, 'worker', { TaskDefinition: 'worker:2' });
  };

  test('is not stopped: the deploy waits until the deployment has ended', async () => {
    const workflow = await open({}, { environment: { deploymentMinutes: 10 } });
    await deploying(workflow);
    let waits = 0;
    onState = (state) => {
      if (state !== ECS.waitForDeployment) return;
      waits += 1;
      // A task that the service starts from now on becomes RUNNING.
      if (waits === 2) {
        const service = serviceOf(workflow, 'worker');
        service.variables.DATABASE_URL = database.url;
        for (const { pid, taskDefinition } of service.tasks)
          if (taskDefinition === 'worker:2') process.kill(pid, 'SIGKILL');
      }
      clock.advance(60);
    };
    const countsAtStop: unknown[] = [];
    const observe = onState;
    onState = (state, event) => {
      observe(state, event);
      if (state === ECS.stop) countsAtStop.push(serviceOf(workflow, 'worker').deployments.length);
    };

    const { report, cause } = await workflow.deploy();

    expect(cause).toBeUndefined();
    expect(waits).toBeGreaterThan(1);
    expect(countsAtStop).toEqual([1, 1]);
    expect(report.status).toBe('succeeded');
    // All services are checked again after the wait.
    expect(entered(workflow, WINDOW.checkServices).length).toBeGreaterThan(1);
    expect(readServices(workflow)).toMatchObject(UP);
  });

  test('is refused after deploymentMinutes, and nothing was stopped or changed', async () => {
    const workflow = await open({}, { environment: { deploymentMinutes: 0.05 } });
    await deploying(workflow);

    const { status, cause } = await workflow.deploy();

    expect(status).toBe('FAILED');
    expect(cause).toContain('Services cannot be stopped, so nothing was stopped or changed.');
    expect(cause).toContain('worker: it is in the middle of an ECS deployment');
    expect(entered(workflow, ECS.waitForDeployment)).toHaveLength(1);
    expect(entered(workflow, ECS.stop)).toEqual([]);
    expect(readServices(workflow)).toMatchObject({ desired: UP.desired, withSavedState: [] });
  });

  test('is refused at once with deploymentMinutes 0', async () => {
    const workflow = await open({}, { environment: { deploymentMinutes: 0 } });
    await deploying(workflow);

    const { cause } = await workflow.deploy();

    expect(cause).toContain('worker: it is in the middle of an ECS deployment');
    expect(entered(workflow, ECS.waitForDeployment)).toEqual([]);
  });

  test('that failed is refused, because ECS would not start its tasks again', async () => {
    const workflow = await open();
    const [deployment] = serviceOf(workflow, 'worker').deployments;
    Object.assign(deployment ?? {}, { rolloutState: 'FAILED' });

    const { cause } = await workflow.deploy();

    expect(cause).toContain('worker: its last ECS deployment failed');
    expect(entered(workflow, ECS.stop)).toEqual([]);
  });
});

describe('a desired count that someone else raises in the maintenance window', () => {
  const INDEX = {
    name: 'idx_orders_status',
    sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_orders_status ON orders (status)',
    description: 'orders by status',
  };

  test.each([
    ['while its tasks stop', 'api', ECS.stopping?.wait, []],
    ['while other services stop', 'worker', ECS.stopping?.wait, []],
    ['after all services have stopped', 'worker', WINDOW.summarizeStopped, []],
    ['while the migrations run', 'worker', MIGRATIONS.run, ['0001_witness']],
    ['while the indexes are built', 'worker', WINDOW.buildIndexes, ['0001_witness']],
  ])('ends it with a verdict of its own: %s', async (_when, name, at, applied) => {
    const workflow = await open({ deregistrationDelaySeconds: 300 }, { indexes: [INDEX] });
    let isRaised = false;
    onState = (state) => {
      if (state === at && !isRaised) {
        isRaised = true;
        void update(workflow, name, { DesiredCount: 3 });
      }
      if (WAITS.includes(state)) clock.advance(100);
    };

    const { status, cause, report } = await workflow.deploy();

    expect(status).toBe('FAILED');
    expect(cause).toContain(
      `Someone else started services during the maintenance window: ${name} (desired count 3).`,
    );
    expect(entered(workflow, WINDOW.verdicts.servicesStartedByOthers)).toHaveLength(1);
    expect(report.migrations.applied).toEqual(applied);
    expect(readServices(workflow)).toMatchObject({ desired: UP.desired, withSavedState: [] });
    expect(workflow.alerts.at(-1)?.Message).toContain(`${name} (desired count 3)`);
  });
});

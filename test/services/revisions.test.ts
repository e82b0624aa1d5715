import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { TaskError } from '../../lib/local/engine/errors.ts';
import { localArn } from '../../lib/local/local-arns.ts';
import { DEPLOY, ECS, START_SERVICES, WINDOW } from '../../lib/workflow/state-names.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { ALL_KINDS, ALL_KINDS_IN_AWS, readServices } from '../support/service-kinds.ts';
import { openTestWorkflow, type TestWorkflow, type TestWorkflowOptions } from '../support/workflow.ts';

/*
 * A deploy whose input names revisions: `{"taskDefinitions": {"api": "api:2"}}`. The services come back on these after a success, and
 * on the ones that they had after any failure.
 */

const ORDERS = {
  name: 'idx_orders_status',
  sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_orders_status ON orders (status)',
  critical: true,
  description: 'orders by status',
};
const TO_2 = { taskDefinitions: { api: 'api:2', worker: 'worker:2' } };
const UP = { api: 2, worker: 1 };

let database: TestDatabase;
let opened: TestWorkflow | undefined;
let onState: (state: string) => void;

beforeEach(async () => {
  database = await createDatabase();
  await database.query(
    "create table orders (id int primary key, status text); insert into orders values (1, 'new')",
  );
  onState = () => {};
});

afterEach(async () => {
  await opened?.close();
  opened = undefined;
  await database.drop();
});

async function open(options: Partial<TestWorkflowOptions> = {}): Promise<TestWorkflow> {
  opened = await openTestWorkflow({
    databaseUrl: database.url,
    indexes: [ORDERS],
    migrations: { '0001_total': 'alter table orders add column total numeric;' },
    onEvent: ({ type, state }) => {
      if (type === 'StateEntered') onState(state ?? '');
    },
    aws: ALL_KINDS_IN_AWS,
    ...options,
    environment: { services: ALL_KINDS, ...options.environment },
  });
  return opened;
}

const update = (workflow: TestWorkflow, Service: string, change: object) =>
  workflow.workflow.aws.call('arn:aws:states:::aws-sdk:ecs:updateService', {
    ...{ Cluster: 'demo', Service },
    ...change,
  });

const serviceOf = (workflow: TestWorkflow, name: string) =>
  workflow.workflow.aws.state.ecs.services.find(({ service }) => service === name) ??
  expect.fail(`There is no service ${name}.`);

/** The revision of the service, and of its running tasks. */
const revisionsOf = (workflow: TestWorkflow) =>
  Object.fromEntries(
    ['api', 'worker'].map((name) => {
      const { deployments, tasks } = serviceOf(workflow, name);
      const running = tasks.filter(({ stoppingSince }) => stoppingSince === undefined);
      return [
        name,
        [...new Set([deployments[0]?.taskDefinition, ...running.map((task) => task.taskDefinition)])].join(),
      ];
    }),
  );

/** The ids of the deployments that services have had during a run, as ECS has made them. */
function watchDeployments(workflow: TestWorkflow): Record<string, Set<string>> {
  const seen: Record<string, Set<string>> = { api: new Set(), worker: new Set() };
  onState = () => {
    for (const [name, ids] of Object.entries(seen))
      for (const { id } of serviceOf(workflow, name).deployments) ids.add(id);
  };
  return seen;
}

const entered = (workflow: TestWorkflow, state: string) =>
  workflow.events.filter((event) => event.type === 'StateEntered' && event.state === state);

const revisionsIn = ({ services }: { services: { name: string; revision?: unknown }[] }) =>
  Object.fromEntries(
    services.flatMap(({ name, revision }) => (revision === undefined ? [] : [[name, revision]])),
  );

describe('a deploy that succeeds', () => {
  test('makes exactly one new deployment of each service, on the new revision, and reports old and new', async () => {
    const workflow = await open();
    const before = readServices(workflow);
    const seen = watchDeployments(workflow);

    const { status, report } = await workflow.deploy(TO_2);

    expect(status).toBe('SUCCEEDED');
    await workflow.workflow.aws.steady();
    expect(readServices(workflow)).toEqual(before);
    expect(revisionsOf(workflow)).toEqual({ api: 'api:2', worker: 'worker:2' });
    expect(Object.values(seen).map(({ size }) => size)).toEqual([2, 2]);
    expect(revisionsIn(report)).toEqual({
      api: { from: 'api:1', to: 'api:2' },
      worker: { from: 'worker:1', to: 'worker:2' },
    });
    expect(report.warnings).toEqual([]);
    // The count and the revision are set by one call.
    expect(entered(workflow, ECS.onRevision.start)).toHaveLength(2);
    expect(entered(workflow, ECS.start)).toHaveLength(0);
  });

  test('changes only the services that its input names', async () => {
    const workflow = await open();

    const { report } = await workflow.deploy({ taskDefinitions: { worker: 'worker:2' } });

    expect(revisionsOf(workflow)).toEqual({ api: 'api:1', worker: 'worker:2' });
    expect(revisionsIn(report)).toEqual({ worker: { from: 'worker:1', to: 'worker:2' } });
    expect(entered(workflow, ECS.revision.describe)).toHaveLength(1);
  });
});

describe('after a failure the services come back on the revision that they had', () => {
  test.each([
    ['a migration', { '0001_total': 'alter table missing add column total numeric;' }, ORDERS],
    [
      'a critical index',
      { '0001_total': 'select 1;' },
      { ...ORDERS, sql: ORDERS.sql.replace('(status)', '((1 / (id - id)))') },
    ],
  ])('of %s', async (_, migrations, index) => {
    const workflow = await open({
      migrations,
      indexes: [index],
      environment: { onCriticalFailure: 'start' },
    });
    const before = readServices(workflow);
    const seen = watchDeployments(workflow);

    const { status, report } = await workflow.deploy(TO_2);

    expect(status).toBe('FAILED');
    expect(readServices(workflow)).toEqual(before);
    expect(revisionsOf(workflow)).toEqual({ api: 'api:1', worker: 'worker:1' });
    expect(Object.values(seen).map(({ size }) => size)).toEqual([1, 1]);
    expect(revisionsIn(report)).toEqual({
      api: { from: 'api:1', to: 'api:1', requested: 'api:2' },
      worker: { from: 'worker:1', to: 'worker:1', requested: 'worker:2' },
    });
    const message = workflow.alerts.at(-1)?.Message ?? '';
    expect(message).toContain('Revisions: api still api:1 (requested: api:2)');
  });

  test('of a critical index that leaves them stopped, when someone starts them', async () => {
    const sql = ORDERS.sql.replace('(status)', '((1 / (id - id)))');
    const workflow = await open({ indexes: [{ ...ORDERS, sql }], migrations: { '0001_total': 'select 1;' } });
    const before = readServices(workflow);

    const { status } = await workflow.deploy(TO_2);
    expect(status).toBe('FAILED');
    expect(readServices(workflow)).toMatchObject({ processes: { api: 0, worker: 0 } });
    const started = await workflow.deploy({ mode: 'start-services' });

    expect(started.status).toBe('SUCCEEDED');
    expect(readServices(workflow)).toEqual(before);
    expect(revisionsOf(workflow)).toEqual({ api: 'api:1', worker: 'worker:1' });
  });

  test.each([
    [
      'because someone else starts one in the window',
      WINDOW.stillStopped.beforeMigrations.check,
      'Someone else started services during the maintenance window: worker',
    ],
    [
      'because someone else starts one at the end of the window',
      WINDOW.stillStopped.afterBuilds.check,
      'Someone else started services during the maintenance window: worker',
    ],
  ])('%s', async (_, when, problem) => {
    const workflow = await open();
    const before = readServices(workflow);
    onState = (state) => {
      if (state === when) void update(workflow, 'worker', { DesiredCount: 1 });
    };

    const { status, cause } = await workflow.deploy(TO_2);

    expect(status).toBe('FAILED');
    expect(cause).toContain(problem);
    expect(readServices(workflow)).toEqual(before);
    expect(revisionsOf(workflow)).toEqual({ api: 'api:1', worker: 'worker:1' });
  });

  test('of a stop, for services that had stopped before', async () => {
    const workflow = await open({
      refuse: (resource, parameters) =>
        resource.endsWith(':updateService') && JSON.stringify(parameters).match(/worker.*"DesiredCount":0/)
          ? new TaskError('Ecs.AccessDeniedException', 'not authorized to perform ecs:UpdateService')
          : undefined,
    });
    const before = readServices(workflow);

    const { status, cause } = await workflow.deploy(TO_2);

    expect(status).toBe('FAILED');
    expect(cause).toContain('not authorized to perform ecs:UpdateService');
    expect(readServices(workflow)).toEqual(before);
    expect(revisionsOf(workflow)).toEqual({ api: 'api:1', worker: 'worker:1' });
  });

  test('of a deploy that was killed before its window had ended', async () => {
    const workflow = await open();
    const before = readServices(workflow);
    const { execution, ended } = workflow.workflow.start(TO_2, 'killed');
    onState = (state) => {
      if (state === WINDOW.verdicts.complete) execution.abort();
    };
    await ended;

    await workflow.workflow.recover({ reason: 'deploy-ended', deploy: 'killed', status: 'ABORTED' });

    expect(readServices(workflow)).toEqual(before);
    expect(revisionsOf(workflow)).toEqual({ api: 'api:1', worker: 'worker:1' });
  });

  test('of the record of the end of the window, and the deploy fails', async () => {
    const workflow = await open({
      refuse: (resource, parameters) =>
        resource.endsWith(':putParameter') && JSON.stringify(parameters).includes('/completed')
          ? new TaskError('Ssm.ParameterLimitExceededException', 'too many parameters')
          : undefined,
    });

    const { status, cause } = await workflow.deploy(TO_2);

    expect(status).toBe('FAILED');
    expect(cause).toContain('The services were started on the revisions that they had');
    expect(workflow.alerts.at(-1)?.Message).toContain(
      'start the deploy again with the input {"taskDefinitions":{"api":"api:2","worker":"worker:2"}}',
    );
    expect(revisionsOf(workflow)).toEqual({ api: 'api:1', worker: 'worker:1' });
    expect(readServices(workflow)).toMatchObject({ processes: UP, withSavedState: [] });
  });
});

describe('the recovery', () => {
  test('starts the services on the new revisions after a kill that follows the window', async () => {
    const workflow = await open();
    const before = readServices(workflow);
    const seen = watchDeployments(workflow);
    const watch = onState;
    const { execution, ended } = workflow.workflow.start(TO_2, 'killed');
    onState = (state) => {
      watch(state);
      if (state === START_SERVICES.startOnRequest) execution.abort();
    };
    await ended;
    expect(readServices(workflow)).toMatchObject({ processes: { api: 0, worker: 0 } });

    await workflow.workflow.recover({ reason: 'deploy-ended', deploy: 'killed', status: 'ABORTED' });

    expect(readServices(workflow)).toEqual(before);
    expect(revisionsOf(workflow)).toEqual({ api: 'api:2', worker: 'worker:2' });
    expect(Object.values(seen).map(({ size }) => size)).toEqual([2, 2]);
  });

  test('of an earlier deploy does not decide for a later one without revisions', async () => {
    const workflow = await open();
    const { execution, ended } = workflow.workflow.start(TO_2, 'killed');
    onState = (state) => {
      if (state === WINDOW.verdicts.complete) execution.abort();
    };
    await ended;
    onState = () => {};

    const { status, report } = await workflow.deploy({ force: true });

    expect(status).toBe('SUCCEEDED');
    expect(revisionsOf(workflow)).toEqual({ api: 'api:1', worker: 'worker:1' });
    expect(revisionsIn(report)).toEqual({});
    expect(readServices(workflow)).toMatchObject({ processes: UP, withSavedState: [] });
  });
});

describe('a revision that the service cannot have is refused before anything is stopped', () => {
  test.each([
    ['does not exist', 'api:9', () => {}, 'its revision api:9 in "taskDefinitions" does not exist'],
    [
      'was deregistered',
      'api:3',
      ({ workflow }: TestWorkflow) => {
        const found = workflow.aws.state.ecs.taskDefinitions.find(
          ({ family, revision }) => family === 'api' && revision === 3,
        );
        if (found !== undefined) found.status = 'INACTIVE';
      },
      'its revision api:3 in "taskDefinitions" was deregistered',
    ],
    [
      'is of another family',
      'worker:2',
      () => {},
      'its revision worker:2 in "taskDefinitions" is of another family',
    ],
    [
      'has another role',
      'api:2',
      ({ workflow }: TestWorkflow) => {
        const found = workflow.aws.state.ecs.taskDefinitions.find(
          ({ family, revision }) => family === 'api' && revision === 2,
        );
        if (found !== undefined) found.taskRoleArn = 'arn:aws:iam::000000000000:role/other';
      },
      'its revision api:2 in "taskDefinitions" has other roles than "roles" of its entry',
    ],
    [
      'is one that another controller deploys',
      'api:2',
      (workflow: TestWorkflow) => {
        serviceOf(workflow, 'api').deploymentController = 'CODE_DEPLOY';
      },
      'another controller than ECS makes its deployments, such as CodeDeploy, so it cannot get the revision api:2',
    ],
  ])('because it %s', async (_, api, prepare, reason) => {
    const workflow = await open();
    prepare(workflow);
    const before = readServices(workflow);

    const { status, cause } = await workflow.deploy({ taskDefinitions: { api } });

    expect(status).toBe('FAILED');
    expect(cause).toContain('Services cannot be stopped, so nothing was stopped or changed.');
    expect(cause).toContain(reason);
    expect(readServices(workflow)).toEqual(before);
    expect(serviceOf(workflow, 'api').stoppedTasks).toEqual([]);
  });

  test.each([
    [
      { web: 'web:2' },
      'no ECS service with "roles" in the configuration is named "web". Valid names: api, worker.',
    ],
    [{ nightly: 'nightly:2' }, 'Valid names: api, worker.'],
    [{ api: 'api' }, 'taskDefinitions must be like {"api": "api:42"}: names of services and FAMILY:REVISION'],
    [{ api: 'arn:aws:ecs:eu-west-1:000000000000:task-definition/api:2' }, 'FAMILY:REVISION'],
    [['api:2'], 'is named "0"'],
    ['api:2', 'taskDefinitions must be like'],
  ])('by the input %j', async (taskDefinitions, problem) => {
    const workflow = await open();

    const { status, cause } = await workflow.deploy({ taskDefinitions });

    expect(status).toBe('FAILED');
    expect(cause).toContain(problem);
    expect(readServices(workflow)).toMatchObject({ processes: UP, withSavedState: [] });
  });

  test('in a mode that stops no services', async () => {
    const workflow = await open();

    const { cause } = await workflow.deploy({ mode: 'indexes', ...TO_2 });

    expect(cause).toContain('taskDefinitions must be missing with the mode indexes, which stops no services');
  });
});

describe('a revision that does not stay', () => {
  test('because ECS rolls the deployment back fails the deploy, whose services run', async () => {
    const workflow = await open();
    onState = (state) => {
      if (state !== ECS.checkStarting) return;
      const { deployments } = serviceOf(workflow, 'worker');
      if (deployments[0]?.taskDefinition === 'worker:2')
        void update(workflow, 'worker', { TaskDefinition: 'worker:1' });
    };

    const { status, cause, report } = await workflow.deploy(TO_2);

    expect(status).toBe('FAILED');
    expect(cause).toContain(
      'not on the requested revision: worker (worker:1 instead of worker:2). ECS has rolled',
    );
    expect(readServices(workflow)).toMatchObject({ processes: UP, withSavedState: [] });
    expect(revisionsIn(report)).toEqual({
      api: { from: 'api:1', to: 'api:2' },
      worker: { from: 'worker:1', to: 'worker:1', requested: 'worker:2' },
    });
  });

  test('because it cannot be set any more fails the deploy, and the service starts on the one that it had', async () => {
    const workflow = await open({
      refuse: (resource, parameters) =>
        resource.endsWith(':updateService') && JSON.stringify(parameters).includes('task-definition/worker:2')
          ? new TaskError('Ecs.ClientException', 'TaskDefinition is inactive')
          : undefined,
    });

    const { status, cause } = await workflow.deploy(TO_2);

    expect(status).toBe('FAILED');
    expect(cause).toContain(
      'worker (worker:1 instead of worker:2). Ecs.ClientException: TaskDefinition is inactive.',
    );
    expect(readServices(workflow)).toMatchObject({ processes: UP, withSavedState: [] });
    expect(revisionsOf(workflow)).toEqual({ api: 'api:2', worker: 'worker:1' });
  });
});

describe('a hold with revisions', () => {
  test('keeps them for the start that ends it', async () => {
    const workflow = await open();
    const before = readServices(workflow);
    const seen = watchDeployments(workflow);

    const held = await workflow.deploy({ start: 'hold', ...TO_2 });
    expect(revisionsOf(workflow)).toEqual({ api: 'api:1', worker: 'worker:1' });
    const { status, report } = await workflow.deploy({ mode: 'start-services' });

    expect(held.report.services.slice(0, 1)).toMatchObject([
      { name: 'api', revision: { from: 'api:1', to: null, requested: 'api:2' } },
    ]);
    expect(status).toBe('SUCCEEDED');
    expect(readServices(workflow)).toEqual(before);
    expect(revisionsOf(workflow)).toEqual({ api: 'api:2', worker: 'worker:2' });
    expect(Object.values(seen).map(({ size }) => size)).toEqual([2, 2]);
    expect(revisionsIn(report)).toEqual({
      api: { from: 'api:1', to: 'api:2' },
      worker: { from: 'worker:1', to: 'worker:2' },
    });
  });

  test('that nobody ends: the recovery starts the services on them', async () => {
    const workflow = await open();
    const before = readServices(workflow);
    const seen = watchDeployments(workflow);
    await workflow.deploy({ start: 'hold', ...TO_2 });
    // Without the execution that waits for the limit, the reconciler ends the hold.
    const { engine, machines } = workflow.workflow;
    for (const { arn } of engine.running(localArn('states', `stateMachine:${machines.startServices}`)))
      engine.stop(arn);

    const { status } = await workflow.workflow.recover({ reason: 'reconcile' });

    expect(status).toBe('SUCCEEDED');
    expect(readServices(workflow)).toEqual(before);
    expect(revisionsOf(workflow)).toEqual({ api: 'api:2', worker: 'worker:2' });
    expect(Object.values(seen).map(({ size }) => size)).toEqual([2, 2]);
  });

  test('is not needed by a deployment of the application in a hold: it makes the only new one of each service', async () => {
    const workflow = await open();
    const before = readServices(workflow);
    const seen = watchDeployments(workflow);
    await workflow.deploy({ start: 'hold' });
    // As CloudFormation does, whose template has no DesiredCount.
    await update(workflow, 'api', { TaskDefinition: 'api:2' });
    await update(workflow, 'worker', { TaskDefinition: 'worker:2' });

    const { status, report } = await workflow.deploy({ mode: 'start-services' });

    expect(status).toBe('SUCCEEDED');
    expect(readServices(workflow)).toEqual(before);
    expect(revisionsOf(workflow)).toEqual({ api: 'api:2', worker: 'worker:2' });
    expect(Object.values(seen).map(({ size }) => size)).toEqual([2, 2]);
    expect(revisionsIn(report)).toEqual({
      api: { from: 'api:1', to: 'api:2' },
      worker: { from: 'worker:1', to: 'worker:2' },
    });
  });

  test('sets them also for a service whose count someone has raised, which it does not lower', async () => {
    const workflow = await open();
    await workflow.deploy({ start: 'hold', ...TO_2 });
    await update(workflow, 'worker', { DesiredCount: 3 });
    await update(workflow, 'api', { DesiredCount: 1 });
    await workflow.workflow.aws.steady();

    const { status } = await workflow.deploy({ mode: 'start-services' });

    expect(status).toBe('SUCCEEDED');
    await workflow.workflow.aws.steady();
    expect(readServices(workflow)).toMatchObject({ desired: { api: 2, worker: 3 }, withSavedState: [] });
    expect(revisionsOf(workflow)).toEqual({ api: 'api:2', worker: 'worker:2' });
  });

  test('leaves a revision that someone else has set in it, and says so', async () => {
    const workflow = await open();
    await workflow.deploy({ start: 'hold', ...TO_2 });
    await update(workflow, 'worker', { TaskDefinition: 'worker:3' });

    const { status, report } = await workflow.deploy({ mode: 'start-services' });

    expect(status).toBe('SUCCEEDED');
    expect(revisionsOf(workflow)).toEqual({ api: 'api:2', worker: 'worker:3' });
    expect(report.warnings).toEqual([
      'Another revision than the requested one was set meanwhile, and was not changed: worker (worker:3 instead of worker:2). If it was not you, look for the deployment that sets it.',
    ]);
    expect(revisionsIn(report)).toMatchObject({
      worker: { from: 'worker:1', to: 'worker:3', requested: 'worker:2' },
    });
  });

  test('that another deploy ends: the services come back on them, also if that deploy fails', async () => {
    const workflow = await open();
    await workflow.deploy({ start: 'hold', ...TO_2 });
    onState = (state) => {
      if (state === WINDOW.stillStopped.beforeBuilds.check)
        void update(workflow, 'worker', { DesiredCount: 1 });
    };

    const { status, cause } = await workflow.deploy({ force: true, taskDefinitions: { worker: 'worker:3' } });

    expect(status).toBe('FAILED');
    expect(cause).toContain('Someone else started services during the maintenance window: worker');
    expect(revisionsOf(workflow)).toEqual({ api: 'api:2', worker: 'worker:2' });
    expect(readServices(workflow)).toMatchObject({ processes: UP, withSavedState: [] });
  });
});

describe('without a window, ECS replaces the tasks of running services', () => {
  /** A deploy has done everything. */
  async function upToDate(options: Partial<TestWorkflowOptions> = {}): Promise<TestWorkflow> {
    const workflow = await open(options);
    await workflow.deploy();
    workflow.events.length = 0;
    return workflow;
  }

  test('in a deploy that has nothing else to do', async () => {
    const workflow = await upToDate();
    const before = readServices(workflow);
    const seen = watchDeployments(workflow);

    const { status, report } = await workflow.deploy({ taskDefinitions: { worker: 'worker:2' } });

    expect(status).toBe('SUCCEEDED');
    await workflow.workflow.aws.steady();
    expect(readServices(workflow)).toEqual(before);
    expect(revisionsOf(workflow)).toEqual({ api: 'api:1', worker: 'worker:2' });
    expect(Object.values(seen).map(({ size }) => size)).toEqual([1, 2]);
    expect(entered(workflow, ECS.stop)).toEqual([]);
    expect(revisionsIn(report)).toEqual({ worker: { from: 'worker:1', to: 'worker:2' } });
    expect(report.downtimeMs).toBe(0);
    expect(report.warnings.join()).toContain('Only revisions to update: no migration is pending');
  });

  test('after index builds in an environment that needs no window for them', async () => {
    const workflow = await upToDate({ environment: { window: 'when-needed' } });
    await database.query('drop index idx_orders_status');

    const { status, report } = await workflow.deploy(TO_2);

    expect(status).toBe('SUCCEEDED');
    expect(report.totals.created).toBe(1);
    expect(entered(workflow, ECS.stop)).toEqual([]);
    expect(revisionsOf(workflow)).toEqual({ api: 'api:2', worker: 'worker:2' });
  });

  test('not if a critical index could not be built', async () => {
    const sql = ORDERS.sql.replace('(status)', '((1 / (id - id)))');
    const workflow = await open({
      indexes: [{ ...ORDERS, sql }],
      migrations: { '0001_total': 'select 1;' },
      environment: { window: 'when-needed', onCriticalFailure: 'start' },
    });
    await workflow.deploy();
    workflow.events.length = 0;

    const { status } = await workflow.deploy(TO_2);

    expect(status).toBe('FAILED');
    expect(entered(workflow, DEPLOY.update.run)).toEqual([]);
    expect(revisionsOf(workflow)).toEqual({ api: 'api:1', worker: 'worker:1' });
  });

  test('unless one cannot have its revision: then none is changed', async () => {
    const workflow = await upToDate();

    const { status, cause } = await workflow.deploy({
      taskDefinitions: { api: 'api:2', worker: 'worker:9' },
    });

    expect(status).toBe('FAILED');
    expect(cause).toContain(
      'The services cannot get the requested revisions, and none was changed. worker: its revision worker:9',
    );
    expect(revisionsOf(workflow)).toEqual({ api: 'api:1', worker: 'worker:1' });
  });

  test.each([
    [
      'rolls the deployment back',
      (workflow: TestWorkflow) => update(workflow, 'worker', { TaskDefinition: 'worker:1' }),
      'worker:1',
    ],
    [
      'does not complete the deployment',
      (workflow: TestWorkflow) => {
        const [deployment] = serviceOf(workflow, 'worker').deployments;
        if (deployment !== undefined) deployment.rolloutState = 'FAILED';
      },
      'worker:2',
    ],
  ])('a deploy fails if ECS %s', async (_, disturb, revision) => {
    const workflow = await upToDate();
    onState = (state) => {
      if (state !== ECS.update.checks.check) return;
      if (serviceOf(workflow, 'worker').deployments[0]?.taskDefinition === 'worker:2') void disturb(workflow);
    };

    const { status, cause, report } = await workflow.deploy(TO_2);

    expect(status).toBe('FAILED');
    expect(cause).toContain('Services did not get the requested revisions. They were not stopped. worker:');
    expect(cause).toContain('ECS did not complete its deployment of arn:');
    expect(serviceOf(workflow, 'worker').deployments[0]?.taskDefinition).toBe(revision);
    expect(revisionsIn(report)).toMatchObject({
      api: { from: 'api:1', to: 'api:2' },
      worker: { from: 'worker:1', to: null, requested: 'worker:2' },
    });
  });

  test('and services that an earlier deploy left stopped start first', async () => {
    const workflow = await open();
    await workflow.deploy({ start: 'hold' });

    const { status, report } = await workflow.deploy({ taskDefinitions: { worker: 'worker:2' } });

    expect(status).toBe('SUCCEEDED');
    expect(readServices(workflow)).toMatchObject({ processes: UP, withSavedState: [] });
    expect(revisionsOf(workflow)).toEqual({ api: 'api:1', worker: 'worker:2' });
    expect(revisionsIn(report)).toEqual({ worker: { from: 'worker:1', to: 'worker:2' } });
  });

  test('and services that are held get their revisions while they are stopped', async () => {
    const workflow = await open();
    await workflow.deploy({ start: 'hold', ...TO_2 });

    const again = await workflow.deploy({ start: 'hold', taskDefinitions: { worker: 'worker:3' } });
    expect(again.status).toBe('SUCCEEDED');
    expect(readServices(workflow)).toMatchObject({ processes: { api: 0, worker: 0 } });
    const { status } = await workflow.deploy({ mode: 'start-services' });

    expect(status).toBe('SUCCEEDED');
    expect(revisionsOf(workflow)).toEqual({ api: 'api:2', worker: 'worker:3' });
  });
});

describe('a plan', () => {
  const plan = { mode: 'plan' };

  test('looks the revisions up, and changes nothing', async () => {
    const workflow = await open();
    const before = readServices(workflow);
    const seen = watchDeployments(workflow);

    const { status, report } = await workflow.deploy({ ...plan, ...TO_2 });

    expect(status).toBe('SUCCEEDED');
    expect(report.refusal).toBeNull();
    expect(report.warnings).toEqual([]);
    expect(revisionsIn(report)).toEqual({
      api: { from: 'api:1', to: 'api:1', requested: 'api:2' },
      worker: { from: 'worker:1', to: 'worker:1', requested: 'worker:2' },
    });
    expect(report.summary).toContain('Revisions after that: api api:1 → api:2, worker worker:1 → worker:2.');
    expect(readServices(workflow)).toEqual(before);
    expect(revisionsOf(workflow)).toEqual({ api: 'api:1', worker: 'worker:1' });
    expect(Object.values(seen).map(({ size }) => size)).toEqual([1, 1]);
  });

  test('names revisions that the services cannot have, and succeeds', async () => {
    const workflow = await open();

    const { status, report } = await workflow.deploy({
      ...plan,
      taskDefinitions: { api: 'worker:2', worker: 'worker:9' },
    });

    expect(status).toBe('SUCCEEDED');
    expect(report.decision).toBe('deploy');
    expect(report.refusal).toContain('Services cannot be stopped. api: its revision worker:2');
    expect(report.refusal).toContain('is of another family');
    expect(report.refusal).toContain('worker: its revision worker:9 in "taskDefinitions" does not exist');
    expect(report.services.slice(0, 2)).toMatchObject([{ usable: false }, { usable: false }]);
  });

  test('of a deploy that only updates revisions is refused for those, and warns of the other services', async () => {
    const workflow = await open();
    await workflow.deploy();
    const [deployment] = serviceOf(workflow, 'api').deployments;
    if (deployment !== undefined) deployment.rolloutState = 'FAILED';

    const { status, report } = await workflow.deploy({ ...plan, taskDefinitions: { worker: 'worker:9' } });

    expect(status).toBe('SUCCEEDED');
    expect(report.decision).toBe('nothing');
    expect(report.refusal).toBe(
      'The services cannot get the requested revisions. worker: its revision worker:9 in "taskDefinitions" does not exist in this account and region: register it first.',
    );
    expect(report.warnings).toContainEqual(
      expect.stringMatching(
        /^Services cannot be stopped\. api: its last ECS deployment failed.* would not stop them now/,
      ),
    );
  });

  test('of a role that may not read task definitions says so for the service', async () => {
    const workflow = await open({
      refuse: (resource) =>
        resource.endsWith(':describeTaskDefinition')
          ? new TaskError('Ecs.AccessDeniedException', 'not authorized to perform ecs:DescribeTaskDefinition')
          : undefined,
    });

    const { status, report } = await workflow.deploy({ ...plan, taskDefinitions: { worker: 'worker:2' } });

    expect(status).toBe('SUCCEEDED');
    expect(report.refusal).toBe(
      'Services cannot be stopped. worker: it could not be read: Ecs.AccessDeniedException: not authorized to perform ecs:DescribeTaskDefinition.',
    );
    expect(report.services.filter(({ usable }) => !usable).map(({ name }) => name)).toEqual(['worker']);
  });
});

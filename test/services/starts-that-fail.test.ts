import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { throttlingError } from '../../lib/local/aws/throttling.ts';
import { localDemoServices } from '../../lib/local/demo-services.ts';
import { StatesRuntime, TaskError } from '../../lib/local/engine/errors.ts';
import type { EngineEvent } from '../../lib/local/engine.ts';
import { LOCAL_NAMES } from '../../lib/local/local-environment.ts';
import { lockName } from '../../lib/workflow/deploy-lock.ts';
import { recoveryLockName, savedStateName } from '../../lib/workflow/services/saved-state.ts';
import { ECS, RECOVERY, START_SERVICES, WINDOW } from '../../lib/workflow/state-names.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { ALL_KINDS, ALL_KINDS_IN_AWS, readServices } from '../support/service-kinds.ts';
import { VirtualClock } from '../support/virtual-clock.ts';
import { openTestWorkflow, type TestWorkflow, type TestWorkflowOptions } from '../support/workflow.ts';

const INDEX = {
  name: 'idx_orders_status',
  sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_orders_status ON orders (status)',
  critical: true,
  description: 'orders by status',
};
const UNREACHABLE = 'postgres://127.0.0.1:1/unreachable';
const OTHERS = ALL_KINDS.map(({ name }) => name).filter((name) => name !== 'worker');

/** Long enough for the services that start, also on a busy machine. A service that does not start is waited for as long. */
const SHORT = { environment: { services: ALL_KINDS, startMinutes: 0.3 } };

let database: TestDatabase;
let opened: TestWorkflow | undefined;
let observe: (event: EngineEvent) => void = () => {};

beforeEach(async () => {
  database = await createDatabase();
  await database.query('create table orders (id int primary key, status text)');
});

afterEach(async () => {
  vi.restoreAllMocks();
  observe = () => {};
  await opened?.close();
  opened = undefined;
  await database.drop();
});

async function open(options: Partial<TestWorkflowOptions> = {}): Promise<TestWorkflow> {
  opened = await openTestWorkflow({
    databaseUrl: database.url,
    indexes: [INDEX],
    // Far longer than the services need, also on a busy machine.
    environment: { services: ALL_KINDS, startMinutes: 3 },
    aws: ALL_KINDS_IN_AWS,
    onEvent: (event) => observe(event),
    ...options,
  });
  return opened;
}

const isEntered = (event: EngineEvent, state: string) =>
  event.type === 'StateEntered' && event.state === state;

/** Kills a deploy when it has stopped the services. */
async function killAfterStopping({ workflow }: TestWorkflow): Promise<void> {
  const { execution } = workflow.start({});
  observe = (event) => {
    if (isEntered(event, WINDOW.buildIndexes)) execution.abort();
  };
  await execution.result;
  observe = () => {};
  await workflow.lambdas.idle();
}

const ecsService = ({ workflow }: TestWorkflow, name: string) =>
  workflow.aws.state.ecs.services.find(({ service }) => service === name) ??
  expect.fail(`The service ${name} does not exist.`);

function deleteService({ workflow }: TestWorkflow, name: string): void {
  const { services } = workflow.aws.state.ecs;
  services.splice(
    services.findIndex(({ service }) => service === name),
    1,
  );
}

/** Kills a recovery that holds the lock and has not begun to start services. */
async function killRecovery({ workflow }: TestWorkflow): Promise<void> {
  const recovery = workflow.engine.start(workflow.machines.startServices, { reason: 'reconcile' });
  observe = (event) => {
    if (isEntered(event, RECOVERY.run)) recovery.abort();
  };
  await recovery.result;
  observe = () => {};
  expect(workflow.aws.state.ssm.parameters[recoveryLockName(LOCAL_NAMES)]?.Value).toBe(recovery.arn);
}

const savedState = ({ workflow }: TestWorkflow, name: string) =>
  JSON.parse(workflow.aws.state.ssm.parameters[savedStateName(LOCAL_NAMES, name)]?.Value ?? '{}');

const outcomes = (output: unknown) =>
  Object.fromEntries(
    (output as { services: { name: string; outcome: string }[] }).services.map(({ name, outcome }) => [
      name,
      outcome,
    ]),
  );
const started = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, 'started']));

const scheduleOf = ({ workflow }: TestWorkflow) =>
  workflow.aws.state.eventBridge.rules.find(({ name }) => name === 'pg-deploy-step-local-reconcile')?.state;

describe('a service that was deleted while it was stopped', () => {
  test('is failed in the report of the deploy and in its alert, and the others are started', async () => {
    const workflow = await open();
    observe = (event) => {
      if (isEntered(event, WINDOW.buildIndexes)) deleteService(workflow, 'worker');
    };

    const { status, cause, report } = await workflow.deploy();

    const reason = 'Ecs.ServiceNotFoundException: Service not found.';
    expect(status).toBe('FAILED');
    expect(cause).toContain(`Services could not be started: worker: ${reason}`);
    expect(report.services).toContainEqual(
      expect.objectContaining({
        name: 'worker',
        status: 'failed',
        startedAt: null,
        error: { name: 'Ecs.ServiceNotFoundException', message: reason },
      }),
    );
    expect(report.services.filter((one) => one.status === 'started').map(({ name }) => name)).toEqual(OTHERS);
    expect(report.downtimeMs).toBeNull();
    expect(workflow.alerts.at(-1)?.Message).toContain(`Not started: worker: ${reason}`);
    expect(readServices(workflow)).toMatchObject({ desired: { api: 2 }, withSavedState: ['worker'] });
  });

  test('is failed in the alert of the recovery, and the others are started', async () => {
    const workflow = await open();
    await killAfterStopping(workflow);
    deleteService(workflow, 'worker');

    const { output } = await workflow.workflow.recover({ reason: 'deploy-ended' });

    expect(outcomes(output)).toEqual({ ...started(OTHERS), worker: 'failed' });
    expect(workflow.alerts).toHaveLength(1);
    expect(workflow.alerts[0]?.Subject).toBe('pg-deploy-step: services could NOT be started');
    expect(workflow.alerts[0]?.Message).toContain('NOT RUNNING as before the deploy: ["worker"]');
    expect(workflow.alerts[0]?.Message).toContain('Ecs.ServiceNotFoundException');
    expect(scheduleOf(workflow)).toBe('ENABLED');
  });
});

test.each<[string, (workflow: TestWorkflow) => void, Record<string, string>]>([
  [
    'a service that ECS still describes as INACTIVE',
    (workflow) => void Object.assign(ecsService(workflow, 'worker'), { status: 'INACTIVE' }),
    { worker: 'Ecs.ServiceNotActiveException' },
  ],
  [
    'a cluster that was deleted with its services',
    (workflow) => {
      for (const name of ['api', 'worker']) deleteService(workflow, name);
    },
    { api: 'Ecs.ClusterNotFoundException', worker: 'Ecs.ClusterNotFoundException' },
  ],
  [
    'a rule that was deleted',
    ({ workflow }) => void workflow.aws.state.eventBridge.rules.shift(),
    { nightly: 'EventBridge.ResourceNotFoundException' },
  ],
  [
    'an event source mapping that was deleted',
    ({ workflow }) => void workflow.aws.state.lambda.mappings.shift(),
    { mailer: 'Lambda.ResourceNotFoundException' },
  ],
])('%s is failed, and the others are started', async (_what, change, errors) => {
  const workflow = await open();
  await killAfterStopping(workflow);
  change(workflow);

  const { output } = await workflow.workflow.recover({ reason: 'deploy-ended' });

  const names = [...OTHERS, 'worker'];
  const { services } = output as { services: { name: string; error: { Error: string } | null }[] };
  expect(outcomes(output)).toEqual(
    Object.fromEntries(names.map((name) => [name, name in errors ? 'failed' : 'started'])),
  );
  expect(
    Object.fromEntries(services.flatMap(({ name, error }) => (error === null ? [] : [[name, error.Error]]))),
  ).toEqual(errors);
  for (const [name, error] of Object.entries(errors)) {
    expect(workflow.alerts[0]?.Message).toContain(`"${name}"`);
    expect(workflow.alerts[0]?.Message).toContain(error);
  }
  expect(readServices(workflow).withSavedState.toSorted()).toEqual(Object.keys(errors));
});

test('a service whose start is throttled for longer than the retries last is failed, and the others are started', async () => {
  let isThrottled = true;
  const workflow = await open({
    engineClock: new VirtualClock('real'),
    refuse: (resource, parameters) => {
      const { Service, DesiredCount } = parameters as { Service?: string; DesiredCount?: number };
      const isStart = resource.endsWith(':updateService') && Service === 'worker' && DesiredCount !== 0;
      return isThrottled && isStart ? throttlingError(resource) : undefined;
    },
  });
  await killAfterStopping(workflow);

  const first = await workflow.workflow.recover({ reason: 'deploy-ended' });
  expect(outcomes(first.output)).toEqual({ ...started(OTHERS), worker: 'failed' });
  expect(workflow.alerts[0]?.Message).toContain('NOT RUNNING as before the deploy: ["worker"]');
  expect(readServices(workflow).desired).toEqual({ api: 2, worker: 0 });

  isThrottled = false;
  const second = await workflow.workflow.recover({ reason: 'reconcile' });
  expect(outcomes(second.output)).toMatchObject({ worker: 'started' });
  expect(readServices(workflow)).toMatchObject({ desired: { api: 2, worker: 1 }, withSavedState: [] });
});

test('a service whose scalable target was deregistered is failed, and the others are started', async () => {
  const workflow = await open();
  await killAfterStopping(workflow);
  workflow.workflow.aws.state.scaling.targets.length = 0;

  const { output } = await workflow.workflow.recover({});

  expect(Object.values(outcomes(output)).toSorted()).toEqual(['failed', ...OTHERS.map(() => 'started')]);
  expect(readServices(workflow).desired).toEqual({ api: 2, worker: 1 });
});

test('a service whose saved state is deleted while it is stopped is failed, and the others are started', async () => {
  const workflow = await open();
  observe = (event) => {
    if (isEntered(event, WINDOW.buildIndexes))
      delete workflow.workflow.aws.state.ssm.parameters[savedStateName(LOCAL_NAMES, 'worker')];
  };

  const { status, cause, report } = await workflow.deploy();

  const reason = 'its saved state does not exist any more';
  expect(status).toBe('FAILED');
  expect(cause).toContain(`Services could not be started: worker: ${reason}`);
  expect(cause).not.toContain('Their saved state is kept');
  expect(workflow.alerts.at(-1)?.Message).toContain(`Not started: worker: ${reason}`);
  expect(report.services.filter((one) => one.status === 'started').map(({ name }) => name)).toEqual(OTHERS);
  expect(report.services.find(({ name }) => name === 'worker')?.status).toBe('failed');
});

describe('a recovery that fails', () => {
  const failWith = (workflow: TestWorkflow, action: string, error: Error) => {
    const call = workflow.workflow.aws.call.bind(workflow.workflow.aws);
    return vi.spyOn(workflow.workflow.aws, 'call').mockImplementation(async (resource, ...rest) => {
      if (resource.endsWith(`:${action}`)) throw error;
      return await call(resource, ...rest);
    });
  };

  test.each([
    ['getParametersByPath', new TaskError('Ssm.InvalidKeyIdException', 'refused'), { api: 2, worker: 1 }],
    ['updateService', new StatesRuntime('no such path'), { api: 0, worker: 0 }],
  ])('because of %s sends one alert, until a recovery succeeds', async (action, error, desired) => {
    const workflow = await open();
    await killAfterStopping(workflow);
    const failing = failWith(workflow, action, error);

    const first = await workflow.workflow.recover({ reason: 'deploy-ended' });
    const second = await workflow.workflow.recover({ reason: 'reconcile' });

    const ofFailures = () =>
      workflow.alerts.filter(({ Subject }) => Subject === 'pg-deploy-step: the recovery of services FAILED');
    expect([first.status, second.status]).toEqual(['FAILED', 'FAILED']);
    expect(readServices(workflow).desired).toEqual(desired);
    expect(ofFailures()).toHaveLength(1);
    expect(ofFailures()[0]?.Message).toContain('pg-deploy-step-local-start-services with the input {}');

    failing.mockRestore();
    const third = await workflow.workflow.recover({ reason: 'reconcile' });
    expect(third.status).toBe('SUCCEEDED');
    expect(readServices(workflow)).toMatchObject({ desired: { api: 2, worker: 1 }, withSavedState: [] });
    // The lock of the deploys is never deleted.
    expect(Object.keys(workflow.workflow.aws.state.ssm.parameters)).toEqual([lockName(LOCAL_NAMES)]);

    failWith(workflow, action, error);
    await workflow.workflow.recover({ reason: 'reconcile' });
    expect(ofFailures()).toHaveLength(action === 'updateService' ? 1 : 2);
  });
});

describe('a service is not steady', () => {
  test('while its tasks crash, however often a check finds them running', async () => {
    const workflow = await open(SHORT);
    await killAfterStopping(workflow);
    const worker = ecsService(workflow, 'worker');
    let seenRunning = 0;
    observe = (event) => {
      const { service, tasks } = (event.output ?? {}) as {
        service?: { name: string };
        tasks?: { running: number[] };
      };
      if (event.type !== 'StateExited' || event.state !== ECS.checkStarting || service?.name !== 'worker')
        return;
      if (tasks?.running[0] !== 1) return;
      seenRunning += 1;
      for (const { pid } of worker.tasks) process.kill(pid, 'SIGKILL');
    };

    const { output } = await workflow.workflow.recover({ reason: 'reconcile' });

    expect(seenRunning).toBeGreaterThan(0);
    expect(outcomes(output)).toEqual({ ...started(OTHERS), worker: 'not-steady' });
  });

  test('until its targets are healthy, if it has a target group', async () => {
    const services = localDemoServices(database.url).map((service) =>
      service.service === 'worker' ? { ...service, targetGroups: ['arn:target-group'] } : service,
    );
    const workflow = await open({ ...SHORT, aws: { ...ALL_KINDS_IN_AWS, services } });
    await killAfterStopping(workflow);
    const worker = ecsService(workflow, 'worker');
    worker.targetHealth = 'initial';

    const first = await workflow.workflow.recover({ reason: 'reconcile' });
    worker.targetHealth = 'healthy';
    const second = await workflow.workflow.recover({ reason: 'reconcile' });

    expect(outcomes(first.output)).toMatchObject({ worker: 'not-steady', api: 'started' });
    expect(outcomes(second.output)).toMatchObject({ worker: 'started', api: 'nothing-saved' });
    expect(readServices(workflow).withSavedState).toEqual([]);
  });

  test('before steadyChecks checks in a row have found it running', async () => {
    const workflow = await open({ environment: { services: ALL_KINDS, startMinutes: 3, steadyChecks: 4 } });

    await workflow.deploy();

    const steady = workflow.events.filter(
      (event) => event.type === 'StateExited' && event.state === ECS.isSteadyLongEnough,
    );
    const checks = steady.map((event) => (event.output as { checks: { steady: number } }).checks.steady);
    expect(checks.filter((count) => count === 4)).toHaveLength(2);
    expect(Math.max(...checks)).toBe(4);
  });
});

test('a recovery keeps the state that a new deploy has saved while the recovery waited for the service', async () => {
  const workflow = await open();
  await killAfterStopping(workflow);
  const name = savedStateName(LOCAL_NAMES, 'worker');
  const { parameters } = workflow.workflow.aws.state.ssm;
  observe = (event) => {
    const isWorker = (event.input as { name?: string } | undefined)?.name === 'worker';
    if (!isEntered(event, START_SERVICES.readAgain) || !isWorker) return;
    const state = JSON.parse(parameters[name]?.Value ?? '{}');
    Object.assign(parameters[name] ?? {}, { Value: JSON.stringify({ ...state, execution: 'another' }) });
  };

  const { output } = await workflow.workflow.recover({ reason: 'reconcile' });

  expect(outcomes(output)).toEqual({ ...started(OTHERS), worker: 'deploy-running' });
  expect(readServices(workflow).withSavedState).toEqual(['worker']);
  expect(scheduleOf(workflow)).toBe('ENABLED');
});

describe('the reconciler', () => {
  test('sets a count once and sends an alert once for an incident', async () => {
    const workflow = await open(SHORT);
    await killAfterStopping(workflow);
    ecsService(workflow, 'worker').variables.DATABASE_URL = UNREACHABLE;
    const setWorker = (DesiredCount: number) =>
      workflow.workflow.aws.call('arn:aws:states:::aws-sdk:ecs:updateService', {
        Cluster: 'demo',
        Service: 'worker',
        DesiredCount,
      });

    await workflow.workflow.recover({ reason: 'deploy-ended' });
    expect(readServices(workflow).desired).toEqual({ api: 2, worker: 1 });
    // Someone stops the tasks that fail, while they look for the cause.
    await setWorker(0);
    const second = await workflow.workflow.recover({ reason: 'reconcile' });
    const third = await workflow.workflow.recover({ reason: 'reconcile' });

    expect([outcomes(second.output).worker, outcomes(third.output).worker]).toEqual([
      'not-steady',
      'not-steady',
    ]);
    expect(readServices(workflow)).toMatchObject({
      desired: { api: 2, worker: 0 },
      withSavedState: ['worker'],
    });
    expect(workflow.alerts.map(({ Subject }) => Subject)).toEqual([
      'pg-deploy-step: services could NOT be started',
    ]);

    // A start by hand sets the count again.
    ecsService(workflow, 'worker').variables.DATABASE_URL = database.url;
    await workflow.workflow.recover({});
    expect(readServices(workflow)).toMatchObject({ desired: { api: 2, worker: 1 }, withSavedState: [] });
  });

  test.each([
    ['', false, 0],
    [', also if both find the lock of one that was killed', true, 0],
    [', also if Step Functions does not show the other one yet', false, 2],
  ])('does not overlap itself%s', async (_when, wasKilled, staleReads) => {
    const workflow = await open({ staleReads });
    await killAfterStopping(workflow);
    if (wasKilled) await killRecovery(workflow);
    const before = workflow.events.length;
    const { deploy } = savedState(workflow, 'worker');
    const both = [1, 2].map(() => workflow.workflow.recover({ reason: 'deploy-ended', deploy }));

    const results = await Promise.all(both);

    const states = workflow.events.slice(before).filter((event) => event.type === 'StateEntered');
    expect(states.filter(({ state }) => state === ECS.start)).toHaveLength(2);
    expect(states.filter(({ state }) => state === RECOVERY.alreadyRunning)).toHaveLength(1);
    expect(results.map(({ status }) => status)).toEqual(['SUCCEEDED', 'SUCCEEDED']);
    expect(workflow.alerts).toHaveLength(1);
    expect(readServices(workflow)).toMatchObject({ desired: { api: 2, worker: 1 }, withSavedState: [] });
  });

  test('is enabled only while a state is saved', async () => {
    const workflow = await open();
    const seen: unknown[] = [scheduleOf(workflow)];
    observe = (event) => {
      if ([WINDOW.stopServices, START_SERVICES.isAnythingKept].includes(event.state as never))
        if (event.type === 'StateEntered') seen.push([event.state, scheduleOf(workflow)]);
    };

    await workflow.deploy();
    seen.push(scheduleOf(workflow));
    await database.query('drop index idx_orders_status');
    observe = () => {};
    await killAfterStopping(workflow);
    seen.push(scheduleOf(workflow));
    await workflow.workflow.recover({ reason: 'reconcile' });
    seen.push(scheduleOf(workflow));

    expect(seen).toEqual([
      'DISABLED',
      [WINDOW.stopServices, 'ENABLED'],
      [START_SERVICES.isAnythingKept, 'ENABLED'],
      'DISABLED',
      'ENABLED',
      'DISABLED',
    ]);
  });

  test('is enabled again by an update of the stack while services are stopped', async () => {
    const workflow = await open(SHORT);
    await killAfterStopping(workflow);
    ecsService(workflow, 'worker').variables.DATABASE_URL = UNREACHABLE;
    for (const rule of workflow.workflow.aws.state.eventBridge.rules) {
      if (rule.name.endsWith('-reconcile')) rule.state = 'DISABLED';
    }

    await workflow.workflow.recover({ reason: 'stack-updated' });

    expect(scheduleOf(workflow)).toBe('ENABLED');
  });
});

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { TaskError } from '../../lib/local/engine/errors.ts';
import { type EngineClock, REAL_CLOCK } from '../../lib/local/engine.ts';
import { localArn } from '../../lib/local/local-arns.ts';
import { LOCAL_NAMES } from '../../lib/local/local-environment.ts';
import { markerName } from '../../lib/workflow/services/saved-state.ts';
import { DEPLOY, ECS, HOLD, RECOVERY, START_SERVICES, WINDOW } from '../../lib/workflow/state-names.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { ALL_KINDS, ALL_KINDS_IN_AWS, readServices } from '../support/service-kinds.ts';
import { eventually } from '../support/waits.ts';
import { openTestWorkflow, type TestWorkflow, type TestWorkflowOptions } from '../support/workflow.ts';

/*
 * A deploy with "start": "hold" leaves the services at 0 for the application's own deployment, until someone starts them with
 * start-services or the limit of the hold is reached.
 */

const ORDERS = {
  name: 'idx_orders_status',
  sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_orders_status ON orders (status)',
  critical: true,
  description: 'orders by status',
};
const DOWN = { api: 0, worker: 0 };
const UP = { api: 2, worker: 1 };

/** The limit of a hold in these tests, in minutes: no other pause has its length. */
const HOLD_MINUTES = 1_000;

let database: TestDatabase;
let opened: TestWorkflow | undefined;
/** Ends the pause of the limit of the hold. */
let reachLimit: () => void;
let limit: Promise<void>;
let onState: (state: string) => void;

beforeEach(async () => {
  database = await createDatabase();
  await database.query('create table orders (id int primary key, status text)');
  onState = () => {};
  ({ promise: limit, resolve: reachLimit } = Promise.withResolvers<void>());
});

afterEach(async () => {
  await opened?.close();
  opened = undefined;
  await database.drop();
});

/** The limit of a hold is reached when a test says so. */
const CLOCK: EngineClock = {
  ...REAL_CLOCK,
  sleep: async (seconds, signal, purpose) => {
    if (seconds !== HOLD_MINUTES * 60) return await REAL_CLOCK.sleep(seconds, signal, purpose);
    const aborted = new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    await Promise.race([limit, aborted]);
    signal.throwIfAborted();
  },
};

async function open(options: Partial<TestWorkflowOptions> = {}): Promise<TestWorkflow> {
  opened = await openTestWorkflow({
    databaseUrl: database.url,
    indexes: [ORDERS],
    migrations: { '0001_total': 'alter table orders add column total numeric;' },
    engineClock: CLOCK,
    onEvent: ({ type, state }) => {
      if (type === 'StateEntered') onState(state ?? '');
    },
    aws: ALL_KINDS_IN_AWS,
    ...options,
    environment: { services: ALL_KINDS, holdMinutes: HOLD_MINUTES, ...options.environment },
  });
  return opened;
}

/** What the deployment of the application does, which knows nothing of the hold. */
const setCount = (workflow: TestWorkflow, Service: string, DesiredCount: number) =>
  workflow.workflow.aws.call(
    'arn:aws:states:::aws-sdk:ecs:updateService',
    { ...{ Cluster: 'demo', Service, DesiredCount } },
    AbortSignal.timeout(60_000),
  );

const markerOf = (workflow: TestWorkflow) =>
  workflow.workflow.aws.state.ssm.parameters[markerName(LOCAL_NAMES)]?.Value;

const entered = (workflow: TestWorkflow, state: string) =>
  workflow.events.filter((event) => event.type === 'StateEntered' && event.state === state);

describe('a deploy with a hold', () => {
  test('migrates, builds, and leaves every service stopped until start-services starts them as before', async () => {
    const workflow = await open();
    const before = readServices(workflow);

    const held = await workflow.deploy({ start: 'hold' });

    expect(held.status).toBe('SUCCEEDED');
    expect(held.report.migrations.applied).toEqual(['0001_total']);
    expect(held.report.totals.created).toBe(1);
    expect(readServices(workflow)).toMatchObject({
      ...{ processes: DOWN, desired: DOWN },
      rules: ['nightly DISABLED', 'retired DISABLED'],
      mappings: [expect.stringContaining('false')],
    });
    expect(held.report.services.map(({ name, status }) => `${name} ${status}`)).toEqual(
      ALL_KINDS.map(({ name }) => `${name} stopped`),
    );
    const { since, until } = held.report.hold ?? expect.fail('The report names no hold.');
    expect(Date.parse(until) - Date.parse(since)).toBe(HOLD_MINUTES * 60_000);
    expect(JSON.parse(markerOf(workflow) ?? '')).toMatchObject({
      ...{ deploy: held.report.deploy, since, hold: { minutes: HOLD_MINUTES } },
    });
    expect(workflow.alerts).toEqual([]);

    const ended = await workflow.deploy({ mode: 'start-services' });

    expect(ended.status).toBe('SUCCEEDED');
    expect(readServices(workflow)).toEqual(before);
    expect(ended.report.endedHold).toEqual({ deploy: held.report.deploy, since });
    expect(markerOf(workflow)).toBeUndefined();
    expect(workflow.alerts).toEqual([]);
  });

  test('is possible in a deploy only: another mode is refused before anything is stopped', async () => {
    const workflow = await open();

    const { status, cause } = await workflow.deploy({ mode: 'indexes', start: 'hold' });

    expect(status).toBe('FAILED');
    expect(cause).toContain(
      'start must be at-once, or missing, with the mode indexes, which stops no services',
    );
    expect(readServices(workflow)).toMatchObject({ processes: UP, withSavedState: [] });
  });

  test('holds nothing if it has nothing to do and no service is stopped, and says so', async () => {
    const workflow = await open();
    await workflow.deploy();

    const { status, report } = await workflow.deploy({ start: 'hold' });

    expect(status).toBe('SUCCEEDED');
    expect(report.hold).toBeUndefined();
    expect(report.warnings.join(' ')).toContain('No services are held: this deploy stopped none');
    expect(markerOf(workflow)).toBeUndefined();
    expect(readServices(workflow)).toMatchObject({ processes: UP, withSavedState: [] });
  });

  test('that fails holds nothing: its services are started, or left stopped after a critical failure', async () => {
    await database.query('create table people (id int)');
    const workflow = await open({ migrations: { '0001_total': 'alter table missing add column n int;' } });

    const migration = await workflow.deploy({ start: 'hold' });

    expect(migration.status).toBe('FAILED');
    expect(migration.report.hold).toBeUndefined();
    expect(markerOf(workflow)).toBeUndefined();
    expect(readServices(workflow)).toMatchObject({ processes: UP, withSavedState: [] });
    await opened?.close();
    await database.query("insert into orders values (1, 'new')");

    const sql = ORDERS.sql.replace('(status)', '((1 / (id - id)))');
    const critical = await open({ indexes: [{ ...ORDERS, sql }] });
    const { status, report } = await critical.deploy({ start: 'hold' });

    expect(status).toBe('FAILED');
    expect(report.hold).toBeUndefined();
    expect(markerOf(critical)).not.toContain('hold');
    expect(readServices(critical)).toMatchObject({ processes: DOWN });
  });

  test('that cannot save its marker starts the services and fails', async () => {
    const workflow = await open({
      refuse: (resource, parameters) =>
        resource.endsWith(':putParameter') && JSON.stringify(parameters).includes('/left-stopped')
          ? new TaskError('Ssm.ParameterLimitExceededException', 'too many parameters')
          : undefined,
    });

    const { status, cause } = await workflow.deploy({ start: 'hold' });

    expect(status).toBe('FAILED');
    expect(cause).toContain(
      'The services could not be held for the deployment of the application, so they were started',
    );
    expect(readServices(workflow)).toMatchObject({ processes: UP, withSavedState: [] });
  });

  test('leaves the builds that follow the start to the start that ends the hold', async () => {
    const workflow = await open({
      indexes: [{ ...ORDERS, critical: false }],
      builds: { when: 'after-start' },
    });

    const held = await workflow.deploy({ start: 'hold' });
    const ended = await workflow.deploy({ mode: 'start-services' });

    expect(held.report.totals).toMatchObject({ created: 0, remaining: 1 });
    expect(ended.report.totals).toMatchObject({ created: 1, remaining: 0 });
    expect(entered(workflow, DEPLOY.buildOnline)).toHaveLength(1);
    expect(readServices(workflow)).toMatchObject({ processes: UP, withSavedState: [] });
  });

  test('a start that nobody needs says so', async () => {
    const workflow = await open();

    const { status, report } = await workflow.deploy({ mode: 'start-services' });

    expect(status).toBe('SUCCEEDED');
    expect(report.warnings).toEqual([
      'Nothing to start: no deploy has left a service stopped, and none is held.',
    ]);
  });
});

describe('a count that the deployment of the application has set in a hold', () => {
  test('is reported and never lowered, and one below the saved count is raised', async () => {
    const workflow = await open();
    await workflow.deploy({ start: 'hold' });
    await setCount(workflow, 'worker', 3);
    await setCount(workflow, 'api', 1);

    const { status, report } = await workflow.deploy({ mode: 'start-services' });

    expect(status).toBe('SUCCEEDED');
    expect(readServices(workflow)).toMatchObject({ desired: { api: 2, worker: 3 }, withSavedState: [] });
    expect(report.services.map(({ name, raisedTo }) => [name, raisedTo]).slice(0, 2)).toEqual([
      ['api', 1],
      ['worker', 3],
    ]);
    expect(report.warnings.join(' ')).toContain(
      'Someone else set a desired count while the services were held: api (1), worker (3). No count was lowered.',
    );
    // Raising it again would be a change that nobody asked for.
    const set = entered(workflow, ECS.start).map(({ input }) => (input as { name: string }).name);
    expect(set).toEqual(['api']);
  });

  test('is restored by the next deploy, which stops the service again', async () => {
    const workflow = await open();
    await workflow.deploy({ start: 'hold' });
    await setCount(workflow, 'worker', 3);
    await workflow.workflow.aws.steady();
    await database.query('drop index idx_orders_status');

    const { status } = await workflow.deploy();

    expect(status).toBe('SUCCEEDED');
    expect(entered(workflow, WINDOW.useRaisedCount)).toHaveLength(1);
    expect(readServices(workflow)).toMatchObject({ desired: { api: 2, worker: 3 }, withSavedState: [] });
  });

  test('is kept by a recovery after a start that was killed', async () => {
    const workflow = await open();
    await workflow.deploy({ start: 'hold' });
    await setCount(workflow, 'worker', 3);
    const { execution, ended } = workflow.workflow.start({ mode: 'start-services' });
    onState = (state) => {
      if (state === START_SERVICES.startOnRequest) execution.abort();
    };
    await ended;

    // It does not wait for the limit, because someone has requested the start.
    await workflow.workflow.recover({ reason: 'reconcile' });

    expect(readServices(workflow)).toMatchObject({ desired: { api: 2, worker: 3 }, withSavedState: [] });
    expect(markerOf(workflow)).toBeUndefined();
  });
});

describe('a hold that nobody ends', () => {
  test('ends at its limit: the recovery starts the services as before, and sends an alert that says why', async () => {
    const workflow = await open();
    const before = readServices(workflow);
    await workflow.deploy({ start: 'hold' });
    const { output } = await workflow.workflow.recover({ reason: 'reconcile' });
    expect(output).toEqual({ services: [] });
    expect(readServices(workflow)).toMatchObject({ processes: DOWN });

    reachLimit();
    await eventually(() => entered(workflow, RECOVERY.recovered).length).toBe(1);

    expect(readServices(workflow)).toEqual(before);
    expect(markerOf(workflow)).toBeUndefined();
    expect(workflow.alerts.map(({ Subject }) => Subject)).toEqual([
      'pg-deploy-step: a hold ended, the recovery started services',
    ]);
    expect(workflow.alerts[0]?.Message).toContain(`nobody ended the hold within ${HOLD_MINUTES} minutes`);
  });

  test('is ended by the reconciler if the execution that waits for the limit was stopped', async () => {
    const workflow = await open();
    const before = readServices(workflow);
    await workflow.deploy({ start: 'hold' });
    const { engine, machines } = workflow.workflow;
    for (const { arn } of engine.running(localArn('states', `stateMachine:${machines.startServices}`)))
      engine.stop(arn);

    const { status } = await workflow.workflow.recover({ reason: 'reconcile' });

    expect(status).toBe('SUCCEEDED');
    expect(readServices(workflow)).toEqual(before);
    expect(workflow.alerts).toHaveLength(1);
  });

  test('ends at once if its deploy was killed after it had saved the marker', async () => {
    const workflow = await open();
    const before = readServices(workflow);
    const { execution, ended } = workflow.workflow.start({ start: 'hold' }, 'killed');
    onState = (state) => {
      if (state === DEPLOY.report) execution.abort();
    };
    await ended;
    expect(markerOf(workflow)).toContain('"hold":{');

    await workflow.workflow.recover({ reason: 'deploy-ended', deploy: 'killed', status: 'ABORTED' });

    expect(readServices(workflow)).toEqual(before);
  });
});

describe('a second deploy during a hold', () => {
  test('with a hold holds the services again, also with nothing to do, and the first limit has no effect', async () => {
    const workflow = await open();
    const before = readServices(workflow);
    const first = await workflow.deploy({ start: 'hold' });
    const firstLimit = reachLimit;
    ({ promise: limit, resolve: reachLimit } = Promise.withResolvers<void>());

    const second = await workflow.deploy({ start: 'hold' });

    expect(second.status).toBe('SUCCEEDED');
    expect(entered(workflow, DEPLOY.maintenanceWindow)).toHaveLength(1);
    expect(second.report.services.every(({ status }) => status === 'stopped')).toBe(true);
    expect(second.report.hold?.since).not.toBe(first.report.hold?.since);
    expect(second.report.downtimeMs).toBeNull();
    firstLimit();
    await eventually(() => entered(workflow, HOLD.hasEnded).length).toBe(1);
    expect(readServices(workflow)).toMatchObject({ processes: DOWN });

    await workflow.deploy({ mode: 'start-services' });

    expect(readServices(workflow)).toEqual(before);
  });

  test('without a hold starts the services, and its report names the hold that it ended', async () => {
    const workflow = await open();
    const before = readServices(workflow);
    const first = await workflow.deploy({ start: 'hold' });
    await database.query('drop index idx_orders_status');

    const { status, report } = await workflow.deploy();

    expect(status).toBe('SUCCEEDED');
    expect(report.endedHold?.deploy).toBe(first.report.deploy);
    expect(readServices(workflow)).toEqual(before);
    expect(markerOf(workflow)).toBeUndefined();
  });
});

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { localDemoServices } from '../../lib/local/demo-services.ts';
import { ECS, MIGRATIONS } from '../../lib/workflow/state-names.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { ALL_KINDS, ALL_KINDS_IN_AWS, CUSTOM_SERVICE, readServices } from '../support/service-kinds.ts';
import { openTestWorkflow, type TestWorkflow, type TestWorkflowOptions } from '../support/workflow.ts';

const INDEX = {
  name: 'idx_orders_status',
  sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_orders_status ON orders (status)',
  description: 'orders by status',
};

let database: TestDatabase;
let opened: TestWorkflow | undefined;

beforeEach(async () => {
  CUSTOM_SERVICE.reset();
  database = await createDatabase();
  await database.query('create table orders (id int primary key, status text)');
});

afterEach(async () => {
  await opened?.close();
  opened = undefined;
  await database.drop();
});

async function open(options: Partial<TestWorkflowOptions> = {}): Promise<TestWorkflow> {
  opened = await openTestWorkflow({
    databaseUrl: database.url,
    indexes: [INDEX],
    environment: { services: ALL_KINDS },
    aws: ALL_KINDS_IN_AWS,
    ...options,
  });
  return opened;
}

const NAMES = ALL_KINDS.map(({ name }) => name);

const states = (workflow: TestWorkflow) =>
  workflow.events.filter((event) => event.type === 'StateEntered').map((event) => event.state);

test('services of every kind are stopped for the migrations and started as they were before', async () => {
  const seen: unknown[] = [];
  const workflow = await open({
    migrations: { '0001_total': 'alter table orders add column total numeric;' },
    onEvent: (event) => {
      if (event.type === 'StateEntered' && event.state === MIGRATIONS.run && opened)
        seen.push(readServices(opened));
    },
  });
  const before = readServices(workflow);

  const { report } = await workflow.deploy();

  expect(report.status).toBe('succeeded');
  expect(seen).toEqual([
    {
      processes: { api: 0, worker: 0 },
      desired: { api: 0, worker: 0 },
      suspended: [
        {
          DynamicScalingInSuspended: true,
          DynamicScalingOutSuspended: true,
          ScheduledScalingSuspended: true,
        },
      ],
      rules: ['nightly DISABLED', 'retired DISABLED'],
      mappings: [expect.stringContaining('false')],
      schedules: before.schedules.map((schedule) => ({ ...schedule, State: 'DISABLED' })),
      custom: 0,
      withSavedState: NAMES,
    },
  ]);
  expect(readServices(workflow)).toEqual(before);
  expect(report.services.map((service) => [service.name, service.startedAt !== null])).toEqual(
    NAMES.map((name) => [name, true]),
  );
});

test('scaling that was suspended before the deploy stays suspended after it', async () => {
  const workflow = await open();
  const target = workflow.workflow.aws.state.scaling.targets[0];
  if (target === undefined) throw new Error('The demo has no scalable target.');
  target.SuspendedState.ScheduledScalingSuspended = true;

  await workflow.deploy();

  expect(target.SuspendedState).toEqual({
    DynamicScalingInSuspended: false,
    DynamicScalingOutSuspended: false,
    ScheduledScalingSuspended: true,
  });
});

test('a service that was at 0 stays at 0', async () => {
  const workflow = await open();
  await workflow.workflow.aws.call('arn:aws:states:::aws-sdk:ecs:updateService', {
    Cluster: 'demo',
    Service: 'worker',
    DesiredCount: 0,
  });
  await workflow.workflow.aws.steady();

  const { report } = await workflow.deploy();

  expect(report.status).toBe('succeeded');
  expect(readServices(workflow)).toMatchObject({ desired: { api: 2, worker: 0 }, withSavedState: [] });
});

describe('a deploy is refused before it stops anything because of', () => {
  const before = {
    processes: { api: 2, worker: 1 },
    rules: ['nightly ENABLED', 'retired DISABLED'],
    withSavedState: [],
  };

  test.each([
    [
      'a service that does not exist',
      { kind: 'ecs' as const, name: 'ghost', cluster: 'demo', service: 'ghost', scaling: false },
      'ghost: the ECS service does not exist: check "cluster" and "service"',
    ],
    [
      'a DAEMON service',
      { kind: 'ecs' as const, name: 'agent', cluster: 'demo', service: 'agent', scaling: false },
      'agent: it is a DAEMON service, which cannot be scaled to 0: remove it from the configuration',
    ],
    [
      'a service with "scaling": true but without a scalable target',
      { kind: 'ecs' as const, name: 'plain', cluster: 'demo', service: 'plain', scaling: true },
      'plain: it has no Application Auto Scaling, but "scaling" is true: set it to false',
    ],
    [
      'a rule that does not exist',
      { kind: 'event-rule' as const, name: 'ghost', rule: 'ghost', eventBus: 'default' },
      'ghost: the EventBridge rule does not exist: check "rule" and "eventBus"',
    ],
    [
      'a mapping that does not exist',
      { kind: 'event-source-mapping' as const, name: 'ghost', uuid: '99999999-2222-4333-8444-555555555555' },
      'ghost: the event source mapping does not exist: check "uuid"',
    ],
  ])('%s', async (_what, service, reason) => {
    const workflow = await open({
      environment: { services: [...ALL_KINDS, service] },
      aws: {
        ...ALL_KINDS_IN_AWS,
        services: [
          ...localDemoServices(database.url),
          {
            cluster: 'demo',
            service: 'agent',
            desiredCount: 0,
            variables: {},
            schedulingStrategy: 'DAEMON',
          },
          { cluster: 'demo', service: 'plain', desiredCount: 0, variables: {} },
        ],
      },
    });

    const { status, cause, report } = await workflow.deploy();

    expect(status).toBe('FAILED');
    expect(cause).toContain('Services cannot be stopped, so nothing was stopped or changed.');
    expect(cause).toContain(reason);
    expect(readServices(workflow)).toMatchObject({
      ...before,
      processes: { ...before.processes, agent: 0, plain: 0 },
    });
    expect(states(workflow)).not.toContain(ECS.stop);
    expect(report.downtimeMs).toBe(0);
    expect(workflow.alerts.at(-1)?.Message).toContain('Services: up; they were not stopped');
  });
});

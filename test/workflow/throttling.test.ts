import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { throttlingError, throttlingNames } from '../../lib/local/aws/throttling.ts';
import { TaskError } from '../../lib/local/engine/errors.ts';
import type { Refuse } from '../../lib/local/engine.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { ALL_KINDS, ALL_KINDS_IN_AWS, readServices } from '../support/service-kinds.ts';
import { VirtualClock } from '../support/virtual-clock.ts';
import { openTestWorkflow, type TestWorkflow, type TestWorkflowOptions } from '../support/workflow.ts';

const INVOKE = 'arn:aws:states:::lambda:invoke';
const START = 'arn:aws:states:::states:startExecution.sync:2';
const TEN_MINUTES_MS = 600_000;

let database: TestDatabase;
let opened: TestWorkflow | undefined;

beforeEach(async () => {
  database = await createDatabase();
  await database.query('create table orders (id int primary key, status text)');
});

afterEach(async () => {
  await opened?.close();
  opened = undefined;
  await database.drop();
});

async function open(options: Partial<TestWorkflowOptions>): Promise<TestWorkflow> {
  opened = await openTestWorkflow({
    databaseUrl: database.url,
    indexes: [
      {
        name: 'idx_orders_status',
        sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_orders_status ON orders (status)',
        description: 'orders by status',
      },
    ],
    migrations: { '0001_total': 'alter table orders add column total numeric;' },
    ...options,
  });
  return opened;
}

/** Throttles each function and each state machine for ten minutes from its first call on. */
function tenMinutes(clock: VirtualClock, name: string) {
  const since = new Map<string, number>();
  const refused = new Map<string, number>();
  const refuse: Refuse = (resource, parameters) => {
    if (!throttlingNamesOf(resource).includes(name)) return undefined;
    const { FunctionName, StateMachineArn } = parameters as Record<string, string>;
    const target = FunctionName ?? StateMachineArn ?? resource;
    if (!since.has(target)) since.set(target, clock.now());
    if (clock.now() - (since.get(target) ?? 0) >= TEN_MINUTES_MS) return undefined;
    refused.set(target, (refused.get(target) ?? 0) + 1);
    return throttlingError(resource, name);
  };
  return { refuse, refused };
}

const throttlingNamesOf = (resource: string): readonly string[] =>
  [INVOKE, START].includes(resource) ? throttlingNames(resource) : [];

describe('ten minutes of throttling', () => {
  test.each([...throttlingNames(START), ...throttlingNames(INVOKE)])(
    'as %s of each child and each function: the deploy succeeds',
    async (name) => {
      const clock = new VirtualClock();
      const { refuse, refused } = tenMinutes(clock, name);
      const workflow = await open({ services: 'none', engineClock: clock, refuse });

      const { status, report } = await workflow.deploy();

      expect(status).toBe('SUCCEEDED');
      expect(report).toMatchObject({ migrations: { applied: ['0001_total'] }, totals: { created: 1 } });
      // Most of the retries of the first minute are short.
      expect(Math.min(...refused.values())).toBeGreaterThan(10);
      expect(refused.size).toBeGreaterThanOrEqual(3);
    },
  );

  test('of the start of start-services: the services are started', async () => {
    const clock = new VirtualClock('real');
    const since: number[] = [];
    const workflow = await open({
      engineClock: clock,
      refuse: (resource, parameters) => {
        const { StateMachineArn } = parameters as Record<string, string>;
        if (resource !== START || !StateMachineArn?.includes('start-services')) return undefined;
        since.push(clock.now());
        return clock.now() - (since[0] ?? 0) < TEN_MINUTES_MS ? throttlingError(resource) : undefined;
      },
    });

    const { status } = await workflow.deploy();

    expect(status).toBe('SUCCEEDED');
    expect(since.length).toBeGreaterThan(10);
    expect(readServices(workflow)).toMatchObject({ processes: { api: 2, worker: 1 }, withSavedState: [] });
  });
});

test('every call that is throttled ten times is made, and the services are as before', async () => {
  const calls = new Map<string, number>();
  const workflow = await open({
    engineClock: new VirtualClock('real'),
    environment: { services: ALL_KINDS },
    aws: ALL_KINDS_IN_AWS,
    refuse: (resource, parameters) => {
      // The payload of run-migrations has the number of retries.
      const call = `${resource} ${JSON.stringify(parameters).replace(/"retryCount":\d+/, '')}`;
      const made = (calls.get(call) ?? 0) + 1;
      calls.set(call, made);
      const names = throttlingNames(resource);
      return made <= 10 ? throttlingError(resource, names[made % names.length]) : undefined;
    },
  });
  const before = readServices(workflow);

  const { status, cause } = await workflow.deploy();

  expect({ status, cause }).toEqual({ status: 'SUCCEEDED', cause: undefined });
  expect(readServices(workflow)).toEqual(before);
  expect(Math.min(...calls.values())).toBeGreaterThan(10);
});

describe('an error that another attempt cannot fix', () => {
  test.each(['Ecs.AccessDeniedException', 'Ecs.ClusterNotFoundException', 'Ecs.ServiceNotFoundException'])(
    '%s of a stop fails the window at the first call, and the services are started',
    async (name) => {
      let calls = 0;
      const workflow = await open({
        refuse: (resource, parameters) => {
          if (!resource.endsWith(':updateService')) return undefined;
          if ((parameters as { DesiredCount: number }).DesiredCount > 0) return undefined;
          calls += 1;
          return new TaskError(name, 'as requested by the test');
        },
      });

      const { status } = await workflow.deploy();

      expect(status).toBe('FAILED');
      // One for each service.
      expect(calls).toBe(2);
      expect(workflow.events.filter(({ type }) => type === 'StateRetried')).toEqual([]);
      expect(readServices(workflow)).toMatchObject({ processes: { api: 2, worker: 1 }, withSavedState: [] });
    },
  );
});

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Service } from '../../lib/config/services-config.ts';
import { LOCAL_NAMES, localEnvironment } from '../../lib/local/local-environment.ts';
import { savedStateName } from '../../lib/workflow/services/saved-state.ts';
import { WINDOW } from '../../lib/workflow/state-names.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { ALL_KINDS, ALL_KINDS_IN_AWS, readServices } from '../support/service-kinds.ts';
import { openTestWorkflow, type TestWorkflow, type TestWorkflowOptions } from '../support/workflow.ts';

const INDEX = {
  name: 'idx_orders_status',
  sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_orders_status ON orders (status)',
  critical: true,
  description: 'orders by status',
};

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

/** A deploy that is killed after it has stopped the services. */
async function killAfterStopping(
  services: Service[] = ALL_KINDS,
  aws: TestWorkflowOptions['aws'] = ALL_KINDS_IN_AWS,
  pollSeconds = 1,
) {
  const stopped = Promise.withResolvers<void>();
  const savedAtStop: string[][] = [];
  const workflow = await openTestWorkflow({
    databaseUrl: database.url,
    indexes: [INDEX],
    environment: { services, pollSeconds },
    aws,
    onEvent: (event) => {
      if (event.type !== 'StateEntered') return;
      if (event.state === WINDOW.buildIndexes) stopped.resolve();
      if (event.state === WINDOW.stopServices)
        savedAtStop.push(opened?.workflow.servicesWithSavedState ?? []);
    },
  });
  opened = workflow;
  const before = readServices(workflow);
  const { execution } = workflow.workflow.start({});
  await stopped.promise;
  execution.abort();
  await execution.result;
  await workflow.workflow.lambdas.idle();
  expect(readServices(workflow).withSavedState).toHaveLength(services.length);
  // Not a copy, because `alerts` is a getter.
  return Object.assign(workflow, { before, savedAtStop });
}

/** Updates the stack to a configuration with these services. */
function configure({ workflow }: TestWorkflow, services: Service[]): void {
  const environment = localEnvironment({ migrations: 'none', services: [], maxPauseSeconds: 1 });
  workflow.update({ environment: { ...environment, services } });
}

const renamed = (services: readonly Service[]): Service[] =>
  services.map((service) => ({ ...service, name: `${service.name}-2` }));

describe('a service that was stopped', () => {
  test.each([
    ['is renamed in the configuration', renamed(ALL_KINDS)],
    ['is removed from the configuration, as others are', ALL_KINDS.slice(1, 2)],
    ['is removed with all other services', []],
  ])('and %s is started by the reconciler, and the role may do it', async (_what, services) => {
    const workflow = await killAfterStopping();
    configure(workflow, services);

    const { status } = await workflow.workflow.recover({ reason: 'reconcile' });

    expect(status).toBe('SUCCEEDED');
    await workflow.workflow.aws.steady();
    expect(readServices(workflow)).toEqual(workflow.before);
    expect(workflow.alerts).toHaveLength(1);
    expect(workflow.alerts[0]?.Subject).toBe('pg-deploy-step: the recovery started services');
    for (const { name } of ALL_KINDS) {
      expect(workflow.alerts[0]?.Message).toContain(`"name":"${name}"`);
    }
  });

  test('and is renamed is stopped by the next deploy under its new name, and started with the original count', async () => {
    const workflow = await killAfterStopping();
    configure(workflow, renamed(ALL_KINDS));
    await database.query('drop index if exists idx_orders_status');

    const { report } = await workflow.deploy();

    const names = renamed(ALL_KINDS).map(({ name }) => name);
    expect(report.status).toBe('succeeded');
    // At the second stop, after that of the deploy that was killed.
    expect(workflow.savedAtStop).toEqual([ALL_KINDS.map(({ name }) => name), names]);
    expect(readServices(workflow)).toEqual(workflow.before);
    expect(report.services.map(({ name, status }) => [name, status])).toEqual(
      names.map((name) => [name, 'started']),
    );
  });

  test('and is removed is started by the next deploy too, and is in its report', async () => {
    const workflow = await killAfterStopping();
    configure(workflow, ALL_KINDS.slice(0, 1));
    await database.query('drop index if exists idx_orders_status');

    const { report } = await workflow.deploy();

    expect(report.status).toBe('succeeded');
    expect(readServices(workflow)).toEqual(workflow.before);
    expect(report.services.map(({ name, status }) => `${name} ${status}`).toSorted()).toEqual(
      ALL_KINDS.map(({ name }) => `${name} started`).toSorted(),
    );
  });

  test('gets its scaling back as it was saved, whatever is configured now', async () => {
    const workflow = await killAfterStopping();
    configure(
      workflow,
      ALL_KINDS.map((service) => (service.kind === 'ecs' ? { ...service, scaling: false } : service)),
    );

    await workflow.workflow.recover({ reason: 'reconcile' });

    expect(readServices(workflow)).toEqual(workflow.before);
  });
});

/** What the version before wrote of each service: it did not write the service itself. */
const EARLIER: Record<string, string> = {
  api: '{"desiredCount":2,"scaling":{"DynamicScalingInSuspended":false,"DynamicScalingOutSuspended":false,"ScheduledScalingSuspended":false}}',
  worker: '{"desiredCount":1,"scaling":null}',
  nightly: '{"state":"ENABLED"}',
  retired: '{"state":"DISABLED"}',
  mailer: '{"state":"Enabled"}',
};

/** Leaves what a killed deploy of the version before leaves: its saved states, and a schedule that is not enabled. */
function asEarlierVersion({ workflow }: TestWorkflow): void {
  const { ssm, eventBridge } = workflow.aws.state;
  for (const [name, current] of Object.entries(EARLIER)) {
    const parameter = ssm.parameters[savedStateName(LOCAL_NAMES, name)];
    const { deploy, execution } = JSON.parse(parameter?.Value ?? '{}');
    const Value = `{"current":${current},"stoppedAt":"2026-11-01T03:04:05.678Z","deploy":"${deploy}","execution":"${execution}"}`;
    Object.assign(parameter ?? {}, { Value });
  }
  for (const rule of eventBridge.rules) if (rule.name.endsWith('-reconcile')) rule.state = 'DISABLED';
}

describe('the saved states of the version before', () => {
  test.each<[string, (workflow: TestWorkflow) => Promise<unknown>]>([
    ['the update of the stack', ({ workflow }) => workflow.recover({ reason: 'stack-updated' })],
    ['a start by hand', ({ workflow }) => workflow.recover({})],
    [
      'the next deploy, which stops the services again',
      async (workflow) => {
        await database.query('drop index if exists idx_orders_status');
        expect((await workflow.deploy()).status).toBe('SUCCEEDED');
        expect(workflow.events.filter(({ state }) => state === WINDOW.serviceStopped)).not.toEqual([]);
      },
    ],
  ])('are restored by the services in the configuration: %s', async (_by, restore) => {
    const workflow = await killAfterStopping();
    asEarlierVersion(workflow);

    await restore(workflow);

    await workflow.workflow.aws.steady();
    expect(readServices(workflow)).toEqual(workflow.before);
  });

  test('of a service that is no longer configured are reported and kept, and keep no other service stopped', async () => {
    const workflow = await killAfterStopping();
    asEarlierVersion(workflow);
    configure(workflow, ALL_KINDS.slice(1));

    const { output } = await workflow.workflow.recover({ reason: 'reconcile' });

    const api = expect.objectContaining({
      name: 'api',
      outcome: 'failed',
      error: {
        Error: 'SavedStateUnreadable',
        Cause: `the parameter ${savedStateName(LOCAL_NAMES, 'api')} does not contain what is needed to start the service`,
      },
    });
    expect(output).toMatchObject({ services: expect.arrayContaining([api]) });
    expect(readServices(workflow)).toMatchObject({ desired: { api: 0, worker: 1 }, withSavedState: ['api'] });
    expect(workflow.alerts[0]?.Message).toContain('NOT RUNNING as before the deploy: ["api"]');
  });
});

test.each(['not JSON', '7', '{}', '{"current":{},"stoppedAt":"x","execution":"y","service":{"kind":"ecs"}}'])(
  'a saved state that someone has overwritten with %s is reported, and keeps no other service stopped',
  async (Value) => {
    const workflow = await killAfterStopping();
    Object.assign(workflow.workflow.aws.state.ssm.parameters[savedStateName(LOCAL_NAMES, 'worker')] ?? {}, {
      Value,
    });

    const { status, output } = await workflow.workflow.recover({});

    expect(status).toBe('SUCCEEDED');
    expect(output).toMatchObject({
      services: expect.arrayContaining([
        expect.objectContaining({ name: 'worker', outcome: 'failed', startedAt: null }),
        expect.objectContaining({ name: 'api', outcome: 'started' }),
      ]),
    });
    expect(readServices(workflow).withSavedState).toEqual(['worker']);
  },
);

test('more saved states than one page of Parameter Store are all restored', async () => {
  const rules = Array.from({ length: 23 }, (_, n) => ({
    kind: 'event-rule' as const,
    name: `rule-${n}`,
    rule: `rule-${n}`,
    eventBus: 'default',
  }));
  const inAws = rules.map(({ rule: name, eventBus }) => ({ name, eventBus, state: 'ENABLED' as const }));
  // With shorter pauses, so many services would need too many checks for one execution.
  const workflow = await killAfterStopping(rules, { services: [], rules: inAws }, 3);
  configure(workflow, []);

  await workflow.workflow.recover({});

  expect(readServices(workflow)).toEqual(workflow.before);
});

test('a saved state with the longest names fits into a standard parameter', async () => {
  const longest = 'n'.repeat(255);
  const service: Service = { kind: 'ecs', name: longest, cluster: longest, service: longest, scaling: true };
  const inAws = {
    cluster: longest,
    service: longest,
    desiredCount: 0,
    variables: {},
    scaling: { min: 0, max: 1 },
  };
  const { workflow } = await killAfterStopping([service], { services: [inAws] });

  const sizes = Object.entries(workflow.aws.state.ssm.parameters)
    .filter(([name]) => name.includes('/services/'))
    .map(([, { Value }]) => Value.length);

  expect(sizes).toHaveLength(1);
  expect(Math.max(...sizes)).toBeLessThan(4096);
});

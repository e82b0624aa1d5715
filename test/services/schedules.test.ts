import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Service } from '../../lib/config/services-config.ts';
import { TaskError } from '../../lib/local/engine/errors.ts';
import type { EngineEvent, Refuse } from '../../lib/local/engine.ts';
import { localEnvironment } from '../../lib/local/local-environment.ts';
import { SCHEDULE, WINDOW } from '../../lib/workflow/state-names.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { SCHEDULE_ROLE } from '../support/service-kinds.ts';
import { openTestWorkflow, type TestWorkflow, type TestWorkflowOptions } from '../support/workflow.ts';

const INDEX = {
  name: 'idx_orders_status',
  sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_orders_status ON orders (status)',
  critical: true,
  description: 'orders by status',
};
const INVOICES: Extract<Service, { kind: 'schedule' }> = {
  kind: 'schedule',
  name: 'invoices',
  schedule: 'invoices',
  group: 'billing',
  role: SCHEDULE_ROLE,
};
const KEY = 'arn:aws:kms:eu-west-1:000000000000:key/11111111-2222-3333-4444-555555555555';

/** A schedule with a value in each field that UpdateSchedule would reset. */
const complete = () => ({
  Name: 'invoices',
  GroupName: 'billing',
  ActionAfterCompletion: 'DELETE' as const,
  Description: 'sends the invoices',
  StartDate: '2098-01-01T00:00:00Z',
  EndDate: '2099-01-01T00:00:00Z',
  KmsKeyArn: KEY,
  FlexibleTimeWindow: { Mode: 'FLEXIBLE' as const, MaximumWindowInMinutes: 15 },
  ScheduleExpression: 'cron(0 6 * * ? *)',
  ScheduleExpressionTimezone: 'Europe/Vienna',
  State: 'ENABLED' as const,
  Target: {
    Arn: 'arn:aws:sqs:eu-west-1:000000000000:invoices',
    RoleArn: SCHEDULE_ROLE,
    Input: '{"all":true}',
  },
});
type Complete = ReturnType<typeof complete>;

let database: TestDatabase;
let opened: TestWorkflow | undefined;
let observe: (event: EngineEvent) => void = () => {};

beforeEach(async () => {
  database = await createDatabase();
  await database.query('create table orders (id int primary key, status text)');
});

afterEach(async () => {
  observe = () => {};
  await opened?.close();
  opened = undefined;
  await database.drop();
});

interface Given extends Partial<TestWorkflowOptions> {
  schedule?: Partial<Record<keyof Complete, unknown>>;
  service?: Partial<typeof INVOICES>;
}

async function open({ schedule = {}, service = {}, ...options }: Given = {}): Promise<TestWorkflow> {
  const fields = { ...complete(), ...schedule };
  opened = await openTestWorkflow({
    databaseUrl: database.url,
    indexes: [INDEX],
    services: 'none',
    environment: { services: [{ ...INVOICES, key: KEY, ...service }], pollSeconds: 1 },
    aws: {
      schedules: [
        Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Complete,
      ],
    },
    onEvent: (event) => observe(event),
    ...options,
  });
  return opened;
}

const isEntered = (event: EngineEvent, state: string) =>
  event.type === 'StateEntered' && event.state === state;

/** The schedule without its dates of change. */
function scheduleIn({ workflow }: TestWorkflow): Record<string, unknown> {
  const {
    stale: _,
    CreationDate: _at,
    LastModificationDate: _last,
    ...schedule
  } = workflow.aws.state.scheduler.schedules[0] ?? expect.fail('The schedule does not exist.');
  return schedule;
}

const states = (workflow: TestWorkflow) =>
  workflow.events.filter((event) => event.type === 'StateEntered').map((event) => event.state);

describe('a schedule', () => {
  test('is disabled during the deploy, and each of its fields is as before it', async () => {
    const workflow = await open();
    const before = scheduleIn(workflow);
    expect(before).toEqual(complete());
    const seen: unknown[] = [];
    observe = (event) => {
      if (isEntered(event, WINDOW.buildIndexes)) seen.push(scheduleIn(workflow));
    };

    const { report } = await workflow.deploy();

    expect(report.status).toBe('succeeded');
    expect(seen).toEqual([{ ...before, State: 'DISABLED' }]);
    expect(scheduleIn(workflow)).toEqual(before);
    expect(workflow.workflow.servicesWithSavedState).toEqual([]);
  });

  test('keeps what someone changes while it is disabled', async () => {
    const workflow = await open();
    const changed = {
      Description: 'twice a day',
      ScheduleExpression: 'cron(0 6,18 * * ? *)',
      EndDate: undefined,
    };
    observe = (event) => {
      if (isEntered(event, WINDOW.buildIndexes))
        Object.assign(workflow.workflow.aws.state.scheduler.schedules[0] ?? {}, changed);
    };

    await workflow.deploy();

    expect(scheduleIn(workflow)).toEqual(JSON.parse(JSON.stringify({ ...complete(), ...changed })));
  });

  test('that is disabled stays as it is, and is not changed', async () => {
    const workflow = await open({ schedule: { State: 'DISABLED' } });

    const { report } = await workflow.deploy();

    expect(report.status).toBe('succeeded');
    expect(scheduleIn(workflow)).toEqual({ ...complete(), State: 'DISABLED' });
    expect(states(workflow)).not.toContain(SCHEDULE.disable);
    expect(states(workflow)).not.toContain(SCHEDULE.enable);
  });

  test('with only the required fields is as before the deploy', async () => {
    const optional = ['Description', 'StartDate', 'EndDate', 'KmsKeyArn', 'ActionAfterCompletion'] as const;
    const workflow = await open({
      schedule: Object.fromEntries(optional.map((field) => [field, undefined])),
      service: { key: undefined },
    });
    const before = scheduleIn(workflow);

    const { report } = await workflow.deploy();

    expect(report.status).toBe('succeeded');
    expect(before).not.toHaveProperty('Description');
    expect(scheduleIn(workflow)).toEqual(before);
  });

  test('whose start date has passed loses only this date, because Scheduler refuses it', async () => {
    const workflow = await open({ schedule: { StartDate: '2020-01-01T00:00:00Z' } });

    const { report } = await workflow.deploy();

    expect(report.status).toBe('succeeded');
    const { StartDate: _, ...others } = complete();
    expect(scheduleIn(workflow)).toEqual(others);
    expect(states(workflow)).toContain(SCHEDULE.disableWithoutStart);
  });

  test('that has ended is not changed', async () => {
    const dates = { StartDate: '2020-01-01T00:00:00Z', EndDate: '2021-01-01T00:00:00Z' };
    const workflow = await open({ schedule: dates });

    const { report } = await workflow.deploy();

    expect(report.status).toBe('succeeded');
    expect(scheduleIn(workflow)).toEqual({ ...complete(), ...dates });
  });

  test('that ends while it is disabled is not changed any more, and the deploy succeeds', async () => {
    const workflow = await open();
    const EndDate = '2021-01-01T00:00:00Z';
    observe = (event) => {
      if (isEntered(event, WINDOW.buildIndexes))
        Object.assign(workflow.workflow.aws.state.scheduler.schedules[0] ?? {}, { EndDate });
    };

    const { report } = await workflow.deploy();

    expect(report.status).toBe('succeeded');
    expect(scheduleIn(workflow)).toEqual({ ...complete(), EndDate, State: 'DISABLED' });
    expect(workflow.workflow.servicesWithSavedState).toEqual([]);
  });
});

describe('a deploy is refused before it stops anything because of a schedule', () => {
  const refusals: [what: string, given: Given, reason: string][] = [
    [
      'that does not exist',
      { service: { schedule: 'ghost' } },
      'the schedule does not exist: check "schedule" and "group" of its entry',
    ],
    [
      'that runs once',
      { schedule: { ScheduleExpression: 'at(2098-11-20T13:00:00)' } },
      'it runs only once ("at"), and a run at a time when it is disabled would be lost',
    ],
    [
      'with another role',
      { service: { role: 'arn:aws:iam::000000000000:role/other' } },
      `the role of its target is ${SCHEDULE_ROLE}, but "role" of its entry is arn:aws:iam::000000000000:role/other`,
    ],
    [
      'with a key that is not configured',
      { service: { key: undefined } },
      `its KMS key is "${KEY}", but "key" of its entry is ""`,
    ],
    [
      'without the key that is configured',
      { schedule: { KmsKeyArn: undefined } },
      `its KMS key is "", but "key" of its entry is "${KEY}"`,
    ],
  ];
  test.each(refusals)('%s', async (_what, given, reason) => {
    const workflow = await open(given);
    const before = scheduleIn(workflow);

    const { status, cause } = await workflow.deploy();

    expect(status).toBe('FAILED');
    expect(cause).toContain('Services cannot be stopped, so nothing was stopped or changed.');
    expect(cause).toContain(`invoices: ${reason}`);
    expect(scheduleIn(workflow)).toEqual(before);
    expect(states(workflow)).not.toContain(WINDOW.saveState);
  });

  test('with a field that UpdateSchedule would reset, because this version does not know it', async () => {
    const workflow = await open();
    Object.assign(workflow.workflow.aws.state.scheduler.schedules[0] ?? {}, { Priority: 7, Note: null });

    const { cause } = await workflow.deploy();

    expect(cause).toContain('invoices: it has fields that this version of pg-deploy-step does not know');
    expect(cause).toContain('"Priority"');
    expect(scheduleIn(workflow)).toEqual({ ...complete(), Priority: 7, Note: null });
  });
});

const denied = (action: string) =>
  new TaskError('Scheduler.SchedulerException', `User is not authorized to perform: scheduler:${action}`);

/** Refuses the call of a state, once or always. */
function refuseIn(state: string, error: TaskError, { once = false } = {}): Refuse {
  let entered = false;
  observe = (event) => {
    if (event.type === 'StateEntered') entered = event.state === state;
  };
  let done = false;
  return (resource) => {
    if (!entered || done || !resource.includes(':scheduler:')) return undefined;
    done = once;
    return error;
  };
}

describe('an error of the API', () => {
  test('at the check: nothing is stopped', async () => {
    const workflow = await open({ refuse: refuseIn(SCHEDULE.describe, denied('GetSchedule')) });

    const { status } = await workflow.deploy();

    expect(status).toBe('FAILED');
    expect(scheduleIn(workflow)).toEqual(complete());
    expect(states(workflow)).not.toContain(SCHEDULE.disable);
    expect(workflow.workflow.servicesWithSavedState).toEqual([]);
  });

  test.each([
    ['the read before the stop', SCHEDULE.readToDisable, 'GetSchedule'],
    ['the stop', SCHEDULE.disable, 'UpdateSchedule'],
    ['the wait for the stop', SCHEDULE.disabled.check, 'GetSchedule'],
  ])('at %s: the deploy fails, and the schedule is as before', async (_what, state, action) => {
    const workflow = await open({ refuse: refuseIn(state, denied(action)) });

    const { status, cause } = await workflow.deploy();

    expect(status).toBe('FAILED');
    expect(cause).toContain(
      `invoices: Scheduler.SchedulerException: User is not authorized to perform: scheduler:${action}`,
    );
    expect(scheduleIn(workflow)).toEqual(complete());
    expect(workflow.workflow.servicesWithSavedState).toEqual([]);
  });

  test.each([
    ['the read before the start', SCHEDULE.readToEnable, 'GetSchedule'],
    ['the start', SCHEDULE.enable, 'UpdateSchedule'],
    ['the wait for the start', SCHEDULE.enabled.check, 'GetSchedule'],
  ])(
    'at %s: the saved state is kept, and the recovery enables the schedule',
    async (_what, state, action) => {
      const workflow = await open({ refuse: refuseIn(state, denied(action)) });

      const { status, cause } = await workflow.deploy();
      observe = () => {};

      expect(status).toBe('FAILED');
      expect(cause).toContain('Services could not be started: invoices: Scheduler.SchedulerException');
      expect(workflow.workflow.servicesWithSavedState).toEqual(['invoices']);
      const recovered = refuseNothing(workflow);
      expect((await recovered).status).toBe('SUCCEEDED');
      expect(scheduleIn(workflow)).toEqual(complete());
      expect(workflow.workflow.servicesWithSavedState).toEqual([]);
    },
  );

  test.each([
    ['throttling', 'Scheduler.ThrottlingException'],
    ['another change at the same time', 'Scheduler.ConflictException'],
    ['an internal error', 'Scheduler.InternalServerException'],
  ])('that can pass is retried: %s', async (_what, name) => {
    const workflow = await open({
      refuse: refuseIn(SCHEDULE.disable, new TaskError(name, 'try again'), { once: true }),
    });

    const { report } = await workflow.deploy();

    expect(report.status).toBe('succeeded');
    expect(
      workflow.events.filter(({ type, state }) => type === 'StateRetried' && state === SCHEDULE.disable),
    ).toHaveLength(1);
    expect(scheduleIn(workflow)).toEqual(complete());
  });

  test('for other reasons than the start date is not hidden by the second attempt', async () => {
    const workflow = await open({
      refuse: refuseIn(
        SCHEDULE.disable,
        new TaskError('Scheduler.ValidationException', 'Invalid Schedule Expression'),
      ),
    });
    const refuseBoth = (event: EngineEvent) =>
      isEntered(event, SCHEDULE.disable) || isEntered(event, SCHEDULE.disableWithoutStart);
    const inner = observe;
    observe = (event) => inner(refuseBoth(event) ? { ...event, state: SCHEDULE.disable } : event);

    const { status, cause } = await workflow.deploy();

    expect(status).toBe('FAILED');
    expect(cause).toContain('invoices: Scheduler.ValidationException: Invalid Schedule Expression');
    expect(scheduleIn(workflow)).toEqual(complete());
  });
});

/** A recovery after the refusals. */
async function refuseNothing({ workflow }: TestWorkflow) {
  return await workflow.recover({});
}

describe('a schedule whose deploy was killed', () => {
  async function killAfterStopping(): Promise<TestWorkflow> {
    const workflow = await open();
    const { execution } = workflow.workflow.start({});
    observe = (event) => {
      if (isEntered(event, WINDOW.buildIndexes)) execution.abort();
    };
    await execution.result;
    observe = () => {};
    await workflow.workflow.lambdas.idle();
    expect(scheduleIn(workflow).State).toBe('DISABLED');
    return workflow;
  }

  test('is enabled by the recovery, also when it is no longer configured: the role keeps its rights', async () => {
    const workflow = await killAfterStopping();
    const environment = localEnvironment({ migrations: 'none', services: [], maxPauseSeconds: 1 });
    workflow.workflow.update({ environment: { ...environment, services: [] } });

    const { status } = await workflow.workflow.recover({ reason: 'reconcile' });

    expect(status).toBe('SUCCEEDED');
    expect(scheduleIn(workflow)).toEqual(complete());
    expect(workflow.workflow.servicesWithSavedState).toEqual([]);
  });

  test('and whose role was changed meanwhile is not enabled: the workflow may pass the configured role only', async () => {
    const workflow = await killAfterStopping();
    const RoleArn = 'arn:aws:iam::000000000000:role/admin';
    Object.assign(workflow.workflow.aws.state.scheduler.schedules[0]?.Target ?? {}, { RoleArn });

    await workflow.workflow.recover({ reason: 'reconcile' });

    expect(scheduleIn(workflow)).toMatchObject({ State: 'DISABLED', Target: { RoleArn } });
    expect(workflow.workflow.servicesWithSavedState).toEqual(['invoices']);
    expect(workflow.alerts.at(-1)?.Subject).toBe('pg-deploy-step: services could NOT be started');
    expect(workflow.alerts.at(-1)?.Message).toContain(
      `not authorized to perform: iam:PassRole on resource: ${RoleArn}`,
    );
  });

  test('and that was deleted is reported by the recovery', async () => {
    const workflow = await killAfterStopping();
    workflow.workflow.aws.state.scheduler.schedules.splice(0);

    await workflow.workflow.recover({ reason: 'reconcile' });

    expect(workflow.alerts.at(-1)?.Message).toContain('Scheduler.ResourceNotFoundException');
    expect(workflow.workflow.servicesWithSavedState).toEqual(['invoices']);
  });
});

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { TaskError } from '../../lib/local/engine/errors.ts';
import type { EngineEvent, Refuse } from '../../lib/local/engine.ts';
import { functionArn } from '../../lib/local/local-arns.ts';
import { localEnvironment } from '../../lib/local/local-environment.ts';
import { CUSTOM, WINDOW } from '../../lib/workflow/state-names.ts';
import type { Answers } from '../support/custom-service.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { CUSTOM_SERVICE as SERVICE } from '../support/service-kinds.ts';
import { VirtualClock } from '../support/virtual-clock.ts';
import { openTestWorkflow, type TestWorkflow, type TestWorkflowOptions } from '../support/workflow.ts';

const INDEX = {
  name: 'idx_orders_status',
  sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_orders_status ON orders (status)',
  critical: true,
  description: 'orders by status',
};

let database: TestDatabase;
let opened: TestWorkflow | undefined;
let observe: (event: EngineEvent) => void = () => {};

beforeEach(async () => {
  SERVICE.reset();
  database = await createDatabase();
  await database.query('create table orders (id int primary key, status text)');
});

afterEach(async () => {
  observe = () => {};
  await opened?.close();
  opened = undefined;
  await database.drop();
});

async function open(options: Partial<TestWorkflowOptions> = {}): Promise<TestWorkflow> {
  opened = await openTestWorkflow({
    databaseUrl: database.url,
    indexes: [INDEX],
    services: 'none',
    environment: { services: [SERVICE.service], pollSeconds: 1 },
    aws: { customFunctions: [SERVICE.function] },
    engineClock: new VirtualClock('real'),
    onEvent: (event) => observe(event),
    ...options,
  });
  return opened;
}

const isEntered = (event: EngineEvent, state: string) =>
  event.type === 'StateEntered' && event.state === state;

const states = (workflow: TestWorkflow) =>
  workflow.events.filter((event) => event.type === 'StateEntered').map((event) => event.state);

const actions = () => SERVICE.calls.map(({ action }) => action);

describe('the function', () => {
  test('is asked to check, stop, look and start, with the state that it returned at the check', async () => {
    const seen: unknown[] = [];
    observe = (event) => {
      if (isEntered(event, WINDOW.buildIndexes)) seen.push(SERVICE.capacity);
    };
    const workflow = await open();
    const started = workflow.workflow.start({}, 'release-7');

    const { summary } = await started.ended;

    expect(summary?.report.status).toBe('succeeded');
    expect(seen).toEqual([0]);
    expect(SERVICE.capacity).toBe(3);
    const event = { environment: 'local', name: 'jobs', deploy: 'release-7' };
    const since = expect.stringMatching(/^\d{4}-\d{2}-\d{2}T[\d:.]+Z$/);
    expect(SERVICE.calls).toEqual([
      { action: 'check', ...event, state: null },
      { action: 'stop', ...event, state: { capacity: 3 } },
      { action: 'look', ...event, state: { capacity: 3 }, since },
      { action: 'start', ...event, state: { capacity: 3 } },
      { action: 'look', ...event, state: { capacity: 3 }, since },
    ]);
    expect(workflow.workflow.servicesWithSavedState).toEqual([]);
  });

  test('is asked again until it says that the service has stopped, and that it has started', async () => {
    const workflow = await open();
    const twice = { look: { returns: { stopped: false, started: false }, times: 2 } };
    observe = (event) => {
      if (isEntered(event, CUSTOM.stop) || isEntered(event, CUSTOM.start)) SERVICE.answer(twice);
    };

    const { report } = await workflow.deploy();

    expect(report.status).toBe('succeeded');
    expect(actions()).toEqual([
      ...['check', 'stop', 'look', 'look', 'look'],
      ...['start', 'look', 'look', 'look'],
    ]);
  });

  test('gets a service that was stopped before the deploy back as it was', async () => {
    SERVICE.capacity = 0;
    const workflow = await open();

    const { report } = await workflow.deploy();

    expect(report.status).toBe('succeeded');
    expect(SERVICE.capacity).toBe(0);
  });

  test('gets the state of the check whatever text it contains', async () => {
    const state = {
      text: "{% $states.input %} '{}' \\ $.service.name",
      ümlaut: '✓',
      list: [null, 1, { 'a.b': [] }],
    };
    const workflow = await open();
    SERVICE.answer({
      check: { returns: { usable: true, state } },
      stop: { returns: null },
      look: { returns: { stopped: true, started: true } },
      start: { returns: 'anything' },
    });

    const { report } = await workflow.deploy();

    expect(report.status).toBe('succeeded');
    const calls = SERVICE.calls.filter(({ action }) => action !== 'check');
    expect(calls.map((call) => call.state)).toEqual(calls.map(() => state));
  });
});

test('the function learns at a look when the last stop or start was answered', async () => {
  const workflow = await open();
  const twice = { look: { returns: { stopped: false, started: false }, times: 1 } };
  observe = (event) => {
    if (isEntered(event, CUSTOM.stop) || isEntered(event, CUSTOM.start)) SERVICE.answer(twice);
  };

  await workflow.deploy();

  const looks = SERVICE.calls.filter(({ action }) => action === 'look').map(({ since }) => since);
  expect(looks).toHaveLength(4);
  expect(looks[1]).toBe(looks[0]);
  expect(looks[3]).toBe(looks[2]);
  expect(Date.parse(String(looks[2]))).toBeGreaterThan(Date.parse(String(looks[0])));
});

describe('a deploy is refused before it stops anything because the function', () => {
  const LONG = 'x'.repeat(5000);
  const undocumented = 'jobs: its function did not answer "check" as documented';
  const cases: [what: string, answer: object, reason: string][] = [
    [
      'refuses, with its reason',
      { returns: { usable: false, reason: 'the group is being replaced: {} {% 1 %} \\' } },
      'jobs: the group is being replaced: {} {% 1 %} \\',
    ],
    [
      'refuses with a long reason, which is shortened',
      { returns: { usable: false, reason: LONG } },
      `jobs: ${'x'.repeat(500)}`,
    ],
    ['refuses without a reason', { returns: { usable: false } }, undocumented],
    ['returns nothing', { returns: null }, undocumented],
    ['returns a list', { returns: [{ usable: true, state: {} }] }, undocumented],
    ['returns a text', { returns: 'usable' }, undocumented],
    ['returns no state', { returns: { usable: true } }, undocumented],
    ['returns a state that is no object', { returns: { usable: true, state: 3 } }, undocumented],
    [
      'returns a state that is too long',
      { returns: { usable: true, state: { text: 'y'.repeat(1000) } } },
      undocumented,
    ],
    ['says something else than true', { returns: { usable: 'true', state: {} } }, undocumented],
    [
      'fails, with its message',
      { throws: 'AccessDenied', message: 'it may not read the group' },
      'jobs: it could not be read: AccessDenied: it may not read the group.',
    ],
    [
      'fails with a long message, which is shortened',
      { throws: 'AccessDenied', message: LONG },
      'jobs: it could not be read: AccessDenied: {"errorType":"AccessDenied"',
    ],
  ];
  test.each(cases)('%s', async (_what, check, reason) => {
    SERVICE.answer({ check });
    const workflow = await open();

    const { status, cause, report } = await workflow.deploy();

    expect(status).toBe('FAILED');
    expect(cause).toContain('Services cannot be stopped, so nothing was stopped or changed.');
    expect(cause).toContain(reason);
    expect(cause?.length).toBeLessThan(2500);
    expect(JSON.stringify(report)).not.toContain('x'.repeat(1001));
    expect(actions()).toEqual(['check']);
    expect(states(workflow)).not.toContain(WINDOW.saveState);
  });

  test('does not exist', async () => {
    const missing = { ...SERVICE.service, function: functionArn('ghost') };
    const workflow = await open({ environment: { services: [missing] } });

    const { cause } = await workflow.deploy();

    expect(cause).toContain(
      'jobs: it could not be read: Lambda.ResourceNotFoundException: Function not found',
    );
  });
});

/** Answers only while this state is the last one that was entered. */
function answerIn(state: string, answers: Answers): void {
  observe = (event) => {
    if (event.type === 'StateEntered') SERVICE.answer(event.state === state ? answers : {});
  };
}

describe('a function that fails', () => {
  const failure = { throws: 'Broken', message: 'z'.repeat(5000) };

  test.each([
    ['to stop the service', CUSTOM.stop, { stop: failure }, 'jobs: Broken: '],
    ['to look whether it has stopped', CUSTOM.stopped.check, { look: failure }, 'jobs: Broken: '],
    [
      'to answer a look as documented',
      CUSTOM.stopped.check,
      { look: { returns: { stopped: 'yes', started: false } } },
      'jobs: AnswerNotUnderstood: the function did not answer "look" as documented',
    ],
  ])('%s: the deploy fails, and the service is as before', async (_what, state, answers, reason) => {
    const workflow = await open();
    answerIn(state, answers);

    const { status, cause } = await workflow.deploy();

    expect(status).toBe('FAILED');
    expect(cause).toContain(reason);
    expect(cause).not.toContain('z'.repeat(1001));
    expect(SERVICE.capacity).toBe(3);
    expect(workflow.workflow.servicesWithSavedState).toEqual([]);
  });

  test.each([
    ['to start the service', CUSTOM.start, { start: failure }, 'jobs: Broken: '],
    ['to look whether it has started', CUSTOM.started.check, { look: failure }, 'jobs: Broken: '],
    [
      'to answer a look as documented',
      CUSTOM.started.check,
      { look: { returns: 'started' } },
      'jobs: AnswerNotUnderstood: the function did not answer "look" as documented',
    ],
  ])('%s: the saved state is kept, and the recovery starts it', async (_what, state, answers, reason) => {
    const workflow = await open();
    answerIn(state, answers);

    const { status, cause } = await workflow.deploy();

    expect(status).toBe('FAILED');
    expect(cause).toContain(`Services could not be started: ${reason}`);
    expect(workflow.workflow.servicesWithSavedState).toEqual(['jobs']);
    observe = () => {};
    SERVICE.answer({});
    expect((await workflow.workflow.recover({})).status).toBe('SUCCEEDED');
    expect(SERVICE.capacity).toBe(3);
    expect(workflow.workflow.servicesWithSavedState).toEqual([]);
  });

  test('with RetryLater is asked again', async () => {
    const workflow = await open();
    observe = (event) => {
      if (event.type !== 'StateEntered' || event.state === null) return;
      const action = { [CUSTOM.check]: 'check', [CUSTOM.stop]: 'stop', [CUSTOM.start]: 'start' }[event.state];
      if (action !== undefined) SERVICE.answer({ [action]: { throws: 'RetryLater', times: 2 } });
    };

    const { report } = await workflow.deploy();

    expect(report.status).toBe('succeeded');
    expect(actions()).toEqual([
      ...['check', 'check', 'check', 'stop', 'stop', 'stop', 'look'],
      ...['start', 'start', 'start', 'look'],
    ]);
  });
});

describe('a service that does not', () => {
  const never = { look: { returns: { stopped: false, started: false } } };

  test('stop within stopMinutes is started again', async () => {
    const workflow = await open({
      environment: { services: [SERVICE.service], pollSeconds: 1, stopMinutes: 0.1 },
    });
    observe = (event) => {
      if (isEntered(event, CUSTOM.stop)) SERVICE.answer(never);
      if (isEntered(event, CUSTOM.start)) SERVICE.answer({});
    };

    const { status, cause } = await workflow.deploy();

    expect(status).toBe('FAILED');
    expect(cause).toContain('jobs');
    expect(SERVICE.capacity).toBe(3);
    expect(workflow.workflow.servicesWithSavedState).toEqual([]);
  });

  test('start within startMinutes is reported, and its saved state is kept', async () => {
    const workflow = await open({
      environment: { services: [SERVICE.service], pollSeconds: 1, startMinutes: 0.1 },
    });
    observe = (event) => {
      if (isEntered(event, CUSTOM.start)) SERVICE.answer(never);
    };

    const { report } = await workflow.deploy();

    expect(report.services).toMatchObject([{ name: 'jobs', status: 'not-steady' }]);
    expect(workflow.workflow.servicesWithSavedState).toEqual(['jobs']);
  });
});

describe('the role of the state machines', () => {
  /** Kills a deploy when it has stopped the service. */
  async function killAfterStopping(): Promise<TestWorkflow> {
    const workflow = await open();
    const { execution } = workflow.workflow.start({});
    observe = (event) => {
      if (isEntered(event, WINDOW.buildIndexes)) execution.abort();
    };
    await execution.result;
    observe = () => {};
    await workflow.workflow.lambdas.idle();
    expect(SERVICE.capacity).toBe(0);
    return workflow;
  }

  test('may start a service that is no longer configured', async () => {
    const workflow = await killAfterStopping();
    const environment = localEnvironment({ migrations: 'none', services: [], maxPauseSeconds: 1 });
    workflow.workflow.update({ environment: { ...environment, services: [] } });

    const { status } = await workflow.workflow.recover({ reason: 'reconcile' });

    expect(status).toBe('SUCCEEDED');
    expect(SERVICE.capacity).toBe(3);
    expect(workflow.workflow.servicesWithSavedState).toEqual([]);
  });

  test('may invoke no other function that someone writes into the saved state', async () => {
    const workflow = await killAfterStopping();
    const { parameters } = workflow.workflow.aws.state.ssm;
    const name = Object.keys(parameters).find((parameter) => parameter.endsWith('/services/jobs')) ?? '';
    const Value =
      parameters[name]?.Value.replace(SERVICE.service.function, functionArn('delete-everything')) ?? '';
    await workflow.workflow.aws.call('arn:aws:states:::aws-sdk:ssm:putParameter', {
      ...{ Name: name, Type: 'String', Overwrite: true, Value },
    });

    await workflow.workflow.recover({ reason: 'reconcile' });

    expect(workflow.alerts.at(-1)?.Message).toContain('not authorized to perform: lambda:InvokeFunction');
    expect(workflow.workflow.servicesWithSavedState).toEqual(['jobs']);
  });
});

test('throttling and errors of Lambda are retried', async () => {
  const errors = ['Lambda.TooManyRequestsException', 'Lambda.ServiceException', 'States.Timeout'];
  const left = new Map<string, number>();
  const refuse: Refuse = (_resource, parameters) => {
    const { FunctionName, Payload } = parameters as { FunctionName?: string; Payload?: { action?: string } };
    if (FunctionName !== SERVICE.service.function) return undefined;
    const action = Payload?.action ?? '';
    const count = left.get(action) ?? 0;
    left.set(action, count + 1);
    const name = errors[count];
    return name === undefined ? undefined : new TaskError(name, 'try again');
  };
  const workflow = await open({ refuse });

  const { report } = await workflow.deploy();

  expect(report.status).toBe('succeeded');
  expect(SERVICE.capacity).toBe(3);
  expect([...left.keys()].toSorted()).toEqual(['check', 'look', 'start', 'stop']);
});

describe('a function that times out in each of its attempts', () => {
  /** No call of these actions returns in time. */
  const timeOutOf =
    (late: Set<string>): Refuse =>
    (_resource, parameters) => {
      const { Payload } = parameters as { Payload?: { action?: string } };
      return late.has(Payload?.action ?? '')
        ? new TaskError('States.Timeout', 'the function did not answer')
        : undefined;
    };

  test.each([
    [
      'check',
      'Services cannot be stopped, so nothing was stopped or changed. jobs: it could not be read: States.Timeout',
    ],
    ['stop', 'Services could not be stopped: jobs: States.Timeout'],
  ])(
    'at the %s: the deploy fails after three attempts, and the service is as before',
    async (action, reason) => {
      const workflow = await open({ refuse: timeOutOf(new Set([action])) });

      const { status, cause } = await workflow.deploy();

      expect(status).toBe('FAILED');
      expect(cause).toContain(reason);
      expect(
        workflow.events.filter(
          ({ type, state }) => type === 'StateRetried' && (state === CUSTOM.check || state === CUSTOM.stop),
        ),
      ).toHaveLength(2);
      expect(SERVICE.capacity).toBe(3);
      expect(workflow.workflow.servicesWithSavedState).toEqual([]);
    },
  );

  test('at the start: its saved state is kept, and the recovery starts it', async () => {
    const late = new Set(['start']);
    const workflow = await open({ refuse: timeOutOf(late) });

    const { cause } = await workflow.deploy();

    expect(cause).toContain('Services could not be started: jobs: States.Timeout');
    expect(workflow.workflow.servicesWithSavedState).toEqual(['jobs']);
    late.clear();
    expect((await workflow.workflow.recover({})).status).toBe('SUCCEEDED');
    expect(SERVICE.capacity).toBe(3);
  });

  test('at the looks: the stop fails, and then the start, until the recovery looks again', async () => {
    const late = new Set(['look']);
    const workflow = await open({ refuse: timeOutOf(late) });

    const { cause } = await workflow.deploy();

    expect(cause).toContain('jobs: States.Timeout');
    expect(workflow.workflow.servicesWithSavedState).toEqual(['jobs']);
    late.clear();
    expect((await workflow.workflow.recover({})).status).toBe('SUCCEEDED');
    expect(SERVICE.capacity).toBe(3);
    expect(workflow.workflow.servicesWithSavedState).toEqual([]);
  });
});

import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import type { AwsState } from '../../lib/local/aws/state-file.ts';
import { StatesRuntime } from '../../lib/local/engine/errors.ts';
import { type EngineEvent, REAL_CLOCK } from '../../lib/local/engine.ts';
import { LOCAL_NAMES } from '../../lib/local/local-environment.ts';
import { markerName, savedStateName } from '../../lib/workflow/services/saved-state.ts';
import { HOLD, RECOVERY, START_SERVICES, WINDOW } from '../../lib/workflow/state-names.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { ALL_KINDS, ALL_KINDS_IN_AWS, readServices } from '../support/service-kinds.ts';
import { eventually } from '../support/waits.ts';
import { openTestWorkflow, type TestWorkflow } from '../support/workflow.ts';

/*
 * Kills the recovery in each of its states. The next recovery starts the services. The tests in the folder killed cover
 * the states of start-services that every start has.
 */

/** No other pause has this length. */
const HOLD_MINUTES = 1_000;
/** Ends the pause of the limit of a hold. */
let reachLimit: () => void;
let limitReached: Promise<void>;

let database: TestDatabase;
let workflow: TestWorkflow;
let observe: (event: EngineEvent) => void = () => {};

beforeAll(async () => {
  database = await createDatabase();
  await database.query('create table orders (id int primary key, status text)');
  workflow = await openTestWorkflow({
    databaseUrl: database.url,
    indexes: [
      {
        name: 'idx_orders_status',
        sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_orders_status ON orders (status)',
        description: 'orders by status',
      },
    ],
    environment: { services: ALL_KINDS, steadyChecks: 2, startMinutes: 0.4, holdMinutes: HOLD_MINUTES },
    aws: ALL_KINDS_IN_AWS,
    engineClock: {
      ...REAL_CLOCK,
      sleep: async (seconds, signal, purpose) => {
        if (seconds !== HOLD_MINUTES * 60) return await REAL_CLOCK.sleep(seconds, signal, purpose);
        const aborted = new Promise<void>((resolve) => {
          signal.addEventListener('abort', () => resolve(), { once: true });
        });
        await Promise.race([limitReached, aborted]);
        signal.throwIfAborted();
      },
    },
    onEvent: (event) => observe(event),
  });
});

afterEach(() => {
  vi.restoreAllMocks();
  observe = () => {};
});

afterAll(async () => {
  await workflow.close();
  await database.drop();
});

/** A deploy that is killed when it has stopped the services. */
async function killedDeploy(): Promise<void> {
  await database.query('drop index if exists idx_orders_status');
  const { execution } = workflow.workflow.start({});
  observe = ({ type, state }) => {
    if (type === 'StateEntered' && state === WINDOW.buildIndexes) execution.abort();
  };
  await execution.result;
  observe = () => {};
  await workflow.workflow.lambdas.idle();
  expect(readServices(workflow).processes).toEqual({ api: 0, worker: 0 });
}

/** Writes a parameter as an earlier recovery did. */
function setParameter(name: string, Value: string): void {
  const { parameters } = workflow.workflow.aws.state.ssm;
  parameters[`/pg-deploy-step/local/${name}`] = {
    ...{ Type: 'String', Value, Version: 1, LastModifiedDate: new Date().toISOString() },
  };
}

/** The ARN of a recovery that has ended. */
let ended = '';

function setKnownIncident(): void {
  const saved = workflow.workflow.aws.state.ssm.parameters[savedStateName(LOCAL_NAMES, 'worker')];
  const { execution } = JSON.parse(saved?.Value ?? '{}');
  setParameter('incidents/worker', JSON.stringify({ execution, counted: false, alerted: false }));
}

/** Every recovery fails until the mock is removed. */
function failChildren(): void {
  const { aws } = workflow.workflow;
  const call = aws.call.bind(aws);
  vi.spyOn(aws, 'call').mockImplementation(async (resource, ...rest) => {
    if (resource.endsWith(':getParametersByPath')) throw new StatesRuntime('no such path');
    return await call(resource, ...rest);
  });
}

let deleted: AwsState['ecs']['services'] = [];

function deleteWorker(): void {
  const { services } = workflow.workflow.aws.state.ecs;
  deleted = services.splice(
    services.findIndex(({ service }) => service === 'worker'),
    1,
  );
}

interface Situation {
  /** The states in which the recovery is killed. */
  states: readonly string[];
  /** Creates the situation after a deploy was killed. */
  prepare: () => void;
}

const SITUATIONS: readonly Situation[] = [
  {
    prepare: () => undefined,
    states: [
      START_SERVICES.begin,
      START_SERVICES.startedAsRecovery,
      RECOVERY.readMarker,
      RECOVERY.acquireLock,
      RECOVERY.run,
      START_SERVICES.startAsRecovery,
      START_SERVICES.hasDeployEnded,
      START_SERVICES.describeDeploy,
      START_SERVICES.isDeployRunning,
      START_SERVICES.readIncident,
      START_SERVICES.shouldAlert,
      START_SERVICES.prepareAlert,
      START_SERVICES.alert,
      START_SERVICES.alertSent,
      RECOVERY.releaseLock,
      RECOVERY.deleteFailure,
      RECOVERY.recovered,
    ],
  },
  {
    // A lock of a recovery that was killed.
    prepare: () => setParameter('recovery', ended),
    states: [
      RECOVERY.readLock,
      RECOVERY.isOwnLock,
      RECOVERY.describeHolder,
      RECOVERY.isHolderRunning,
      RECOVERY.takeOverLock,
      RECOVERY.waitForLock,
      RECOVERY.countLockCheck,
    ],
  },
  {
    // A lock of a recovery that Step Functions does not show.
    prepare: () => setParameter('recovery', `${ended}-deleted`),
    states: [RECOVERY.isHolderGone],
  },
  {
    prepare: setKnownIncident,
    states: [
      START_SERVICES.isSameIncident,
      START_SERVICES.knownIncident,
      START_SERVICES.useCountOfIncident,
      START_SERVICES.deleteIncident,
    ],
  },
  {
    prepare: failChildren,
    states: [
      RECOVERY.releaseLockAfterFailure,
      RECOVERY.recordFailure,
      RECOVERY.prepareFailureAlert,
      RECOVERY.failureAlert,
      RECOVERY.failed,
    ],
  },
  { prepare: deleteWorker, states: [START_SERVICES.prepareAlertNotStarted] },
];

test('after a kill of the recovery in any of its states the next recovery starts the services', async () => {
  const before = readServices(workflow);
  const { engine, machines } = workflow.workflow;
  const reached: string[] = [];
  const first = engine.start(machines.startServices, { reason: 'reconcile' });
  await first.result;
  ended = first.arn;
  for (const { prepare, state } of SITUATIONS.flatMap(({ states, ...situation }) =>
    states.map((state) => ({ state, ...situation })),
  )) {
    await killedDeploy();
    prepare();
    const killed = engine.start(machines.startServices, { reason: 'reconcile' });
    observe = (event) => {
      if (event.type !== 'StateEntered' || event.machine !== machines.startServices) return;
      if (event.state !== state) return;
      reached.push(state);
      killed.abort();
    };
    await killed.result;
    observe = () => {};
    vi.restoreAllMocks();
    workflow.workflow.aws.state.ecs.services.push(...deleted.splice(0));

    await workflow.workflow.recover({ reason: 'reconcile' });
    await workflow.workflow.aws.steady();
    expect({ killedIn: state, ...readServices(workflow) }).toEqual({ killedIn: state, ...before });
  }
  const states = SITUATIONS.flatMap((situation) => situation.states);
  console.log(
    `Killed in ${states.length} states of the recovery. The services were started again after each.`,
  );

  expect([...new Set(reached)]).toEqual(states);
}, 1_200_000);

/** A deploy that holds the services. @returns the ARN of the execution that waits for the limit */
async function heldDeploy(): Promise<string> {
  ({ promise: limitReached, resolve: reachLimit } = Promise.withResolvers<void>());
  await database.query('drop index if exists idx_orders_status');
  const { result } = await workflow.workflow.start({ start: 'hold' }).ended;
  expect(result.status).toBe('SUCCEEDED');
  expect(readServices(workflow).processes).toEqual({ api: 0, worker: 0 });
  const { hold } = JSON.parse(marker() ?? '{}');
  return hold.limit;
}

const marker = () => workflow.workflow.aws.state.ssm.parameters[markerName(LOCAL_NAMES)]?.Value;

/** The recoveries that find a hold, or wait for its limit. */
const OF_HOLD: readonly (Situation & { input: { reason: string } | null })[] = [
  {
    // A reconciler finds a hold that lasts.
    input: { reason: 'reconcile' },
    prepare: () => undefined,
    states: [
      ...[HOLD.isHold, HOLD.read, HOLD.hasDeployEnded, HOLD.describeDeploy, HOLD.hasDeployFailed],
      ...[HOLD.describeLimit, HOLD.isLimitRunning, HOLD.continues],
    ],
  },
  {
    // It finds one whose limit is not running any more.
    input: { reason: 'reconcile' },
    prepare: () => workflow.workflow.engine.stop(limit),
    states: [HOLD.reached, START_SERVICES.prepareAlertHeld],
  },
  {
    // The execution that waits for the limit.
    input: null,
    prepare: () => reachLimit(),
    states: [HOLD.readAtLimit, HOLD.isOwn],
  },
];
let limit = '';

test('after a kill of a recovery that finds a hold, the hold lasts, and its services start as before', async () => {
  const before = readServices(workflow);
  const { engine, machines } = workflow.workflow;
  const reached: string[] = [];
  for (const { prepare, state, input } of OF_HOLD.flatMap(({ states, ...situation }) =>
    states.map((state) => ({ state, ...situation })),
  )) {
    limit = await heldDeploy();
    const isLimit = ({ execution }: EngineEvent) => execution === limit.split(':').at(-1);
    observe = (event) => {
      if (event.type !== 'StateEntered' || event.state !== state) return;
      if (event.machine !== machines.startServices || isLimit(event) !== (input === null)) return;
      reached.push(state);
      (killed ?? { abort: () => engine.stop(limit) }).abort();
    };
    prepare();
    const killed = input === null ? undefined : engine.start(machines.startServices, input);
    if (killed !== undefined) await killed.result;
    else
      await eventually(() =>
        workflow.events.some((event) => event.type === 'ExecutionAborted' && isLimit(event)),
      ).toBe(true);
    observe = () => {};
    // It has started them before it sends the alert.
    if (state !== START_SERVICES.prepareAlertHeld)
      expect(readServices(workflow).processes).toEqual({ api: 0, worker: 0 });

    engine.stop(limit);
    await workflow.workflow.recover({ reason: 'reconcile' });
    await workflow.workflow.aws.steady();
    expect({ killedIn: state, ...readServices(workflow) }).toEqual({ killedIn: state, ...before });
    expect(marker()).toBeUndefined();
  }

  expect(reached).toEqual(OF_HOLD.flatMap(({ states }) => states));
}, 1_200_000);

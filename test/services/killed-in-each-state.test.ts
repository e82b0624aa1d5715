import { afterAll, beforeAll, expect, test } from 'vitest';
import { MIGRATION_LOCK } from '../../lambdas/postgres/advisory-lock.ts';
import type { EngineEvent } from '../../lib/local/engine.ts';
import { localArn } from '../../lib/local/local-arns.ts';
import { LOCAL_NAMES } from '../../lib/local/local-environment.ts';
import { lockName } from '../../lib/workflow/deploy-lock.ts';
import {
  BUILD_INDEXES,
  DEPLOY,
  ECS,
  MIGRATIONS,
  MIGRATIONS_END,
  RECOVERY,
  START_SERVICES,
  WINDOW,
} from '../../lib/workflow/state-names.ts';
import { connect, createDatabase, type TestDatabase } from '../support/database.ts';
import { ALL_KINDS, ALL_KINDS_IN_AWS, readServices } from '../support/service-kinds.ts';
import { eventually } from '../support/waits.ts';
import { openTestWorkflow, type TestWorkflow } from '../support/workflow.ts';

/*
 * Kills the deploy in each of its states, one after the other, and then runs the recovery as the EventBridge rule would.
 * The states come from the definitions: the last test fails for a state that no scenario reaches, so a new state needs a
 * scenario.
 */

type Run = () => Promise<unknown>;

interface Scenario {
  name: string;
  /** Input of deploy. */
  input?: unknown;
  /** Creates the scenario's conditions. @returns a function that removes them */
  prepare?: () => Promise<Run>;
  /** Called for each state that is entered. */
  onState?: (state: string) => void;
}

let database: TestDatabase;
let workflow: TestWorkflow;
let observe: (event: EngineEvent) => void = () => {};

beforeAll(async () => {
  database = await createDatabase();
  await database.query(`
    create table orders (id int primary key, status text);
    create table people (id int primary key, email text);
    create table switches (name text);
  `);
  workflow = await openTestWorkflow({
    databaseUrl: database.url,
    indexes: [
      {
        name: 'idx_orders_status',
        sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_orders_status ON orders (status)',
        description: 'orders by status',
      },
      {
        name: 'people_email_key',
        sql: 'CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS people_email_key ON people (email)',
        critical: true,
        description: 'sign-in',
      },
    ],
    migrations: {
      '0001_switch': `do $$ begin
          if exists (select from switches where name = 'fail') then raise exception 'failed as requested'; end if;
        end $$;`,
    },
    builds: { when: 'after-start', waitSeconds: 1 },
    environment: {
      services: ALL_KINDS,
      drain: { roles: [], applicationNames: ['cron'], seconds: 1 },
      deploymentMinutes: 0.1,
      // Far longer than the services need, also on a busy machine. Only the scenarios with timeouts wait as long.
      stopMinutes: 0.2,
      startMinutes: 0.4,
      // The fewest that have a second check of the same tasks.
      steadyChecks: 2,
    },
    aws: ALL_KINDS_IN_AWS,
    onEvent: (event) => observe(event),
  });
});

afterAll(async () => {
  await workflow.close();
  await database.drop();
});

const isEntered = (event: EngineEvent, machine?: string) =>
  event.type === 'StateEntered' && (machine === undefined || event.machine === machine);

/** The name of an event's state, as in LocalWorkflow.stateNames(). */
const keyOf = (event: EngineEvent) => `${event.machine.replace('pg-deploy-step-local-', '')}: ${event.state}`;

/** Waits for the functions that were running when the execution was killed: they continue, as in AWS. */
async function functionsEnded(): Promise<void> {
  await workflow.workflow.lambdas.idle();
  await eventually(async () => await ourSessions()).toBe(0);
}

async function reset(): Promise<void> {
  await functionsEnded();
  await database.query(`
    drop index if exists idx_orders_status;
    drop index if exists people_email_key;
    do $$ begin if to_regclass('pgmigrations') is not null then truncate pgmigrations; end if; end $$;
  `);
}

async function ourSessions(): Promise<number> {
  const rows = await database.query<{ sessions: number }>(
    `select count(*)::int as sessions from pg_stat_activity
      where datname = current_database() and application_name like 'pg-deploy-step%'`,
  );
  return rows[0]?.sessions ?? 0;
}

const workerService = () =>
  workflow.workflow.aws.state.ecs.services.find(({ service }) => service === 'worker') ??
  expect.fail('The service worker does not exist.');

function signalWorker(signal: NodeJS.Signals): void {
  for (const { pid } of workerService().tasks) {
    try {
      process.kill(pid, signal);
    } catch {
      // The process has already ended.
    }
  }
}

function setWorkerDatabase(url: string): void {
  workerService().variables.DATABASE_URL = url;
}

let deletedWorker: ReturnType<typeof workerService> | undefined;

function deleteWorker(): void {
  const { services } = workflow.workflow.aws.state.ecs;
  deletedWorker ??= services.find(({ service }) => service === 'worker');
  const at = services.findIndex(({ service }) => service === 'worker');
  if (at !== -1) services.splice(at, 1);
}

function restoreWorker(): void {
  if (deletedWorker !== undefined) workflow.workflow.aws.state.ecs.services.push(deletedWorker);
  deletedWorker = undefined;
}

/** Removes the last element of a list in the state of the local AWS. @returns a function that adds it again */
function removeLast<T>(list: T[]): Run {
  const removed = list.splice(-1);
  return async () => list.push(...removed);
}

/** Removes the first element, which is not a resource of the stack itself. @returns a function that adds it again */
function removeFirst<T>(list: T[]): Run {
  const removed = list.splice(0, 1);
  return async () => list.unshift(...removed);
}

const LOCK = lockName(LOCAL_NAMES);

const deployArn = () =>
  `arn:aws:states:eu-west-1:000000000000:execution:${workflow.workflow.machines.deploy}`;

/**
 * Writes the lock of the deploys as another program would.
 * @param version its version after the write @default one more than before
 * @returns a function that deletes the lock
 */
async function writeLock(value: unknown, version?: number): Promise<Run> {
  const { aws } = workflow.workflow;
  const deleteLock = async () => void delete aws.state.ssm.parameters[LOCK];
  if (version === 1) await deleteLock();
  await aws.call('arn:aws:states:::aws-sdk:ssm:putParameter', {
    ...{ Name: LOCK, Value: JSON.stringify(value), Type: 'String', Overwrite: true },
  });
  return deleteLock;
}

/** Changes fields of an object. @returns a function that restores them */
function change(what: object | undefined, fields: Record<string, unknown>): Run {
  const before = { ...what };
  Object.assign(what ?? {}, fields);
  return async () => Object.assign(what ?? {}, before);
}

/**
 * No scenario reaches these states. For the first, a function would have to return what its own schema refuses. For the
 * second, all attempts of the function report would have to fail. For the third, scaling would have to omit its suspended
 * state, which the local AWS always returns. The next ones need more than ten saved states, which saved-states.test.ts has,
 * and a blue/green deployment, which the local AWS does not have.
 */
const NOT_REACHED = [
  `build-indexes: ${BUILD_INDEXES.unreadableResult}`,
  // Of entries with a schema for each tenant: test/tenants/batches.test.ts.
  `build-indexes: ${BUILD_INDEXES.buildBatches}`,
  `build-indexes: ${BUILD_INDEXES.buildBatch}`,
  `build-indexes: ${BUILD_INDEXES.batchFailed}`,
  `deploy: ${DEPLOY.reportFailed}`,
  `maintenance-window: ${ECS.recordScalingNotSuspended}`,
  // A migration that continues after its state has failed, or for longer than 16 minutes: test/workflow/migration-end.test.ts.
  `maintenance-window: ${MIGRATIONS_END.lock.wait}`,
  `maintenance-window: ${MIGRATIONS_END.lock.count}`,
  `maintenance-window: ${MIGRATIONS_END.stillRunning}`,
  `start-services: ${MIGRATIONS_END.stillRunning}`,
  `maintenance-window: ${WINDOW.savedStates.listMore}`,
  `start-services: ${START_SERVICES.savedStates.listMore}`,
  `start-services: ${ECS.describeOtherTargets}`,
  `start-services: ${ECS.countOtherTargets}`,
  `start-services: ${ECS.enoughOtherTargets}`,
];

/** States of a recovery, in which killed-recovery.test.ts kills it. */
const OF_RECOVERY: readonly string[] = [
  ...Object.values(RECOVERY),
  START_SERVICES.startAsRecovery,
  START_SERVICES.hasDeployEnded,
  START_SERVICES.describeDeploy,
  START_SERVICES.isDeployRunning,
  START_SERVICES.deployStillRunning,
  START_SERVICES.readIncident,
  START_SERVICES.isSameIncident,
  START_SERVICES.knownIncident,
  START_SERVICES.useCountOfIncident,
  START_SERVICES.deleteIncident,
  START_SERVICES.prepareAlert,
  START_SERVICES.prepareAlertNotStarted,
  START_SERVICES.alert,
  START_SERVICES.alertSent,
  START_SERVICES.incidentNotRecorded,
  START_SERVICES.savedByOtherDeploy,
  START_SERVICES.listIncomplete,
].map((state) => `start-services: ${state}`);

/** The parameters with the saved states. */
const savedStates = () =>
  Object.entries(workflow.workflow.aws.state.ssm.parameters).filter(([name]) => name.includes('/services/'));

/** A deploy that was killed after it had stopped the services. */
async function killedEarlier(): Promise<void> {
  await runOnce({ name: 'an earlier deploy' }, `maintenance-window: ${MIGRATIONS.run}`);
  // The preflight refuses the next deploy while the killed one's function still holds the migration lock.
  await functionsEnded();
}

const SCENARIOS: Scenario[] = [
  { name: 'a deploy that builds everything' },
  {
    name: 'a critical index that fails',
    prepare: async () => {
      await database.query("insert into people values (1, 'a'), (2, 'a')");
      return async () => await database.query('delete from people');
    },
  },
  {
    name: 'a failure that the ledger refuses',
    prepare: async () => {
      await database.query(`
        insert into people values (1, 'a'), (2, 'a');
        create function refuse() returns trigger language plpgsql as $$ begin raise exception 'refused'; end $$;
        create trigger refuse before insert or update on deploy_step.index_builds
          for each row when (new.status = 'failed') execute function refuse();
      `);
      return async () => await database.query('delete from people; drop function if exists refuse cascade');
    },
  },
  {
    name: 'a migration that fails',
    prepare: async () => {
      await database.query("insert into switches values ('fail')");
      return async () => await database.query('delete from switches');
    },
  },
  {
    name: 'a service that does not stop',
    onState: (state) => {
      if (state === WINDOW.checkServices) signalWorker('SIGSTOP');
      if (state === WINDOW.verdicts.servicesNotStopped) signalWorker('SIGCONT');
    },
    prepare: async () => async () => signalWorker('SIGCONT'),
  },
  {
    name: 'sessions that stay open',
    prepare: async () => {
      const cron = await connect(database.url);
      await cron.query("set application_name = 'cron'");
      return async () => await cron.end();
    },
  },
  {
    name: 'a build that waits for a transaction',
    prepare: async () => {
      const writer = await connect(database.url);
      await writer.query('begin');
      await writer.query("insert into people values (9, 'writer')");
      releaseBuild = async () => {
        releaseBuild = async () => {};
        await writer.query('rollback');
        await writer.end();
      };
      return async () => await releaseBuild();
    },
    onState: (state) => {
      if (state === BUILD_INDEXES.indexValid) void releaseBuild();
    },
  },
  {
    name: 'services that an earlier deploy left stopped',
    prepare: async () => {
      await killedEarlier();
      return async () => {};
    },
  },
  {
    name: 'a service that was renamed while it was stopped',
    prepare: async () => {
      await killedEarlier();
      const { parameters } = workflow.workflow.aws.state.ssm;
      for (const [name, parameter] of savedStates().filter(([name]) => name.endsWith('/worker'))) {
        delete parameters[name];
        parameters[name.replace('worker', 'old-name')] = parameter;
      }
      return async () => {};
    },
  },
  {
    name: 'saved states of an earlier version',
    input: { mode: 'start-services' },
    prepare: async () => {
      await killedEarlier();
      for (const [, parameter] of savedStates()) {
        const { service: _service, ...earlier } = JSON.parse(parameter.Value);
        Object.assign(parameter, { Value: JSON.stringify(earlier) });
      }
      return async () => {};
    },
  },
  {
    name: 'saved states that cannot be used',
    input: { mode: 'start-services' },
    prepare: async () => {
      await killedEarlier();
      const undo = savedStates().map(([name, parameter]) => {
        const { Value } = parameter;
        if (name.endsWith('/worker')) Object.assign(parameter, { Value: '{}' });
        if (name.endsWith('/nightly')) {
          Object.assign(parameter, { Value: Value.replace('"kind":"event-rule"', '"kind":"other"') });
        }
        return () => Object.assign(parameter, { Value });
      });
      return async () => {
        for (const restore of undo) restore();
      };
    },
  },
  {
    name: 'a service that is deleted while it starts',
    onState: (state) => {
      if (state === ECS.beginStarting) deleteWorker();
    },
    prepare: async () => async () => restoreWorker(),
  },
  {
    name: 'a service that is deleted while it is stopped',
    onState: (state) => {
      if (state === WINDOW.checkServices) signalWorker('SIGSTOP');
      if (state === ECS.stopping.wait) deleteWorker();
    },
    prepare: async () => async () => {
      restoreWorker();
      signalWorker('SIGCONT');
    },
  },
  {
    name: 'a service with scaling that is at 0',
    prepare: async () => {
      const { ecs, scaling } = workflow.workflow.aws.state;
      const api = ecs.services.find(({ service }) => service === 'api');
      // Otherwise the local scaling raises the count.
      const undoScaling = change(scaling.targets[0]?.SuspendedState, { DynamicScalingOutSuspended: true });
      if (api === undefined) throw new Error('The service api does not exist.');
      const { desiredCount } = api;
      api.desiredCount = 0;
      await eventually(() => api.tasks).toEqual([]);
      return async () => {
        api.desiredCount = desiredCount;
        await undoScaling();
      };
    },
  },
  {
    name: 'targets that become healthy',
    onState: (state) => {
      if (state === ECS.targetsUnhealthy) workerService().targetHealth = 'healthy';
    },
    prepare: async () => change(workerService(), { targetGroups: ['arn:targets'], targetHealth: 'initial' }),
  },
  {
    name: 'a migration history that cannot be read',
    onState: (state) => {
      // Right after the preflight, which reads the history.
      if (state === WINDOW.checkServices)
        void database.query('alter table pgmigrations rename column run_on to ran_on');
    },
    prepare: async () => async () =>
      await database.query(`do $$ begin
        alter table pgmigrations rename column ran_on to run_on;
      exception when undefined_column then null; end $$`),
  },
  {
    name: 'a service that does not start',
    onState: (state) => {
      // The tasks that start after this cannot connect.
      if (state === WINDOW.stopServices) setWorkerDatabase('postgres://127.0.0.1:1/unreachable');
    },
    prepare: async () => async () => {
      setWorkerDatabase(database.url);
      signalWorker('SIGKILL');
    },
  },
  {
    name: 'a service that does not exist',
    prepare: async () => removeLast(workflow.workflow.aws.state.ecs.services),
  },
  {
    name: 'a scalable target that does not exist',
    prepare: async () => removeLast(workflow.workflow.aws.state.scaling.targets),
  },
  {
    name: 'a rule that does not exist',
    prepare: async () => removeFirst(workflow.workflow.aws.state.eventBridge.rules),
  },
  {
    name: 'a mapping that does not exist',
    prepare: async () => removeLast(workflow.workflow.aws.state.lambda.mappings),
  },
  {
    name: 'a mapping that is changing',
    prepare: async () => change(workflow.workflow.aws.state.lambda.mappings[0], { staleReads: 99 }),
  },
  {
    name: 'a rule whose state could not be restored',
    prepare: async () =>
      change(workflow.workflow.aws.state.eventBridge.rules[0], {
        state: 'ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS',
      }),
  },
  {
    name: 'a service in the middle of a deployment',
    prepare: async () => change(workerService().deployments[0], { rolloutState: 'IN_PROGRESS', bakes: true }),
  },
  {
    name: 'a deployment that ends while the deploy waits for it',
    onState: (state) => {
      if (state === ECS.waitForDeployment)
        Object.assign(workerService().deployments[0] ?? {}, { bakes: false });
    },
    prepare: async () => change(workerService().deployments[0], { rolloutState: 'IN_PROGRESS', bakes: true }),
  },
  {
    name: 'a service whose last deployment failed',
    prepare: async () => change(workerService().deployments[0], { rolloutState: 'FAILED' }),
  },
  {
    name: 'tasks that a load balancer deregisters, on several pages',
    prepare: async () => {
      const at = new Date().toISOString();
      const task = { pid: 0, deployment: 'd', taskDefinition: 'worker:1', startedAt: at, stoppedAt: at };
      const stoppedTasks = Array.from({ length: 25 }, (_, number) => ({
        ...task,
        id: `${number}`,
        stoppingSince: at,
      }));
      Object.assign(workerService(), { deregistrationDelaySeconds: 2, stoppedTasks });
      return async () => Object.assign(workerService(), { deregistrationDelaySeconds: 0, stoppedTasks: [] });
    },
  },
  {
    name: 'a service that someone else starts while it stops',
    onState: (state) => {
      if (state === ECS.stopped.begin) workerService().desiredCount = 2;
    },
  },
  {
    name: 'a service that someone else starts after it has stopped',
    onState: (state) => {
      if (state === WINDOW.summarizeStopped) workerService().desiredCount = 2;
    },
  },
  {
    name: 'a service that is a daemon',
    prepare: async () =>
      change(workflow.workflow.aws.state.ecs.services[1], { schedulingStrategy: 'DAEMON' }),
  },
  { name: 'a plan', input: { mode: 'plan' } },
  { name: 'a lock that is no lock', prepare: async () => await writeLock({}) },
  {
    name: 'a lock of an execution that does not exist',
    prepare: async () => await writeLock({ execution: `${deployArn()}:deleted`, version: 1 }, 1),
  },
  {
    name: 'late writes to the lock',
    onState: (state) => {
      if (state === DEPLOY.report) void writeLock({ execution: `${deployArn()}:late`, version: 1 });
    },
    prepare: async () => {
      await writeLock({ execution: '', version: 1 }, 1);
      return await writeLock({ execution: `${deployArn()}:late`, version: 1 });
    },
  },
  {
    name: 'a lock that another deploy holds',
    prepare: async () => {
      const writer = await connect(database.url);
      await writer.query('begin');
      await writer.query("insert into people values (9, 'writer')");
      const { execution, ended } = workflow.workflow.start({ mode: 'indexes' });
      await eventually(() => workflow.workflow.aws.state.ssm.parameters[LOCK]?.Value).toContain(
        execution.arn,
      );
      return async () => {
        await writer.query('rollback');
        await writer.end();
        await ended;
      };
    },
  },
  {
    name: 'a maintenance window that is aborted while another session migrates',
    prepare: async () => {
      const migrating = await connect(database.url);
      let last: Promise<unknown> = Promise.resolve();
      lockMigrations = async () => {
        last = last.then(() => migrating.query('select pg_advisory_lock($1::bigint)', [MIGRATION_LOCK]));
      };
      unlockMigrations = async () => {
        last = last.then(() => migrating.query('select pg_advisory_unlock_all()'));
      };
      return async () => {
        lockMigrations = async () => {};
        unlockMigrations = async () => {};
        // A session that ends during a query would reject it.
        await last;
        await migrating.end();
      };
    },
    onState: (state) => {
      // After the preflight, which refuses a deploy while another session migrates.
      if (state === WINDOW.checkServices) void lockMigrations();
      if (state === MIGRATIONS.run) stopWindow();
      if (state === MIGRATIONS_END.lock.count) void unlockMigrations();
    },
  },
  { name: 'starting the services', input: { mode: 'start-services' } },
  { name: 'building while the services run', input: { mode: 'indexes' } },
];

/** How often the schedule may have to repeat a recovery in these tests. */
const REPEATS = 10;

let releaseBuild: Run = async () => {};
let lockMigrations: Run = async () => {};
let unlockMigrations: Run = async () => {};

function stopWindow(): void {
  const { engine, machines } = workflow.workflow;
  const machineArn = localArn('states', `stateMachine:${machines.maintenanceWindow}`);
  for (const { arn } of engine.running(machineArn)) engine.stop(arn);
}

const covered = new Set<string>();
let kills = 0;

async function runOnce(scenario: Scenario, killAt: string | undefined): Promise<Set<string>> {
  const entered = new Set<string>();
  const undo = await scenario.prepare?.();
  const { execution, ended } = workflow.workflow.start(scenario.input ?? {});
  observe = (event) => {
    if (!isEntered(event)) return;
    entered.add(keyOf(event));
    if (keyOf(event) === killAt) execution.abort();
    scenario.onState?.(event.state ?? '');
  };
  await ended;
  observe = () => {};
  await undo?.();
  return entered;
}

/** Recovers as the EventBridge rule does. Services that were left stopped deliberately wait for a start by hand. */
async function recover(): Promise<void> {
  const before = readServices(workflow);
  await workflow.workflow.recover({ reason: 'deploy-ended', deploy: 'killed', status: 'ABORTED' });
  if (Object.keys(workflow.workflow.aws.state.ssm.parameters).some((name) => name.endsWith('left-stopped'))) {
    expect(readServices(workflow)).toEqual(before);
    await workflow.workflow.recover({});
  }
  // The schedule repeats it, for example if the tasks of a service could not connect before.
  for (let at = 0; at < REPEATS && readServices(workflow).withSavedState.length > 0; at += 1) {
    await workflow.workflow.recover({ reason: 'reconcile' });
  }
}

test.each(SCENARIOS)(
  '$name: after a kill in any new state the services are started again',
  async (scenario) => {
    const before = readServices(workflow);
    const reached = await runOnce(scenario, undefined);
    await recover();
    await workflow.workflow.aws.steady();
    expect(readServices(workflow)).toEqual(before);
    await reset();

    for (const state of [...reached].filter((one) => !covered.has(one))) {
      covered.add(state);
      await runOnce(scenario, state);
      await recover();
      await workflow.workflow.aws.steady();
      expect({ killedIn: state, ...readServices(workflow) }).toEqual({ killedIn: state, ...before });
      kills += 1;
      await reset();
    }
  },
  1_800_000,
);

test('the scenarios reach every state of the definitions, except the listed ones', () => {
  const missed = workflow.workflow.stateNames().filter((state) => !covered.has(state));
  console.log(`Killed in ${kills} states. The services were started again after each.`);

  expect(missed.filter((state) => !OF_RECOVERY.includes(state)).toSorted()).toEqual(NOT_REACHED.toSorted());
});

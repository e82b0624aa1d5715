import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EngineEvent } from '../../lib/local/engine.ts';
import { BUILD_INDEXES, ECS, START_SERVICES, WINDOW } from '../../lib/workflow/state-names.ts';
import { connect, createDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { ALL_KINDS, ALL_KINDS_IN_AWS, servicesNow } from '../support/services.ts';
import { openTestWorkflow, type TestWorkflow } from '../support/workflow.ts';

/*
 * The deploy is killed in each of its states in turn, and the recovery runs as the rule would run it. The states come from
 * the definitions: one that no scenario reaches fails the last test, so a new state is covered or is noticed.
 */

type Run = () => Promise<unknown>;

interface Scenario {
  name: string;
  /** Input of deploy. */
  input?: unknown;
  /** Makes the scenario's conditions. @returns takes them back */
  prepare?: () => Promise<Run>;
  /** What happens while it runs. */
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
        description: 'signing in',
      },
    ],
    migrations: {
      '0001_switch': `do $$ begin
          if exists (select from switches where name = 'fail') then raise exception 'told to fail'; end if;
        end $$;`,
    },
    builds: { when: 'after-start', waitSeconds: 1 },
    environment: {
      services: ALL_KINDS,
      drain: { roles: [], applicationNames: ['cron'], seconds: 1 },
      stopMinutes: 0.01,
      startMinutes: 0.1,
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

/** A state of a machine. */
const keyOf = (event: EngineEvent) => `${event.machine.replace('pg-deploy-step-local-', '')}: ${event.state}`;

async function reset(): Promise<void> {
  // What was in flight goes on unheard, as a function in AWS does; it ends by itself.
  await eventually(async () => await ourSessions()).toBe(0);
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

const worker = (signal: NodeJS.Signals) => {
  for (const service of workflow.workflow.aws.state.ecs.services) {
    if (service.service === 'worker') for (const task of service.tasks) process.kill(task.pid, signal);
  }
};

/** Takes the last of what exists in AWS away. @returns gives it back */
function taken<T>(list: T[]): Run {
  const kept = list.splice(-1);
  return async () => list.push(...kept);
}

/** @returns changes it back */
function changed(what: object | undefined, fields: Record<string, unknown>): Run {
  const before = { ...what };
  Object.assign(what ?? {}, fields);
  return async () => Object.assign(what ?? {}, before);
}

/**
 * No scenario comes to these: the report's function would have to break every one of its attempts; the local scaling always
 * tells its suspended state; and the other two are where a recovery ends because it has nothing to do.
 */
const NOT_REACHED = [
  'deploy: Report Failed',
  'maintenance-window: Record Scaling Not Suspended',
  'start-services: Deploy Still Running',
  'start-services: Left Stopped',
];

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
    name: 'a migration that fails',
    prepare: async () => {
      await database.query("insert into switches values ('fail')");
      return async () => await database.query('delete from switches');
    },
  },
  {
    name: 'services that hang',
    onState: (state) => {
      if (state === WINDOW.checkServices) worker('SIGSTOP');
      if (state === WINDOW.verdicts.servicesNotStopped) worker('SIGCONT');
    },
    prepare: async () => async () => worker('SIGCONT'),
  },
  {
    name: 'sessions that remain',
    prepare: async () => {
      const cron = await connect(database.url);
      await cron.query("set application_name = 'cron'");
      return async () => await cron.end();
    },
  },
  {
    name: 'a build that is held up',
    prepare: async () => {
      const writer = await connect(database.url);
      await writer.query('begin');
      await writer.query("insert into people values (9, 'writer')");
      held = async () => {
        held = async () => {};
        await writer.query('rollback');
        await writer.end();
      };
      return async () => await held();
    },
    onState: (state) => {
      if (state === BUILD_INDEXES.indexValid) void held();
    },
  },
  {
    name: 'what an earlier deploy left stopped',
    prepare: async () => {
      await runOnce({ name: 'an earlier deploy' }, 'maintenance-window: Run Migrations');
      return async () => {};
    },
  },
  {
    name: 'a migration that breaks',
    onState: (state) => {
      if (state === WINDOW.stopServices)
        void database.query('alter table pgmigrations rename column run_on to ran_on');
    },
    prepare: async () => async () =>
      await database.query(`do $$ begin
        alter table pgmigrations rename column ran_on to run_on;
      exception when undefined_column then null; end $$`),
  },
  {
    name: 'a service that does not come up',
    onState: (state) => {
      if (state === ECS.running.check) worker('SIGSTOP');
    },
    prepare: async () => async () => worker('SIGCONT'),
  },
  { name: 'a service that is gone', prepare: async () => taken(workflow.workflow.aws.state.ecs.services) },
  { name: 'a scaling that is gone', prepare: async () => taken(workflow.workflow.aws.state.scaling.targets) },
  { name: 'a rule that is gone', prepare: async () => taken(workflow.workflow.aws.state.eventBridge.rules) },
  { name: 'a mapping that is gone', prepare: async () => taken(workflow.workflow.aws.state.lambda.mappings) },
  {
    name: 'a mapping that is changing',
    prepare: async () => changed(workflow.workflow.aws.state.lambda.mappings[0], { staleReads: 99 }),
  },
  {
    name: 'a rule that could not be restored',
    prepare: async () =>
      changed(workflow.workflow.aws.state.eventBridge.rules[0], {
        state: 'ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS',
      }),
  },
  {
    name: 'a service that is a daemon',
    prepare: async () =>
      changed(workflow.workflow.aws.state.ecs.services[1], { schedulingStrategy: 'DAEMON' }),
  },
  { name: 'starting the services', input: { mode: 'start-services' } },
  { name: 'building while the services run', input: { mode: 'indexes' } },
];

let held: Run = async () => {};

const covered = new Set<string>();
let kills = 0;
let cameBack = 0;

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

/** As the rule does for a deploy that ended. Services left stopped on purpose stay so until a person starts them. */
async function recover(): Promise<void> {
  const before = servicesNow(workflow);
  await workflow.workflow.recover({ reason: 'deploy-ended', deploy: 'killed', status: 'ABORTED' });
  if (Object.keys(workflow.workflow.aws.state.ssm.parameters).some((name) => name.endsWith('left-stopped'))) {
    expect(servicesNow(workflow)).toEqual(before);
    await workflow.workflow.recover({});
  }
}

test.each(SCENARIOS)(
  '$name: killed in each state that it reaches first, the services come back',
  async (scenario) => {
    const before = servicesNow(workflow);
    const reached = await runOnce(scenario, undefined);
    await recover();
    expect(servicesNow(workflow)).toEqual(before);
    await reset();

    for (const state of [...reached].filter((one) => !covered.has(one))) {
      covered.add(state);
      await runOnce(scenario, state);
      await recover();
      await workflow.workflow.aws.steady();
      expect({ killedIn: state, ...servicesNow(workflow) }).toEqual({ killedIn: state, ...before });
      kills += 1;
      cameBack += 1;
      await reset();
    }
  },
  900_000,
);

test('the recovery itself may be killed in each of its states, and the next one brings the services back', async () => {
  const before = servicesNow(workflow);
  const recovering = [
    START_SERVICES.startedAsRecovery,
    START_SERVICES.readMarker,
    START_SERVICES.startAsRecovery,
    START_SERVICES.describeDeploy,
    START_SERVICES.isDeployRunning,
  ];
  for (const state of [
    ...recovering,
    START_SERVICES.shouldAlert,
    START_SERVICES.prepareAlert,
    START_SERVICES.alert,
  ]) {
    await runOnce({ name: 'a deploy' }, 'maintenance-window: Run Migrations');
    expect(servicesNow(workflow).processes).toEqual({ api: 0, worker: 0 });
    const { engine, machines } = workflow.workflow;
    const killed = engine.start(machines.startServices, { reason: 'reconcile' });
    observe = (event) => {
      if (isEntered(event, machines.startServices) && event.state === state) killed.abort();
    };
    await killed.result;
    observe = () => {};
    await recover();
    await workflow.workflow.aws.steady();
    expect({ killedIn: state, ...servicesNow(workflow) }).toEqual({ killedIn: state, ...before });
    covered.add(`start-services: ${state}`);
    kills += 1;
    cameBack += 1;
    await reset();
  }
}, 900_000);

test('every state of the definitions was reached, but for those that no scenario comes to', () => {
  const missed = workflow.workflow.stateNames().filter((state) => !covered.has(state));
  console.log(
    `Killed in ${kills} states; the services came back in ${cameBack}: ${Math.round((100 * cameBack) / kills)} %.`,
  );

  expect(missed.toSorted()).toEqual(NOT_REACHED);
});

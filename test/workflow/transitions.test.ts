import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EngineEvent } from '../../lib/local/engine.ts';
import { LOCAL_NAMES } from '../../lib/local/local-environment.ts';
import { markerName } from '../../lib/workflow/services/saved-state.ts';
import { ECS } from '../../lib/workflow/state-names.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { openTestWorkflow, type TestWorkflow } from '../support/workflow.ts';

/*
 * The figures of docs/cost.md: transitions that Step Functions charges for. How many further checks there are depends on
 * the machine that runs the test.
 */
const FIXED = { deploy: 21, 'maintenance-window': 29, 'build-indexes': 6, 'start-services': 18 };
const OF_LANE = 1;
const OF_INDEX = 3;
const OF_SERVICE = { 'maintenance-window': 25, 'start-services': 34 };
const OF_SCALING = { 'maintenance-window': 4, 'start-services': 1 };
const OF_CHECK = { stopping: 4, starting: 5, steady: 6 };
/** A service whose tasks did not have the last status STOPPED at first is checked completely again. */
const OF_SECOND_CHECK = 9;
/** Checks in a row that must find a service steady. They are included in OF_SERVICE. */
const STEADY_CHECKS = 3;
/** A deploy without a window and with one migration that is marked as online: the rest is that of `build-indexes`. */
const WITHOUT_WINDOW = { deploy: 24, 'start-services': 22 };
/** A recovery that finds the services left stopped deliberately. */
const OF_LEFT_STOPPED = 5;

/** A deploy that holds the services, the execution that waits for the limit of the hold, and a recovery that finds the hold. */
const OF_HOLD = { deploy: 23, limit: 6, reconciler: 11 };

const TABLES = ['a', 'b', 'c'];
const SERVICES = 2;

let database: TestDatabase;
let workflow: TestWorkflow;

beforeAll(async () => {
  database = await createDatabase();
  workflow = await openTestWorkflow({
    databaseUrl: database.url,
    migrations: { '0001_tables': TABLES.map((table) => `create table ${table} (n int);`).join(' ') },
    indexes: TABLES.map((table) => ({
      name: `${table}_n`,
      sql: `create index concurrently if not exists ${table}_n on ${table} (n)`,
      description: 'of a test',
    })),
  });
});

afterAll(async () => {
  await workflow.close();
  await database.drop();
});

test('a deploy with two services, one of them scaled, has as many transitions as documented', async () => {
  // The very first deploy creates the parameter of the lock.
  await workflow.deploy({ mode: 'start-services' });
  workflow.events.length = 0;

  const { status } = await workflow.deploy();

  expect(status).toBe('SUCCEEDED');
  expect(transitions(workflow.events)).toEqual({
    deploy: FIXED.deploy,
    'maintenance-window':
      FIXED['maintenance-window'] +
      SERVICES * OF_SERVICE['maintenance-window'] +
      OF_SCALING['maintenance-window'] +
      stoppingChecks(),
    'build-indexes': FIXED['build-indexes'] + TABLES.length * (OF_LANE + OF_INDEX),
    'start-services':
      FIXED['start-services'] +
      SERVICES * OF_SERVICE['start-services'] +
      OF_SCALING['start-services'] +
      OF_CHECK.starting * entered(ECS.countStarting) +
      // A check that finds other tasks than the one before begins the row again.
      OF_CHECK.steady * (entered(ECS.countFirstSteady) + entered(ECS.countSteady) - SERVICES * STEADY_CHECKS),
  });
});

test('a stack whose services run causes no transitions, because its schedule is disabled', () => {
  const schedule = workflow.workflow.aws.state.eventBridge.rules.find(({ name }) =>
    name.endsWith('-reconcile'),
  );

  expect(schedule?.state).toBe('DISABLED');
});

test('a recovery of services that are left stopped has as many transitions as documented', async () => {
  const marker = { Type: 'String', Value: '{}', Version: 1, LastModifiedDate: new Date().toISOString() };
  Object.assign(workflow.workflow.aws.state.ssm.parameters, { [markerName(LOCAL_NAMES)]: marker });
  workflow.events.length = 0;

  await workflow.workflow.recover({ reason: 'reconcile' });

  expect(transitions(workflow.events)).toEqual({ 'start-services': OF_LEFT_STOPPED });
});

test('a deploy that stops nothing has as many transitions as documented', async () => {
  const other = await createDatabase();
  await other.query('create table a (n int)');
  const online = await openTestWorkflow({
    databaseUrl: other.url,
    migrations: {
      '0001_m': "-- pg-deploy-step: online\nset lock_timeout = '3s';\nalter table a add column m int;",
    },
    indexes: [
      {
        name: 'a_n',
        sql: 'create index concurrently if not exists a_n on a (n)',
        description: 'of a test',
      },
    ],
    environment: { window: 'when-needed' },
  });
  await online.deploy({ mode: 'start-services' });
  online.events.length = 0;

  const { status } = await online.deploy();

  expect(status).toBe('SUCCEEDED');
  expect(transitions(online.events)).toEqual({
    ...WITHOUT_WINDOW,
    'build-indexes': FIXED['build-indexes'] + OF_LANE + OF_INDEX,
  });
  await online.close();
  await other.drop();
});

test('a hold has as many transitions as documented', async () => {
  const { parameters } = workflow.workflow.aws.state.ssm;
  delete parameters[markerName(LOCAL_NAMES)];
  workflow.events.length = 0;

  const { status } = await workflow.deploy({ start: 'hold', force: true });

  expect(status).toBe('SUCCEEDED');
  expect(transitions(workflow.events)).toMatchObject({
    deploy: OF_HOLD.deploy,
    // Begin, Started As Recovery?, Wait For Hold Limit. Three states follow the wait.
    'start-services': OF_HOLD.limit - 3,
  });
  workflow.events.length = 0;
  await workflow.workflow.recover({ reason: 'reconcile' });
  expect(transitions(workflow.events)).toEqual({ 'start-services': OF_HOLD.reconciler });
});

test('docs/cost.md has these figures', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/cost.md'), 'utf8').replaceAll(/\s+/g, ' ');
  const service = OF_SERVICE['maintenance-window'] + OF_SERVICE['start-services'];
  const scaling = OF_SCALING['maintenance-window'] + OF_SCALING['start-services'];

  for (const text of [
    `\`deploy\` ${FIXED.deploy}, of which 11 are for the lock, \`maintenance-window\` ${FIXED['maintenance-window']}, \`build-indexes\` ${FIXED['build-indexes']}, \`start-services\` ${FIXED['start-services']} | ${Object.values(FIXED).reduce((sum, count) => sum + count)} |`,
    `each ECS service: ${OF_SERVICE['maintenance-window']} to stop, ${OF_SERVICE['start-services']} to start | ${service}, with scaling ${service + scaling} |`,
    `each further check of a service that stops (every 10 s), or of its ECS deployment before the stop (every 30 s) | ${OF_CHECK.stopping} |`,
    `each further check of a service that starts (every 10 s) | ${OF_CHECK.starting} |`,
    `${OF_LEFT_STOPPED} transitions`,
    `\`deploy\` ${WITHOUT_WINDOW.deploy}, \`build-indexes\` ${FIXED['build-indexes']}, \`start-services\` ${WITHOUT_WINDOW['start-services']} with two services`,
    `\`deploy\` has ${OF_HOLD.deploy} transitions, the execution that waits for its limit ${OF_HOLD.limit}, and the reconciler ${OF_HOLD.reconciler} each`,
  ]) {
    expect(page).toContain(text);
  }
});

/** All checks of services that stop, except the first ones. */
function stoppingChecks(): number {
  const waits = entered('Wait For Tasks To Stop');
  const second = entered('Count Stopping Check') - waits;
  // A task was started when the counts were 0 already.
  const running = entered('List Running Tasks') - SERVICES - second;
  const listed = entered('Wait For Listed Tasks');
  return OF_CHECK.stopping * (waits + listed) + OF_SECOND_CHECK * second + 2 * running;
}

/** By state machine, without the prefix of its name. */
function transitions(events: readonly EngineEvent[]): Record<string, number> {
  const counted: Record<string, number> = {};
  for (const { type, machine } of events) {
    if (type !== 'StateEntered' && type !== 'StateRetried') continue;
    const name = machine.replace('pg-deploy-step-local-', '');
    counted[name] = (counted[name] ?? 0) + 1;
  }
  return counted;
}

function entered(state: string): number {
  return workflow.events.filter((event) => event.type === 'StateEntered' && event.state === state).length;
}

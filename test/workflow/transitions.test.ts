import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EngineEvent } from '../../lib/local/engine.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { openTestWorkflow, type TestWorkflow } from '../support/workflow.ts';

/*
 * The figures of docs/cost.md: transitions that Step Functions charges for. A check that is not the first one of its loop
 * adds 4, and how many there are depends on the machine that runs the test.
 */
const FIXED = { deploy: 21, 'maintenance-window': 19, 'build-indexes': 6, 'start-services': 8 };
const OF_LANE = 1;
const OF_INDEX = 3;
const OF_SERVICE = { 'maintenance-window': 24, 'start-services': 13 };
const OF_SCALING = { 'maintenance-window': 4, 'start-services': 1 };
const OF_CHECK = 4;
/** A service whose tasks did not have the last status STOPPED at first is checked completely again. */
const OF_SECOND_CHECK = 9;
const OF_RECONCILIATION = { fixed: 8, service: 2 };

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
      OF_CHECK * furtherChecks('Count Starting Check'),
  });
});

test('a reconciliation without stopped services has as many transitions as documented', async () => {
  workflow.events.length = 0;

  await workflow.workflow.recover({ reason: 'reconcile' });

  expect(transitions(workflow.events)).toEqual({
    'start-services': OF_RECONCILIATION.fixed + SERVICES * OF_RECONCILIATION.service,
  });
});

/** All checks of services that stop, except the first ones. */
function stoppingChecks(): number {
  const waits = furtherChecks('Wait For Tasks To Stop');
  const second = furtherChecks('Count Stopping Check') - waits;
  // A task was started when the counts were 0 already.
  const running = furtherChecks('List Running Tasks') - SERVICES - second;
  const listed = furtherChecks('Wait For Listed Tasks');
  return OF_CHECK * (waits + listed) + OF_SECOND_CHECK * second + 2 * running;
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

function furtherChecks(state: string): number {
  return workflow.events.filter((event) => event.type === 'StateEntered' && event.state === state).length;
}

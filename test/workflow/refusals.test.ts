import { expect, test } from 'vitest';
import type { TestDatabase } from '../support/database.ts';
import { REGISTRY, useWorkflowThatRefuses } from '../support/refused-deploys.ts';
import { openTestWorkflow, type TestWorkflow } from '../support/workflow.ts';

let database: TestDatabase;
let workflow: TestWorkflow;

useWorkflowThatRefuses((...opened) => {
  [workflow, database] = opened;
});

test.each<[string, unknown, string]>([
  ['an unknown mode', { mode: 'deplyo' }, 'mode must be one of deploy, indexes, plan, start-services'],
  ['an unknown field', { indices: [] }, 'unknown field "indices", valid fields: mode, indexes, force, start'],
  [
    'an unknown index',
    { indexes: ['idx_nowhere'] },
    '"idx_nowhere" is not in the registry. Valid names: idx_orders_status',
  ],
  ['indexes that is not a list', { indexes: 'idx_orders_status' }, 'indexes: must be a list of index names'],
  ['force that is not a boolean', { force: 'yes' }, 'force must be true or false'],
  [
    'an input that is not an object',
    ['deploy'],
    'it must be a JSON object with the optional fields mode, indexes, force, start',
  ],
])('%s is refused before anything is stopped', async (_what, input, message) => {
  const { status, cause, report } = await workflow.deploy(input);

  expect(status).toBe('FAILED');
  expect(cause).toContain('Refused before anything was stopped or changed.');
  expect(cause).toContain(message);
  expect(report).toMatchObject({ status: 'failed', downtimeMs: 0 });
  const alert = workflow.alerts.at(-1);
  expect(alert?.Subject).toBe('pg-deploy-step local: deploy FAILED');
  expect(alert?.Message).toContain(message);
  expect(alert?.Message).toContain('Services: up; they were not stopped');
});

test.each<[string, (url: URL) => void, string]>([
  [
    'a database that cannot be reached',
    (url) => {
      url.host = '127.0.0.1:1';
    },
    'The database cannot be reached: connect ECONNREFUSED 127.0.0.1:1',
  ],
  [
    'a wrong password',
    (url) => {
      url.password = 'not-the-password';
    },
    'The database refused the connection: password authentication failed for user "postgres"',
  ],
  [
    'a database that does not exist',
    (url) => {
      url.pathname = '/nowhere';
    },
    'The database refused the connection: database "nowhere" does not exist',
  ],
])(
  '%s is refused before anything is stopped, and no message contains the password',
  async (_what, change, message) => {
    const url = new URL(database.url);
    change(url);
    const elsewhere = await openTestWorkflow({ databaseUrl: url.href, indexes: REGISTRY, services: 'none' });
    try {
      const { status, cause, report } = await elsewhere.deploy();

      expect(status).toBe('FAILED');
      expect(cause).toContain(message);
      expect(report.failure).toContain(message);
      const everything = JSON.stringify([report, elsewhere.alerts, elsewhere.events, elsewhere.log]);
      expect(everything).not.toContain(url.password);
    } finally {
      await elsewhere.close();
    }
  },
);

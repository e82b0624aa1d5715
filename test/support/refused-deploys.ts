import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import type { IndexEntry } from '../../lib/registry/define-indexes.ts';
import { WINDOW } from '../../lib/workflow/state-names.ts';
import { createDatabase, type TestDatabase } from './database.ts';
import { openTestWorkflow, type TestWorkflow } from './workflow.ts';

/** The name of the only index of the registry. */
export const ONLY_INDEX = 'idx_orders_status';

export const REGISTRY: IndexEntry[] = [
  {
    name: ONLY_INDEX,
    sql: `CREATE INDEX CONCURRENTLY IF NOT EXISTS ${ONLY_INDEX} ON orders (status)`,
    description: 'orders by status',
  },
];

/**
 * Opens one workflow for a suite whose deploys are all refused, and checks after each test that none of them has stopped or
 * changed anything.
 * @param onOpen receives the workflow, and its database, before the first test
 */
export function useWorkflowThatRefuses(
  onOpen: (workflow: TestWorkflow, database: TestDatabase) => void,
): void {
  let database: TestDatabase;
  let workflow: TestWorkflow;

  beforeAll(async () => {
    database = await createDatabase();
    await database.query('create table orders (id int primary key, status text)');
    workflow = await openTestWorkflow({ databaseUrl: database.url, indexes: REGISTRY });
    onOpen(workflow, database);
  });
  afterEach(async () => {
    expect(workflow.running()).toEqual({ api: 2, worker: 1 });
    // A plan checks the services in the maintenance window.
    expect(workflow.events.filter((event) => event.state === WINDOW.beginSaving)).toEqual([]);
    expect(await database.query('select 1 from pg_indexes where indexname = $1', [ONLY_INDEX])).toEqual([]);
  });
  afterAll(async () => {
    await workflow?.close();
    await database?.drop();
  });
}

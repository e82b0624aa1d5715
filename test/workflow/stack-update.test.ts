import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DEMO_SERVICES } from '../../lib/local/demo-services.ts';
import type { EngineEvent } from '../../lib/local/engine.ts';
import { localEnvironment } from '../../lib/local/local-environment.ts';
import type { LocalWorkflowOptions } from '../../lib/local/local-workflow.ts';
import { compileRegistry } from '../../lib/registry/compile-registry.ts';
import { BUILD_INDEXES, DEPLOY, MIGRATIONS, START_SERVICES, WINDOW } from '../../lib/workflow/state-names.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { writeMigrations } from '../support/migration-files.ts';
import { openTestWorkflow, type TestWorkflow } from '../support/workflow.ts';

/*
 * The stack is updated while a deploy runs: another registry, other migrations, another configuration. The deploy keeps the
 * generation with which it started, to its end.
 */

type Update = Pick<LocalWorkflowOptions, 'environment' | 'registry'>;

const index = (name: string, column: string, description = 'of a test') => ({
  name,
  sql: `CREATE INDEX CONCURRENTLY IF NOT EXISTS ${name} ON orders (${column})`,
  description,
});
const OLD = [index('idx_orders_status', 'status'), index('idx_orders_placed', 'placed')];
const NOTE = { '0001_note': 'alter table orders add column note text;' };

const SERVICES_UP = { api: 2, worker: 1 };

let database: TestDatabase;
let folder: string;
let opened: TestWorkflow | undefined;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-update-'));
  database = await createDatabase();
  await database.query('create table orders (id int primary key, status text, placed date, total int)');
});

afterEach(async () => {
  await opened?.close();
  opened = undefined;
  await database.drop();
  rmSync(folder, { recursive: true, force: true });
});

/** A generation with another index, another migration and, if it has no SQL files, none of the functions for them. */
async function generation(number: number, migrations: 'sql' | 'none'): Promise<Update> {
  const files = { ...NOTE, '0002_paid': 'alter table orders add column paid date;' };
  return {
    registry: await compileRegistry(
      [...OLD, index('idx_orders_total', 'total', `generation ${number}`)],
      `generation ${number}`,
    ),
    environment: localEnvironment({
      migrations:
        migrations === 'none'
          ? 'none'
          : { runner: 'sql', directory: writeMigrations(join(folder, String(number)), files) },
      services: DEMO_SERVICES,
      lockTimeoutSeconds: 3,
      maxPauseSeconds: 1,
    }),
  };
}

async function open(onEvent: (event: EngineEvent) => void): Promise<TestWorkflow> {
  opened = await openTestWorkflow({ databaseUrl: database.url, indexes: OLD, migrations: NOTE, onEvent });
  return opened;
}

const indexNames = async () =>
  (
    await database.query<{ name: string }>(
      `select c.relname as name from pg_index i join pg_class c on c.oid = i.indexrelid
        where i.indisvalid and not i.indisprimary and i.indrelid = 'orders'::regclass order by 1`,
    )
  ).map(({ name }) => name);

/** The states at which the generations are updated: around each start of a child and each invocation. */
const UPDATED_AT = [
  DEPLOY.preflight,
  DEPLOY.maintenanceWindow,
  WINDOW.stopServices,
  MIGRATIONS.run,
  WINDOW.buildIndexes,
  BUILD_INDEXES.buildIndex,
  BUILD_INDEXES.planAgain,
  DEPLOY.startServices,
  START_SERVICES.readState,
  DEPLOY.report,
];

test('a deploy runs one generation from start to end, however often the stack is updated', async () => {
  const generations = new Map<string, Update>();
  for (const [at, state] of UPDATED_AT.entries()) {
    generations.set(state, await generation(at, at % 2 === 0 ? 'none' : 'sql'));
  }
  const updated: string[] = [];
  const workflow = await open(({ type, state }) => {
    const next = type === 'StateEntered' ? generations.get(state ?? '') : undefined;
    if (next === undefined || updated.includes(state ?? '')) return;
    updated.push(state ?? '');
    workflow.workflow.update(next);
  });

  const { status, report } = await workflow.deploy();

  expect(report.failure).toBeNull();
  expect(status).toBe('SUCCEEDED');
  expect(updated.toSorted()).toEqual(UPDATED_AT.toSorted());
  expect(report.migrations).toMatchObject({ outcome: 'succeeded', applied: ['0001_note'], pending: [] });
  expect(report.indexes.map(({ name, status: of }) => [name, of])).toEqual([
    ['idx_orders_status', 'built'],
    ['idx_orders_placed', 'built'],
  ]);
  expect(await indexNames()).toEqual(['idx_orders_placed', 'idx_orders_status']);
  expect(workflow.running()).toEqual(SERVICES_UP);
  expect(workflow.workflow.servicesWithSavedState).toEqual([]);
  expect(workflow.alerts).toEqual([]);
  expect(new Set(workflow.workflow.lambdas.invocations.map(({ version }) => version))).toEqual(
    new Set(['1']),
  );
});

test('the next deploy runs the generation of the last update', async () => {
  const next = await generation(2, 'sql');
  let isUpdated = false;
  const workflow = await open(({ type, state }) => {
    if (type !== 'StateEntered' || state !== MIGRATIONS.run || isUpdated) return;
    isUpdated = true;
    workflow.workflow.update(next);
  });

  const first = await workflow.deploy();
  const second = await workflow.deploy();

  expect([first.status, second.status]).toEqual(['SUCCEEDED', 'SUCCEEDED']);
  expect(first.report.migrations.applied).toEqual(['0001_note']);
  expect(second.report.migrations.applied).toEqual(['0002_paid']);
  expect(await indexNames()).toEqual(['idx_orders_placed', 'idx_orders_status', 'idx_orders_total']);
  const deploys = Map.groupBy(workflow.workflow.lambdas.invocations, ({ version }) => version);
  expect([...deploys.keys()]).toEqual(['1', '2']);
});

test('an update during an aborted deploy leaves the recovery able to start the services', async () => {
  const next = await generation(2, 'none');
  const workflow = await open(({ type, state }) => {
    if (type !== 'StateEntered' || state !== MIGRATIONS.run) return;
    workflow.workflow.update(next);
    execution.abort();
  });

  const { execution, ended } = workflow.workflow.start({});
  const { result } = await ended;
  expect(result.status).toBe('ABORTED');
  await workflow.workflow.lambdas.idle();
  await workflow.workflow.recover({ reason: 'deploy-ended' });

  expect(workflow.running()).toEqual(SERVICES_UP);
  expect(workflow.workflow.servicesWithSavedState).toEqual([]);
});

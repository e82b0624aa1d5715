/*
 * A schema per tenant: builds INDEXES indexes in each of SCHEMAS schemas with the whole workflow, while schemas are created and
 * dropped, and then deploys again with nothing to do. Prints the durations, the transitions for each index and the size of the
 * report.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { DEADLOCK_DETECTED, sqlstateOf } from '../lambdas/postgres/sqlstate.ts';
import { startEmbeddedPostgres } from '../lib/local/embedded-postgres.ts';
import { localEnvironment } from '../lib/local/local-environment.ts';
import { LocalWorkflow } from '../lib/local/local-workflow.ts';
import { compileRegistry } from '../lib/registry/compile-registry.ts';
import type { IndexEntry } from '../lib/registry/define-indexes.ts';
import { seconds } from './measure.ts';

const [schemas = 5_000, indexes = 20] = process.argv.slice(2).map(Number);
/** Schemas that are created, and dropped, during the builds. */
const CHANGES = 20;

const entries: IndexEntry[] = Array.from({ length: indexes }, (_, at) => ({
  name: `idx_orders_${at}`,
  sql: `create index concurrently if not exists idx_orders_${at} on orders (column_${at})`,
  description: 'index of the benchmark',
  schemas: ['tenant_*'],
}));

const columns = entries.map((_, at) => `column_${at} int`).join(', ');
const createTenant = (schema: string) =>
  `create schema ${schema}; create table ${schema}.orders (${columns})`;

const server = await startEmbeddedPostgres();
const folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-bench-'));
const client = new Client({ connectionString: server.url() });
await client.connect();
for (let at = 0; at < schemas; at += 1) await client.query(createTenant(`tenant_${at}`));
await client.query('vacuum analyze pg_class');

let transitions = 0;
const workflow = await LocalWorkflow.open({
  databaseUrl: server.url(),
  projectRoot: folder,
  registry: await compileRegistry(entries, 'the benchmark'),
  environment: localEnvironment({ migrations: 'none', services: [] }),
  stateFile: join(folder, 'aws.json'),
  onEvent: ({ type }) => {
    if (type === 'StateEntered' || type === 'StateRetried') transitions += 1;
  },
});

try {
  const built = await deploy('build', changeSchemas);
  await deploy('nothing to do', async () => {});
  if (built.failed + built.remaining > 0) throw new Error(`Not built: ${JSON.stringify(built)}`);
} finally {
  await workflow.close();
  await client.end();
  await server.stop('immediate');
  rmSync(folder, { recursive: true, force: true });
}

async function deploy(title: string, meanwhile: () => Promise<void>) {
  transitions = 0;
  const started = performance.now();
  const { ended } = workflow.start({});
  await meanwhile();
  const { summary } = await ended;
  if (summary === undefined) throw new Error('The deploy has no report.');
  const { totals } = summary.report;
  console.log(
    `${title}: ${seconds(performance.now() - started)}, ${totals.created} created, ${totals.skipped} present, ${totals.failed} failed, ` +
      `${totals.remaining} remaining; ${transitions} transitions, ${(transitions / (schemas * indexes)).toFixed(4)} for each index; ` +
      `report of ${Math.round(JSON.stringify(summary.report).length / 1024)} KB`,
  );
  return totals;
}

/** Creates and drops schemas, each after some builds. */
async function changeSchemas(): Promise<void> {
  for (let at = 0; at < Math.min(CHANGES, schemas - 1); at += 1) {
    await client.query(createTenant(`tenant_new_${at}`));
    await dropTenant(`tenant_${at}`);
  }
}

/** The drop waits for a build on the table, which waits for the snapshot of the drop: PostgreSQL ends one of the two. */
async function dropTenant(schema: string): Promise<void> {
  try {
    await client.query(`drop schema ${schema} cascade`);
  } catch (error) {
    if (sqlstateOf(error) !== DEADLOCK_DETECTED) throw error;
    await dropTenant(schema);
  }
}

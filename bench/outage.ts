/*
 * Replays the outage that this product was made for: the dashboard of a tenant with 30 % of all deals, without an index. The first argument
 * is the number of deals (default: 2,000,000). Copies of one database are queried in alternating rounds: without indexes, with the registry of
 * the demo after a deploy, and with only the index that `explain` proposes. Prints ratios, and what the gate says before and after the deploy.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import demoIndexes from '../database/indexes.ts';
import { startEmbeddedPostgres } from '../lib/local/embedded-postgres.ts';
import { localEnvironment } from '../lib/local/local-environment.ts';
import { LocalWorkflow } from '../lib/local/local-workflow.ts';
import { compileRegistry } from '../lib/registry/compile-registry.ts';
import { median } from './measure.ts';

const DEALS = Number(process.argv[2] ?? 2_000_000);
const ROUNDS = 7;
const ROOT = join(import.meta.dirname, '..');
const DEMO = join(ROOT, 'database');
/** The query of the old dashboard and that of the new one, for the tenant that owns the most rows, and for another one. */
const QUERIES = {
  'dashboard, largest tenant': { sql: queryOf('dashboard_deals'), values: ['1', '2025-11-01'] },
  'dashboard, another tenant': { sql: queryOf('dashboard_deals'), values: ['17', '2025-11-01'] },
  'summary, largest tenant': { sql: queryOf('dashboard_monthly_summary'), values: ['1', '7'] },
};
type Query = (typeof QUERIES)[keyof typeof QUERIES];
/** The gate of a pipeline, over all queries of the demo. */
const GATE = ['--queries', join(DEMO, 'queries'), '--fail-on', 'seq-scan', '--min-rows', '50000', '--json'];
/** A registry with the entries of other queries, so that the index of the dashboard has to be found. */
const WITHOUT_DASHBOARD = demoIndexes.filter(({ serves }) => !serves?.includes('dashboard_deals'));

interface Explained {
  name: string;
  verdict: string;
  message: string;
  proposal: { entry: { name: string; sql: string } } | null;
}

const folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-bench-'));
const server = await startEmbeddedPostgres();
try {
  await fill();
  await copy('deployed');
  const registry = join(folder, 'indexes.json');
  writeFileSync(registry, JSON.stringify(WITHOUT_DASHBOARD));
  const before = gate('postgres', '--indexes', registry);
  const refused = before.queries.find(({ name }) => name === 'dashboard_deals');
  console.log(
    `before the deploy, the gate ends with ${before.exitCode}: ${refused?.verdict}: ${refused?.message}`,
  );
  const proposed = refused?.proposal?.entry.sql;
  if (before.exitCode !== 1 || proposed === undefined)
    throw new Error('The gate accepts the query without an index, or proposes none.');
  if (WITHOUT_DASHBOARD.length === demoIndexes.length)
    throw new Error('No entry of the demo serves the dashboard.');
  console.log(`it proposes: ${proposed}`);
  await copy('proposed');
  await run('proposed', proposed.replace(/\bconcurrently\b/i, ''));
  await run('proposed', 'vacuum (analyze) deals');
  await deploy('deployed');
  await run('deployed', 'vacuum (analyze) deals');
  await run('deployed', 'vacuum (analyze) deal_monthly_summary');
  const after = gate('deployed');
  console.log(
    `after the deploy, the gate ends with ${after.exitCode}: dashboard_deals: ` +
      `${after.queries.find(({ name }) => name === 'dashboard_deals')?.verdict}`,
  );
  if (after.exitCode !== 0) throw new Error('The gate fails after the deploy.');
  await measure();
} finally {
  await server.stop('immediate');
  rmSync(folder, { recursive: true, force: true });
}

function queryOf(name: string): string {
  return readFileSync(join(DEMO, 'queries', `${name}.sql`), 'utf8');
}

/** The schema and the rows before the release of the registry. */
async function fill(): Promise<void> {
  const files = readdirSync(join(DEMO, 'migrations')).toSorted();
  const migrations = files.map((name) => readFileSync(join(DEMO, 'migrations', name), 'utf8'));
  // The rows need the schema before the last two migrations, and the view contains the rows.
  const seed = readFileSync(join(DEMO, 'seed.sql'), 'utf8').replaceAll('420000', String(DEALS));
  for (const sql of [...migrations.slice(0, -2), seed, ...migrations.slice(-2)]) await run('postgres', sql);
  await run('postgres', 'vacuum (analyze)');
  const [row] = await run(
    'postgres',
    'select count(*)::int as deals, count(*) filter (where tenant_id = 1)::int as largest from deals',
  );
  console.log(`${row?.deals} deals, of which one tenant owns ${row?.largest}`);
}

async function copy(name: string): Promise<void> {
  await run('template1', `create database ${name} template postgres`);
}

/** Builds the registry of the demo with the whole workflow. */
async function deploy(name: string): Promise<void> {
  const workflow = await LocalWorkflow.open({
    databaseUrl: urlOf(name),
    projectRoot: folder,
    registry: await compileRegistry([...demoIndexes], 'the demo'),
    environment: localEnvironment({ migrations: 'none', services: [] }),
    stateFile: join(folder, 'aws.json'),
  });
  try {
    const { summary } = await workflow.start({}).ended;
    const totals = summary?.report.totals;
    if (totals?.created !== demoIndexes.length)
      throw new Error(`The deploy built ${totals?.created} indexes.`);
    console.log(`the deploy built ${totals.created} indexes`);
  } finally {
    await workflow.close();
  }
}

function gate(name: string, ...flags: string[]): { exitCode: number | null; queries: Explained[] } {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(ROOT, 'bin/pg-deploy-step.ts'), 'explain', '--database-url', urlOf(name), ...GATE, ...flags],
    { encoding: 'utf8', cwd: ROOT, maxBuffer: 100_000_000 },
  );
  if (status !== 0 && status !== 1) throw new Error(`explain ended with ${status}: ${stderr}`);
  return { exitCode: status, queries: (JSON.parse(stdout) as { queries: Explained[] }).queries };
}

/** Prints the medians of alternating rounds. The first round, which fills the caches, does not count. */
async function measure(): Promise<void> {
  const {
    'dashboard, largest tenant': largest,
    'dashboard, another tenant': other,
    'summary, largest tenant': summary,
  } = QUERIES;
  await compare('dashboard, largest tenant', {
    'without indexes': ['postgres', largest],
    'with the registry': ['deployed', largest],
    'with the proposed index': ['proposed', largest],
    'on the view': ['deployed', summary],
  });
  await compare('dashboard, another tenant', {
    'without indexes': ['postgres', other],
    'with the registry': ['deployed', other],
    'with the proposed index': ['proposed', other],
  });
}

async function compare(
  title: string,
  cases: Record<string, [database: string, query: Query]>,
): Promise<void> {
  const results = new Map<string, Execution[]>();
  for (let round = 0; round <= ROUNDS; round++)
    for (const [name, [database, query]] of Object.entries(cases)) {
      const execution = await execute(database, query);
      if (round > 0) results.set(name, [...(results.get(name) ?? []), execution]);
    }
  const medians = [...results].map(([name, executions]) => ({
    name,
    ms: median(executions.map(({ ms }) => ms)),
    blocks: median(executions.map(({ blocks }) => blocks)),
  }));
  const [base] = medians;
  for (const { name, ms, blocks } of medians)
    console.log(
      `${title}, ${name}: ${((base?.ms ?? 0) / ms).toFixed(1)} times as fast (${ms.toFixed(1)} ms), ` +
        `${((base?.blocks ?? 0) / blocks).toFixed(1)} times fewer blocks (${blocks})`,
    );
}

interface Execution {
  ms: number;
  /** Blocks of tables and indexes that were read, in a cache or not. */
  blocks: number;
}

/** What EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) returns. */
interface Executed {
  'Execution Time': number;
  Plan: Record<'Shared Hit Blocks' | 'Shared Read Blocks', number>;
}

/** Executes a query with EXPLAIN ANALYZE, without the time of each node. */
async function execute(database: string, { sql, values }: Query): Promise<Execution> {
  const [row] = await run(database, `explain (analyze, buffers, timing off, format json) ${sql}`, values);
  const [executed] = (row?.['QUERY PLAN'] ?? []) as readonly Executed[];
  if (executed === undefined) throw new Error('EXPLAIN has returned no plan.');
  const { 'Execution Time': ms, Plan: plan } = executed;
  return { ms, blocks: plan['Shared Hit Blocks'] + plan['Shared Read Blocks'] };
}

function urlOf(name: string): string {
  return Object.assign(new URL(server.url()), { pathname: `/${name}` }).href;
}

async function run(
  name: string,
  sql: string,
  values?: readonly string[],
): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: urlOf(name) });
  await client.connect();
  try {
    return (await client.query(sql, values === undefined ? undefined : [...values])).rows ?? [];
  } finally {
    await client.end();
  }
}

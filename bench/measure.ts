import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../lib/local/embedded-postgres.ts';
import type { Invocation } from '../lib/local/lambda-host.ts';
import { type LocalEnvironmentOptions, localEnvironment } from '../lib/local/local-environment.ts';
import { LocalWorkflow } from '../lib/local/local-workflow.ts';
import { compileRegistry } from '../lib/registry/compile-registry.ts';
import type { IndexEntry } from '../lib/registry/define-indexes.ts';

/** Runs a benchmark with an embedded server. @param tables SQL that creates the tables */
export async function withServer(
  tables: string,
  use: (server: EmbeddedPostgres) => Promise<void>,
): Promise<void> {
  const server = await startEmbeddedPostgres();
  try {
    await runSql(server.url(), `${tables}; vacuum analyze`);
    await use(server);
  } finally {
    await server.stop('immediate');
  }
}

interface Measurement {
  /** Milliseconds from the start of the first build to the end of the last build, from the ledger. */
  buildMs: number;
  /** All calls of functions. */
  invocations: readonly Invocation[];
}

/** Builds the indexes with the whole workflow, then drops them. @param meanwhile runs during the builds */
export async function measureBuilds(
  url: string,
  indexes: IndexEntry[],
  builds: Omit<LocalEnvironmentOptions, 'migrations' | 'services'>,
  meanwhile: () => Promise<void> = async () => {},
): Promise<Measurement> {
  const folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-bench-'));
  const workflow = await LocalWorkflow.open({
    databaseUrl: url,
    projectRoot: folder,
    registry: await compileRegistry(indexes, 'the benchmark'),
    environment: localEnvironment({ migrations: 'none', services: [], ...builds }),
    stateFile: join(folder, 'aws.json'),
  });
  try {
    const { ended } = workflow.start({});
    await meanwhile();
    const { summary } = await ended;
    const built = summary?.report.indexes.filter((index) => index.status === 'built').length ?? 0;
    if (built !== indexes.length) {
      throw new Error(`The workflow built ${built} of ${indexes.length} indexes.`);
    }
    const [duration] = await runSql(
      url,
      'select extract(epoch from max(finished_at) - min(started_at))::float8 * 1000 as ms from deploy_step.index_builds',
    );
    await runSql(
      url,
      `drop index ${indexes.map(({ name }) => name).join(', ')}; drop schema deploy_step cascade`,
    );
    return { buildMs: Number(duration?.ms), invocations: workflow.lambdas.invocations };
  } finally {
    await workflow.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

export function indexOn(table: string, number: number, columns: string): IndexEntry {
  const name = `idx_${table}_${number}`;
  return {
    name,
    sql: `CREATE INDEX CONCURRENTLY IF NOT EXISTS ${name} ON ${table} (${columns})`,
    description: 'index of the benchmark',
  };
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

export function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}

/** Runs statements on a separate connection, each outside a transaction, as VACUUM requires. @returns the last rows */
async function runSql(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    let rows: Record<string, unknown>[] = [];
    for (const statement of sql.split(';')) {
      if (statement.trim() !== '') ({ rows } = await client.query(statement));
    }
    return rows;
  } finally {
    await client.end();
  }
}

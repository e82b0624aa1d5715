import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../lib/local/embedded-postgres.ts';
import type { Invocation } from '../lib/local/lambda-host.ts';
import { type LocalEnvironmentOptions, localEnvironment } from '../lib/local/local-environment.ts';
import { LocalWorkflow } from '../lib/local/local-workflow.ts';
import { compileRegistry } from '../lib/registry/compile-registry.ts';
import type { IndexEntry } from '../lib/registry/define-indexes.ts';
import { runSql } from './sql.ts';

/** A server with the tables that are to be indexed, for one bench. */
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

export interface Measured {
  /** From the first build's start to the last one's end, by the ledger, in milliseconds. */
  buildMs: number;
  /** Every call of a function. */
  invocations: readonly Invocation[];
}

/** Builds the indexes with the whole workflow, and drops them again. */
export async function measureBuilds(
  url: string,
  indexes: IndexEntry[],
  builds: Omit<LocalEnvironmentOptions, 'migrations' | 'services'>,
  meanwhile: () => Promise<void> = async () => {},
): Promise<Measured> {
  const folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-bench-'));
  const workflow = await LocalWorkflow.open({
    databaseUrl: url,
    projectRoot: folder,
    registry: await compileRegistry(indexes, 'the bench'),
    environment: localEnvironment({ migrations: 'none', services: [], ...builds }),
    stateFile: join(folder, 'aws.json'),
  });
  try {
    const { ended } = workflow.start({});
    await meanwhile();
    const { summary } = await ended;
    const built = summary?.report.indexes.filter((index) => index.status === 'built').length ?? 0;
    if (built !== indexes.length) throw new Error(`Of ${indexes.length} indexes ${built} were built.`);
    const [took] = await runSql(
      url,
      'select extract(epoch from max(finished_at) - min(started_at))::float8 * 1000 as ms from deploy_step.index_builds',
    );
    await runSql(
      url,
      `drop index ${indexes.map(({ name }) => name).join(', ')}; drop schema deploy_step cascade`,
    );
    return { buildMs: Number(took?.ms), invocations: workflow.lambdas.invocations };
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
    description: 'of the bench',
  };
}

export function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}

import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runner } from 'node-pg-migrate';
import pg from 'pg';
import { MIGRATIONS_TABLE } from '../../lambdas/postgres/migration-history.ts';
import { type EcsService, ecsServiceSchema } from '../config/environment.ts';
import type { LocalService } from './aws/local-aws.ts';

/** The demo's last migrations: what its release brings. All before them are production as it was. */
const MIGRATIONS_OF_THE_RELEASE = 2;

const DATABASE = join(import.meta.dirname, '../../database');

/** A host that does not answer must not hold a run up for the minutes that the system would wait. */
const CONNECTION_TIMEOUT_MS = 15_000;

/**
 * Makes the demo database as it was before the release: all migrations but the last two, and rows. A database that has
 * the demo's rows already is left alone; one whose filling was interrupted is filled.
 * @param signal ends the filling, in the server too
 * @returns whether it was filled
 */
export async function seedDemo(databaseUrl: string, signal?: AbortSignal): Promise<boolean> {
  const client = new pg.Client({
    connectionString: databaseUrl,
    application_name: 'pg-deploy-step seed',
    connectionTimeoutMillis: CONNECTION_TIMEOUT_MS,
  });
  // A connection that is lost shows at the next statement; without a listener it would end the process.
  client.on('error', () => undefined);
  await client.connect();
  const { rows: sessions } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  const abandon = () => void terminate(databaseUrl, sessions[0]?.pid);
  signal?.addEventListener('abort', abandon);
  const before = await migrationsBeforeRelease();
  try {
    signal?.throwIfAborted();
    if (await isFilled(client)) return false;
    await runner({
      dbClient: client,
      dir: before,
      direction: 'up',
      migrationsTable: MIGRATIONS_TABLE,
      singleTransaction: true,
      log: () => {},
    });
    await client.query(await readFile(join(DATABASE, 'seed.sql'), 'utf8'));
    return true;
  } finally {
    signal?.removeEventListener('abort', abandon);
    await client.end();
    await rm(before, { recursive: true, force: true });
  }
}

async function isFilled(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ there: boolean }>(
    "select to_regclass('public.deals') is not null as there",
  );
  if (!rows[0]?.there) return false;
  // The rows come in one transaction of their own after the tables.
  return (await client.query('select from public.deals limit 1')).rowCount === 1;
}

/** A session does not notice that its client is gone: it would go on to the end and commit. */
async function terminate(databaseUrl: string, pid: number | undefined): Promise<void> {
  const client = new pg.Client({
    connectionString: databaseUrl,
    connectionTimeoutMillis: CONNECTION_TIMEOUT_MS,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('select pg_terminate_backend($1)', [pid]);
  } catch {
    // It ends by itself when its statement does.
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function migrationsBeforeRelease(): Promise<string> {
  const from = join(DATABASE, 'migrations');
  const files = (await readdir(from)).toSorted().slice(0, -MIGRATIONS_OF_THE_RELEASE);
  const folder = await mkdtemp(join(tmpdir(), 'pg-deploy-step-seed-'));
  for (const file of files) await cp(join(from, file), join(folder, file));
  return folder;
}

const CLUSTER = 'demo';

/** The demo's services as an environment has them. */
export const DEMO_SERVICES: EcsService[] = [
  ecsServiceSchema.parse({ name: 'api', cluster: CLUSTER, service: 'api', scaling: true }),
  ecsServiceSchema.parse({ name: 'worker', cluster: CLUSTER, service: 'worker' }),
];

/** The demo's services as the local ECS runs them: real processes that hold connections and write. */
export function demoTasks(databaseUrl: string): LocalService[] {
  const environment = { DATABASE_URL: databaseUrl };
  return [
    { cluster: CLUSTER, service: 'api', desiredCount: 2, environment, scaling: { min: 1, max: 4 } },
    { cluster: CLUSTER, service: 'worker', desiredCount: 1, environment },
  ];
}

import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runner } from 'node-pg-migrate';
import pg from 'pg';
import { MIGRATIONS_TABLE } from '../../lambdas/postgres/migrations.ts';
import { type EcsService, ecsServiceSchema } from '../config/environment.ts';
import type { LocalService } from './aws/local-aws.ts';

/** The demo's last migrations: what its release brings. All before them are production as it was. */
const MIGRATIONS_OF_THE_RELEASE = 2;

const DATABASE = join(import.meta.dirname, '../../database');

/**
 * Makes the demo database as it was before the release: all migrations but the last two, and rows. A database that has
 * the demo's tables already is left alone.
 * @returns whether it was filled
 */
export async function seedDemo(databaseUrl: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: databaseUrl, application_name: 'pg-deploy-step seed' });
  await client.connect();
  const before = await migrationsBeforeRelease();
  try {
    const { rows } = await client.query<{ seeded: boolean }>(
      "select to_regclass('public.deals') is not null as seeded",
    );
    if (rows[0]?.seeded) return false;
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
    await client.end();
    await rm(before, { recursive: true, force: true });
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

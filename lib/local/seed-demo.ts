import { cp, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { runner } from 'node-pg-migrate';
import { backendOf, type Client } from '../../lambdas/postgres/client.ts';
import { connectClient } from '../../lambdas/postgres/connect.ts';
import { MIGRATIONS_TABLE, withMigrationsTable } from '../../lambdas/postgres/migration-history.ts';
import { withConfiguredSearchPath } from '../../lambdas/postgres/search-path.ts';
import { pinSettings } from '../../lambdas/postgres/session-settings.ts';
import { withTrustedTable } from '../../lambdas/postgres/trusted-table.ts';
import { DEMO_DATABASE } from '../files/package-files.ts';
import { createTemporaryFolder } from '../files/temporary-folder.ts';

/** The demo's release: its last migrations. The migrations before them make the database as it was in production. */
const MIGRATIONS_OF_THE_RELEASE = 2;

/** Fails early when the host does not answer. The operating system would wait for minutes. */
const CONNECTION_TIMEOUT_MS = 15_000;

/**
 * Creates the demo database as it was before the release: all migrations but the last two, and the demo's rows. Leaves
 * a database that has the rows unchanged, and completes one whose seed was interrupted.
 * @param signal interrupts the seed, also in the server
 * @throws Refused when a role that is not trusted controls a table that the seed reads
 * @returns true if the rows were inserted, false if they existed
 */
export async function seedDemo(databaseUrl: string, signal?: AbortSignal): Promise<boolean> {
  const client = await connect(databaseUrl);
  const pid = backendOf(client);
  const interrupt = () => void terminate(databaseUrl, pid);
  signal?.addEventListener('abort', interrupt);
  const before = await migrationsBeforeRelease();
  try {
    signal?.throwIfAborted();
    if (!(await pinSettings(client, pid))) {
      throw new Error(
        "The rows of the demo cannot be loaded through a connection pooler. Use the database's own endpoint in --database-url.",
      );
    }
    if (await isSeeded(client)) return false;
    // node-pg-migrate records a time without a time zone: see useTimeZoneOfRole.
    await client.query('set timezone to default');
    await withMigrationsTable(
      client,
      'row exclusive',
      async () =>
        await runner({
          dbClient: client,
          dir: before,
          direction: 'up',
          migrationsTable: MIGRATIONS_TABLE,
          singleTransaction: true,
          migrationLoaderStrategies: [{ extensions: ['.sql'], loader: fileLoader(client) }],
          log: () => {},
        }),
    );
    await runFile(client, join(DEMO_DATABASE, 'seed.sql'));
    return true;
  } finally {
    signal?.removeEventListener('abort', interrupt);
    await client.end();
    await rm(before, { recursive: true, force: true });
  }
}

/**
 * Loads the migrations for node-pg-migrate, whose own statements run with the search path of the product and not with that of
 * the files.
 */
function fileLoader(client: Client) {
  return async (filePaths: string[]) =>
    filePaths.map((path) => ({
      id: path,
      filePaths: [path],
      actions: { up: async () => await runFile(client, path), down: false as const },
    }));
}

async function runFile(client: Client, file: string): Promise<void> {
  const sql = await readFile(file, 'utf8');
  await withConfiguredSearchPath(client, () => client.query(sql));
}

async function isSeeded(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ exists: boolean }>(
    "select to_regclass('public.deals') is not null as exists",
  );
  if (!rows[0]?.exists) return false;
  // The tables and the rows are committed by two transactions, so the tables can exist without rows.
  return await withTrustedTable(client, { schema: 'public', table: 'deals' }, 'access share', async () => {
    return (await client.query('select from public.deals limit 1')).rowCount === 1;
  });
}

/** Ends the session. A session does not notice that its client is gone: it would continue, and commit. */
async function terminate(databaseUrl: string, pid: number | null): Promise<void> {
  let client: Client | undefined;
  try {
    client = await connect(databaseUrl);
    await client.query('select pg_catalog.pg_terminate_backend($1::pg_catalog.int4)', [pid]);
  } catch {
    // The session ends when its statement does.
  } finally {
    await client?.end().catch(() => undefined);
  }
}

async function connect(databaseUrl: string): Promise<Client> {
  return await connectClient(
    { connectionString: databaseUrl },
    { application_name: 'pg-deploy-step seed', connectionTimeoutMillis: CONNECTION_TIMEOUT_MS },
  );
}

async function migrationsBeforeRelease(): Promise<string> {
  const from = join(DEMO_DATABASE, 'migrations');
  const files = (await readdir(from)).toSorted().slice(0, -MIGRATIONS_OF_THE_RELEASE);
  const folder = createTemporaryFolder('seed');
  for (const file of files) await cp(join(from, file), join(folder, file));
  return folder;
}

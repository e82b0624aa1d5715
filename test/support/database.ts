import { randomBytes } from 'node:crypto';
import { Client, type QueryResultRow } from 'pg';
import { inject } from 'vitest';
import { createDeployRole, dropDeployRole } from './deploy-role.ts';
import type { Major } from './majors.ts';

export interface TestDatabase {
  readonly name: string;
  /** Connection string of a superuser. The helpers that run the product deploy with another role: see deploy-role.ts. */
  readonly url: string;
  /** Connection string of the role that deploys. */
  readonly deployUrl: string;
  /** Runs one statement on a separate connection. @returns its rows */
  query<R extends QueryResultRow = QueryResultRow>(sql: string, params?: unknown[]): Promise<R[]>;
  /** Ends all sessions in the database, and drops it and the roles of its deploys. */
  drop(): Promise<void>;
}

interface TestDatabaseOptions {
  /** Database to copy. @default the new database is empty */
  template?: string;
  /** Connection string of the server, as superuser. @default the server of the run, version 18 */
  adminUrl?: string;
}

/**
 * Connection string of the server of the whole test run for a version, as superuser.
 * @throws Error with the reason why that server did not start
 */
export function adminUrlOf(major: Major): string {
  const server = inject('servers')[major];
  if ('error' in server) throw new Error(`PostgreSQL ${major} did not start: ${server.error}`);
  return server.adminUrl;
}

/** Creates an empty database, or a copy of `template`. */
export async function createDatabase({
  template,
  adminUrl = adminUrlOf(18),
}: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const name = `test_${randomBytes(8).toString('hex')}`;
  await onConnection(adminUrl, async (admin) => {
    await admin.query(`create database ${name}${template === undefined ? '' : ` template "${template}"`}`);
  });
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  const deployUrl = await onConnection(url.href, async (client) => {
    // The default from version 15 on. Before, every role may create objects in public, and preflight warns about that.
    if (template === undefined) await client.query('revoke create on schema public from public');
    return await createDeployRole(client, name, url.href);
  });
  return {
    name,
    url: url.href,
    deployUrl,
    query: async <R extends QueryResultRow>(sql: string, params?: unknown[]) =>
      await onConnection(url.href, async (client) => (await client.query<R>(sql, params)).rows),
    drop: async () =>
      await onConnection(adminUrl, async (admin) => {
        await admin.query(`drop database if exists ${name} with (force)`);
        await admin.query(dropDeployRole(name));
      }),
  };
}

/** A connection for a test that holds a lock or a transaction. The test must end it. */
export async function connect(url: string, application = 'test'): Promise<Client> {
  const client = new Client({ connectionString: url, application_name: application });
  // The connection fails when the test stops the server or drops the database.
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

/** Every schema, table and index of a database, for comparing before and after. */
export async function readRelations(database: TestDatabase): Promise<unknown> {
  return await database.query(
    `select n.nspname, c.relname, c.relkind, c.oid from pg_namespace n left join pg_class c on c.relnamespace = n.oid
      where n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema' order by 1, 2`,
  );
}

async function onConnection<T>(url: string, use: (client: Client) => Promise<T>): Promise<T> {
  const client = await connect(url);
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

import type { Client } from 'pg';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../lib/local/embedded-postgres.ts';
import { connect, createDatabase, type TestDatabase } from './database.ts';
import { type LedgerRow, readLedger } from './ledger.ts';
import { expectNoLeftovers } from './leftovers.ts';
import type { Major } from './servers.ts';
import { openTestWorkflow, type TestWorkflow, type TestWorkflowOptions } from './workflow.ts';

interface InstanceOptions extends Omit<TestWorkflowOptions, 'databaseUrl' | 'services' | 'migrations'> {
  /** SQL that creates the tables. */
  tables: string;
  /** Settings of postgresql.conf. */
  settings?: Record<string, string>;
}

/** A server of its own (for its log, its roles and its settings), a database, and the workflow that builds in it. */
export interface TestInstance {
  readonly server: EmbeddedPostgres;
  readonly database: TestDatabase;
  readonly workflow: TestWorkflow;
  /**
   * Opens another connection, which `close` ends.
   * @param role its password is its name @default a superuser
   */
  session(application?: string, role?: string): Promise<Client>;
  /** Runs `deploy` in the mode indexes. */
  build(...indexes: string[]): ReturnType<TestWorkflow['deploy']>;
  ledger(item: string): Promise<LedgerRow[]>;
  expectNoLeftovers(): Promise<void>;
  close(): Promise<void>;
}

export async function openInstance(
  major: Major,
  { tables, settings, ...options }: InstanceOptions,
): Promise<TestInstance> {
  const server = await startEmbeddedPostgres({ major, settings: { fsync: 'off', ...settings } });
  const database = await createDatabase({ adminUrl: server.url() });
  await database.query(tables);
  const builds = { waitSeconds: 1, ...options.builds };
  const workflow = await openTestWorkflow({
    ...options,
    builds,
    databaseUrl: database.url,
    services: 'none',
  });
  const sessions: Client[] = [];
  return {
    server,
    database,
    workflow,
    session: async (application = 'second session', role) => {
      const url = new URL(database.url);
      if (role !== undefined) Object.assign(url, { username: role, password: role });
      const client = await connect(url.href, application);
      sessions.push(client);
      return client;
    },
    build: async (...indexes) => await workflow.deploy({ mode: 'indexes', indexes }),
    ledger: async (item) => await readLedger(database, item),
    expectNoLeftovers: async () => await expectNoLeftovers(async (sql) => await database.query(sql)),
    close: async () => {
      await Promise.all(sessions.map((client) => client.end().catch(() => {})));
      await workflow.close();
      await server.stop('immediate');
    },
  };
}

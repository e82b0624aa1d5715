import type { Client } from 'pg';
import { describe } from 'vitest';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../lib/local/embedded-postgres.ts';
import { expectClean } from './aftermath.ts';
import { connect, createDatabase, type TestDatabase } from './database.ts';
import { openTestWorkflow, type TestWorkflow, type TestWorkflowOptions } from './workflow.ts';

/** The newest and the oldest major that faults are shown on. */
export const MAJORS = [18, 14] as const;
export type Major = (typeof MAJORS)[number];

/**
 * A suite on each of them, side by side, because most of it is waiting for locks; the tests of one follow one another.
 * `expect.poll` knows only one test at a time, so that `until` takes its place here.
 */
export function onEachMajor(name: string, tests: (major: Major) => void): void {
  describe.each(MAJORS)(`${name}, PostgreSQL %i`, { concurrent: true }, (major) => {
    describe.sequential('one after the other', () => tests(major));
  });
}

export interface RigOptions extends Omit<TestWorkflowOptions, 'databaseUrl' | 'services' | 'migrations'> {
  /** SQL that makes the tables. */
  tables: string;
  /** Lines of postgresql.conf. */
  settings?: Record<string, string>;
}

/** One row of the ledger. */
export interface LedgerRow {
  item: string;
  attempt: number;
  status: string;
  pid: number;
  sqlstate: string | null;
  message: string | null;
  blockedBy: string | null;
}

/** A server of its own (for its log, its roles, its settings), a database and the workflow that builds in it. */
export interface Rig {
  readonly server: EmbeddedPostgres;
  readonly database: TestDatabase;
  readonly workflow: TestWorkflow;
  /** A second connection, ended with the rig. */
  session(application?: string): Promise<Client>;
  /** Runs `deploy` for some indexes while services run. */
  build(...indexes: string[]): ReturnType<TestWorkflow['deploy']>;
  ledger(item: string): Promise<LedgerRow[]>;
  expectClean(): Promise<void>;
  close(): Promise<void>;
}

export async function openRig(major: Major, { tables, settings, ...options }: RigOptions): Promise<Rig> {
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
    session: async (application = 'second session') => {
      const client = await connect(database.url, application);
      sessions.push(client);
      return client;
    },
    build: async (...indexes) => await workflow.deploy({ mode: 'indexes', indexes }),
    ledger: async (item) => await readLedger(database, item),
    expectClean: async () => await expectClean(async (sql) => await database.query(sql)),
    close: async () => {
      await Promise.all(sessions.map((client) => client.end().catch(() => {})));
      await workflow.close();
      await server.stop('immediate');
    },
  };
}

/** All attempts at an item, of all deploys. */
export async function readLedger(database: TestDatabase, item: string): Promise<LedgerRow[]> {
  const [there] = await database.query("select to_regclass('deploy_step.index_builds') as ledger");
  if (there?.ledger == null) return [];
  return await database.query<LedgerRow>(
    `select item, attempt, status, backend_pid as pid, sqlstate, message, blocked_by as "blockedBy"
       from deploy_step.index_builds where item = $1 order by started_at, attempt`,
    [item],
  );
}

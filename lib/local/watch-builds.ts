import { blockersOfBackend, describeBlockers } from '../../lambdas/postgres/blockers.ts';
import { backendOf, type Client } from '../../lambdas/postgres/client.ts';
import { connectClient } from '../../lambdas/postgres/connect.ts';
import { PHASE_FRACTION } from '../../lambdas/postgres/running-builds.ts';
import { pinSettings } from '../../lambdas/postgres/session-settings.ts';

/** An index build that is running in the database, by any session. */
export interface BuildRow {
  readonly pid: number;
  readonly schema: string;
  readonly table: string;
  /** Null: the index is not in the catalog yet. */
  readonly index: string | null;
  /** PostgreSQL's name for the phase, such as `building index: scanning table`. */
  readonly phase: string;
  /** Completed fraction of the phase, 0 to 1. Null: unknown in this phase. */
  readonly fraction: number | null;
  /** Description of the sessions and prepared transactions that the build waits for. Null: the build does not wait. */
  readonly waitsFor: string | null;
}

export interface BuildWatch {
  /** The running builds. Never rejects: without a connection the list is empty, and the next call connects again. */
  read(): Promise<BuildRow[]>;
  /** Closes the connection. Later reads return an empty list. */
  close(): Promise<void>;
}

const APPLICATION_NAME = 'pg-deploy-step progress';

/** The display needs current data, so a slow server is not waited for. */
const TIMEOUT_MS = 5_000;

const BUILDS = `
  select p.pid,
         n.nspname as schema,
         t.relname as "table",
         i.relname as index,
         p.phase,
         ${PHASE_FRACTION} as fraction
    from pg_stat_progress_create_index p
    join pg_class t on t.oid = p.relid
    join pg_namespace n on n.oid = t.relnamespace
    left join pg_class i on i.oid = p.index_relid
   where p.datname = current_database()
   order by p.pid`;

/** Reads the running builds over a separate connection, so that reading does not delay a build. */
export function watchBuilds(databaseUrl: string): BuildWatch {
  let connection: Promise<Client> | undefined;
  let reading: Promise<BuildRow[]> | undefined;
  let closed = false;

  const disconnect = async (): Promise<void> => {
    const client = await connection?.catch(() => undefined);
    connection = undefined;
    await client?.end().catch(() => undefined);
  };
  const readOnce = async (): Promise<BuildRow[]> => {
    try {
      connection ??= connect(databaseUrl);
      return await readBuilds(await connection);
    } catch {
      await disconnect();
      return [];
    }
  };
  return {
    read() {
      if (closed) return Promise.resolve([]);
      reading ??= readOnce().finally(() => {
        reading = undefined;
      });
      return reading;
    },
    async close() {
      closed = true;
      await reading;
      await disconnect();
    },
  };
}

async function readBuilds(client: Client): Promise<BuildRow[]> {
  const { rows } = await client.query<Omit<BuildRow, 'waitsFor'>>(BUILDS);
  const builds: BuildRow[] = [];
  for (const row of rows) {
    const isWaiting = row.phase === 'initializing' || row.phase.startsWith('waiting');
    const blockers = isWaiting ? await blockersOfBackend(client, row.pid) : [];
    builds.push({ ...row, waitsFor: describeBlockers(blockers) || null });
  }
  return builds;
}

async function connect(databaseUrl: string): Promise<Client> {
  const client = await connectClient(
    { connectionString: databaseUrl },
    {
      application_name: APPLICATION_NAME,
      connectionTimeoutMillis: TIMEOUT_MS,
      query_timeout: TIMEOUT_MS,
    },
  );
  try {
    if (!(await pinSettings(client, backendOf(client))))
      throw new Error('The connection goes through a pooler, in which a session keeps no settings.');
    return client;
  } catch (error) {
    client.end().catch(() => undefined);
    throw error;
  }
}

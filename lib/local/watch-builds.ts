import pg from 'pg';

/** One index build that runs in the database, by any session. */
export interface BuildRow {
  readonly pid: number;
  readonly schema: string;
  readonly table: string;
  /** Null: the index is not in the catalog yet. */
  readonly index: string | null;
  /** As PostgreSQL names it, such as `building index: scanning table`. */
  readonly phase: string;
  /** Of the phase, 0 to 1. Null: the phase has no measure. */
  readonly fraction: number | null;
  /** The session whose transaction it waits for, for people. Null: it waits for nobody. */
  readonly waitsFor: string | null;
}

export interface BuildWatch {
  /** The builds of this moment. Never rejects: without a connection there are none, and the next call connects again. */
  read(): Promise<BuildRow[]>;
  /** Closes the connection; later reads give nothing. */
  close(): Promise<void>;
}

const APPLICATION_NAME = 'pg-deploy-step progress';

/** A picture that comes late is worth nothing. */
const TIMEOUT_MS = 5_000;

/** While a build waits or sorts, the view still shows the counts of the phase before. */
const BUILDS = `
  select p.pid,
         n.nspname as schema,
         t.relname as "table",
         i.relname as index,
         p.phase,
         case when p.phase like 'waiting%' or p.phase like '%: sorting%' then null
              when p.blocks_total > 0 then least(1, p.blocks_done::float8 / p.blocks_total)
              when p.tuples_total > 0 then least(1, p.tuples_done::float8 / p.tuples_total)
         end as fraction,
         case when a.pid is not null
              then format('pid %s (%s, %s, transaction open for %s s)', a.pid,
                          coalesce(nullif(a.application_name, ''), a.backend_type), coalesce(a.state, 'unknown'),
                          coalesce(extract(epoch from clock_timestamp() - a.xact_start), 0)::int)
         end as "waitsFor"
    from pg_stat_progress_create_index p
    join pg_class t on t.oid = p.relid
    join pg_namespace n on n.oid = t.relnamespace
    left join pg_class i on i.oid = p.index_relid
    left join pg_stat_activity a on a.pid = nullif(p.current_locker_pid, 0)
   where p.datname = current_database()
   order by p.pid`;

/** Looks at the running builds over a connection of its own, so that no build is held up by being watched. */
export function watchBuilds(databaseUrl: string): BuildWatch {
  let connection: Promise<pg.Client> | undefined;
  let reading: Promise<BuildRow[]> | undefined;
  let closed = false;

  const forget = async (): Promise<void> => {
    const client = await connection?.catch(() => undefined);
    connection = undefined;
    await client?.end().catch(() => undefined);
  };
  const readOnce = async (): Promise<BuildRow[]> => {
    try {
      connection ??= connect(databaseUrl);
      const { rows } = await (await connection).query<BuildRow>(BUILDS);
      return rows;
    } catch {
      await forget();
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
      await forget();
    },
  };
}

async function connect(databaseUrl: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: databaseUrl,
    application_name: APPLICATION_NAME,
    connectionTimeoutMillis: TIMEOUT_MS,
    query_timeout: TIMEOUT_MS,
  });
  // A lost connection shows at the next query; without a listener it would end the process.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return client;
  } catch (error) {
    client.end().catch(() => undefined);
    throw error;
  }
}

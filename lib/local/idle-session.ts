import { backendOf, type Client } from '../../lambdas/postgres/client.ts';

/** The server must notice within a minute that the machine of its client is gone. */
const SETTINGS = {
  tcp_keepalives_idle: '30',
  tcp_keepalives_interval: '10',
  tcp_keepalives_count: '3',
};

/**
 * Prepares a session that is idle for as long as a run. The pinned settings of every session turn the timeouts off.
 * @returns why such a session is not possible. Null: it is possible
 */
export async function setLongIdleSession(client: Client): Promise<string | null> {
  const { rows } = await client.query<{ pid: number; only: string | null }>(
    `select pg_catalog.pg_backend_pid() as pid,
            case when r.rolsuper then null
                 when r.rolconnlimit operator(pg_catalog.=) 1 then pg_catalog.format('the role %I', r.rolname)
                 when d.datconnlimit operator(pg_catalog.=) 1 then pg_catalog.format('the database %I', d.datname)
            end as "only"
       from pg_catalog.pg_roles r, pg_catalog.pg_database d
      where r.rolname operator(pg_catalog.=) session_user and d.datname operator(pg_catalog.=) pg_catalog.current_database()`,
  );
  const [session] = rows;
  if (session === undefined) return 'the server did not describe the session';
  // The lock of a session would stay with a connection of the pooler. Preflight refuses poolers.
  if (backendOf(client) !== session.pid) return 'the connection goes through a pooler';
  if (session.only !== null) return `${session.only} allows only one connection (CONNECTION LIMIT 1)`;
  await client.query(
    `select pg_catalog.set_config(s.name, w.value, false)
       from pg_catalog.pg_settings s
       join rows from (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.text[])) as w (name, value)
         on s.name operator(pg_catalog.=) w.name`,
    [Object.keys(SETTINGS), Object.values(SETTINGS)],
  );
  return null;
}

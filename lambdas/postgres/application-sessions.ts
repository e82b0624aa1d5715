import type { Client } from './client.ts';

/** A session of the application. */
export interface Session {
  pid: number;
  role: string;
  application: string;
  address: string;
  state: string;
}

/**
 * Finds the sessions in this database that belong to one of the roles or whose application_name matches one of the LIKE
 * patterns. Sessions of this product are omitted.
 */
export async function sessionsOf(
  client: Client,
  roles: readonly string[],
  applicationNames: readonly string[],
): Promise<Session[]> {
  const { rows } = await client.query<Session>(
    `select pid,
            usename as role,
            coalesce(nullif(application_name, ''), 'unknown') as application,
            coalesce(host(client_addr), 'local') as address,
            coalesce(state, 'unknown') as state
       from pg_stat_activity
      where datname = current_database()
        and backend_type = 'client backend'
        and pid <> pg_backend_pid()
        and application_name not like 'pg-deploy-step%'
        and (usename = any ($1::text[]) or application_name like any ($2::text[]))
      order by pid`,
    [roles, applicationNames],
  );
  return rows;
}

/** The sessions for a message: the first `most` of them, and how many more there are. */
export function describeSessions(sessions: readonly Session[], most: number): string {
  const named = sessions
    .slice(0, most)
    .map(
      ({ pid, role, application, address, state }) =>
        `pid ${pid} (${application}, role ${role}, from ${address}, ${state})`,
    );
  const more = sessions.length - named.length;
  return [...named, ...(more > 0 ? [`and ${more} more`] : [])].join(', ');
}

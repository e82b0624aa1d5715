import { visible } from '../shared/visible-text.ts';
import type { Client } from './client.ts';
import { isTrustedRole } from './trusted-roles.ts';

/** A session of the application. */
export interface Session {
  pid: number;
  /** The role that logged in: SET ROLE does not change it. */
  role: string;
  application: string;
  address: string;
  state: string;
}

/** Which sessions are the application's. */
interface Application {
  /** Names of its roles. */
  readonly roles: readonly string[];
  /** LIKE patterns of application_name. */
  readonly applicationNames: readonly string[];
  /** Names of the roles that the configuration trusts: see trusted-roles.ts. */
  readonly trustedRoles: readonly string[];
}

/**
 * Finds the sessions in this database whose role is one of the application's or, unless it is trusted, can become one with
 * SET ROLE; and those whose application_name matches. Sessions of this product are omitted: any session can have their name,
 * but only a trusted role is believed.
 */
export async function sessionsOf(
  client: Client,
  { roles, applicationNames, trustedRoles }: Application,
): Promise<Session[]> {
  const { rows } = await client.query<Session>(
    `with sessions as materialized (
       select a.*, ${isTrustedRole('a.usesysid', '$3')} as trusted
         from pg_stat_activity a
        where a.datname = current_database()
          and a.pid <> pg_backend_pid()
          -- Without pg_read_all_stats the type of another role's session is hidden, but not who replicates.
          and coalesce(a.backend_type, 'client backend') = 'client backend'
          and not exists (select from pg_stat_replication r where r.pid = a.pid)
          and not exists (select from pg_stat_subscription s where s.pid = a.pid)
     )
     select pid,
            usename as role,
            coalesce(nullif(application_name, ''), 'unknown') as application,
            case when backend_type is null then 'unknown' else coalesce(host(client_addr), 'local') end as address,
            coalesce(state, 'unknown') as state
       from sessions
      where not (trusted and starts_with(application_name, 'pg-deploy-step'))
        and (usename = any ($1::text[])
             or application_name like any ($2::text[])
             or not trusted and exists (select from pg_roles listed
                                         where listed.rolname = any ($1::text[])
                                           and pg_has_role(sessions.usesysid, listed.oid, 'member')))
      order by pid`,
    [roles, applicationNames, trustedRoles],
  );
  return rows;
}

/** The sessions for a message: the first `most` of them, and how many more there are. */
export function describeSessions(sessions: readonly Session[], most: number): string {
  const named = sessions
    .slice(0, most)
    .map(
      ({ pid, role, application, address, state }) =>
        `pid ${pid} (${visible(application)}, role ${visible(role)}, from ${address}, ${state})`,
    );
  const more = sessions.length - named.length;
  return [...named, ...(more > 0 ? [`and ${more} more`] : [])].join(', ');
}

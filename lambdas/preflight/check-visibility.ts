import type { Client } from '../postgres/client.ts';
import { quoteIdentifier } from '../postgres/identifiers.ts';
import { Refused } from '../shared/errors.ts';
import { listed } from '../shared/text.ts';

/** Views of the catalog that a deploy reads while the services are stopped. Every role can, unless someone has revoked it. */
const VIEWS = [
  'pg_stat_activity',
  'pg_stat_replication',
  'pg_stat_subscription',
  'pg_stat_progress_create_index',
  'pg_locks',
  'pg_prepared_xacts',
  'pg_roles',
  'pg_auth_members',
] as const;

/** The functions behind these views, which run with the rights of the role that reads them, and others that show sessions. */
const FUNCTIONS = [
  'pg_stat_get_activity(integer)',
  'pg_stat_get_wal_senders()',
  'pg_stat_get_subscription(oid)',
  'pg_stat_get_progress_info(text)',
  'pg_lock_status()',
  'pg_prepared_xact()',
  'pg_blocking_pids(integer)',
] as const;

/**
 * Refuses a role that cannot see sessions, locks and roles: it would not find who uses the database after the services have
 * stopped, or fail then.
 * @throws Refused with the statements that grant the privileges
 */
export async function checkVisibility(client: Client): Promise<void> {
  const { rows } = await client.query<{ object: string; role: string }>(
    `select 'SELECT ON ' || name as object, current_user as role
       from unnest($1::text[]) with ordinality as views (name, at)
      where not has_table_privilege('pg_catalog.' || name, 'select')
      union all
     select 'EXECUTE ON FUNCTION ' || name, current_user
       from unnest($2::text[]) with ordinality as functions (name, at)
      where not has_function_privilege('pg_catalog.' || name, 'execute')`,
    [VIEWS, FUNCTIONS],
  );
  const [first] = rows;
  if (first === undefined) return;
  const grants = rows.map(({ object, role }) => `GRANT ${object} TO ${quoteIdentifier(role)};`);
  throw new Refused(
    `The role ${first.role} cannot see the sessions and locks of other roles. Connect to this database as a superuser and run: ${listed(grants).replaceAll(';,', ';')}`,
  );
}

import type { Client } from '../postgres/client.ts';
import { MIGRATION_LOCK_ID } from '../postgres/migrations.ts';
import { Refused } from './refused.ts';

/**
 * Refuses a database on which somebody is migrating: another environment's deploy, or a person with node-pg-migrate. The
 * lock is the database's own word, whatever started them.
 * @throws Refused naming the session
 */
export async function checkMigrationLock(client: Client): Promise<void> {
  const { rows } = await client.query<{ pid: number; application: string }>(
    `select l.pid, coalesce(nullif(a.application_name, ''), 'unknown') as application
       from pg_locks l
       left join pg_stat_activity a on a.pid = l.pid
      where l.locktype = 'advisory'
        and l.granted
        and l.objsubid = 1
        and l.database = (select oid from pg_database where datname = current_database())
        and (l.classid::bigint << 32) | l.objid::bigint = $1::bigint`,
    [MIGRATION_LOCK_ID],
  );
  const holder = rows[0];
  if (holder === undefined) return;
  throw new Refused(
    `Another session is applying migrations to this database: pid ${holder.pid} (${holder.application}). Wait until it has ended.`,
  );
}

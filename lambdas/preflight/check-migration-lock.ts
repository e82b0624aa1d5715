import { lockHolder, MIGRATION_LOCK } from '../postgres/advisory-lock.ts';
import type { Client } from '../postgres/client.ts';
import { Refused } from './refused.ts';

/**
 * Refuses a database on which somebody is migrating: another environment's deploy, or a person with node-pg-migrate. The
 * lock is the database's own word, whatever started them.
 * @throws Refused naming the session
 */
export async function checkMigrationLock(client: Client): Promise<void> {
  const holder = await lockHolder(client, MIGRATION_LOCK);
  if (holder === undefined) return;
  throw new Refused(
    `Another session is applying migrations to this database: pid ${holder.pid} (${holder.application}). Wait until it has ended.`,
  );
}

import { lockHolder, MIGRATION_LOCK } from '../postgres/advisory-lock.ts';
import type { Client } from '../postgres/client.ts';
import { describeHolder } from '../postgres/lock-holders.ts';
import { Refused } from '../shared/errors.ts';

/**
 * Refuses the deploy while another session applies migrations: the deploy of another environment, or a person with
 * node-pg-migrate. All of them hold the same advisory lock. A session of a role that is not trusted is ignored.
 * @throws Refused when a session holds the lock; the message names the session
 */
export async function checkMigrationLock(client: Client): Promise<void> {
  const holder = await lockHolder(client, MIGRATION_LOCK);
  if (holder === undefined) return;
  throw new Refused(
    `Another session is applying migrations to this database: ${describeHolder(holder)}. Wait until it ends, then start the deploy again.`,
  );
}

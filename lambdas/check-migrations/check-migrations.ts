import { type LockKey, lockHolder } from '../postgres/advisory-lock.ts';
import { type Database, withClient } from '../postgres/client.ts';
import { describeHolder } from '../postgres/lock-holders.ts';
import { endMigrations } from '../postgres/migration-ends.ts';
import { describeDatabaseError, toDeployStepError } from '../postgres/sqlstate.ts';
import type { Log } from '../shared/logger.ts';
import type { CheckMigrationsEvent, CheckMigrationsResult } from '../shared/payloads.ts';

interface CheckMigrationsIo {
  database: Database;
  /** The advisory lock that a session holds while it applies migrations. */
  lock: LockKey;
  log: Log;
}

/**
 * Checks whether a function still applies migrations, because services must not start meanwhile. A function continues when
 * its execution is aborted or has timed out, and PostgreSQL continues a statement until it notices that the function is gone.
 * One that Lambda has not started yet applies nothing any more: see migration-ends.ts.
 * @throws ConnectionLost: another check can succeed
 */
export async function checkMigrations(
  { end }: CheckMigrationsEvent,
  { database, lock, log }: CheckMigrationsIo,
): Promise<CheckMigrationsResult> {
  return await withClient(database, 'check migrations', async (client) => {
    try {
      // Before the lock is read: a function first acquires the lock.
      if (end !== undefined) {
        await endMigrations(client, end).catch((error: unknown) =>
          log.warn(
            'A function that begins now could still apply migrations: their end could not be recorded.',
            {
              reason: describeDatabaseError(error),
            },
          ),
        );
      }
      const holder = await lockHolder(client, lock);
      if (holder === undefined) return { running: false, by: '' };
      const by = describeHolder(holder);
      log.info('A session still applies migrations.', { by });
      return { running: true, by };
    } catch (error) {
      throw toDeployStepError(error, 'Checking the migrations failed');
    }
  });
}

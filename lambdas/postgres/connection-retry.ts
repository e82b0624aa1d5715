import { setTimeout as sleep } from 'node:timers/promises';
import { ConnectionLost, messageOf } from '../shared/errors.ts';
import type { Log } from '../shared/logger.ts';
import { isConnectionError } from './sqlstate.ts';

/**
 * Makes another attempt when the database cannot be reached or the connection is lost, for example by a restart of the
 * server. Each attempt opens its own connection.
 * @param connectPauses pauses before each further attempt, in milliseconds
 * @throws the error of the last attempt, and at once every error that a new connection cannot fix
 */
export async function withConnectionRetry<T>(
  { connectPauses, log }: { readonly connectPauses: readonly number[]; readonly log: Log },
  attempt: () => Promise<T>,
): Promise<T> {
  for (const pause of connectPauses) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof ConnectionLost || isConnectionError(error))) throw error;
      log.warn('The database cannot be reached yet.', { reason: messageOf(error) });
      await sleep(pause);
    }
  }
  return await attempt();
}

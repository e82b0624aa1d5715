import { describeSessions, sessionsOf } from '../postgres/application-sessions.ts';
import { type Database, withClient } from '../postgres/client.ts';
import { toDeployStepError } from '../postgres/sqlstate.ts';
import type { Log } from '../shared/logger.ts';
import type { CheckSessionsResult } from '../shared/payloads.ts';

interface CheckSessionsIo {
  database: Database;
  roles: readonly string[];
  /** LIKE patterns of application_name. */
  applicationNames: readonly string[];
  log: Log;
}

/** Longest list of sessions in a message. */
const MOST_NAMED = 20;

/**
 * Checks which sessions of the application are still connected.
 * @throws ConnectionLost: another check can succeed
 */
export async function checkSessions(io: CheckSessionsIo): Promise<CheckSessionsResult> {
  return await withClient(io.database, 'check sessions', async (client) => {
    try {
      const sessions = await sessionsOf(client, { ...io, trustedRoles: io.database.trustedRoles });
      const named = describeSessions(sessions, MOST_NAMED);
      if (sessions.length > 0)
        io.log.info('Sessions of the application are still connected.', { sessions: named });
      return { remaining: sessions.length, sessions: named };
    } catch (error) {
      throw toDeployStepError(error, 'Checking the sessions failed');
    }
  });
}

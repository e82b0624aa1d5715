import type { Client } from '../postgres/client.ts';
import { Refused } from './refused.ts';

const OLDEST = 140_000;
/** 14.0 to 14.3 build corrupt indexes with CREATE INDEX CONCURRENTLY (mended in 14.4). */
const FIRST_SOUND_14 = 140_004;

/**
 * Why a version is refused, with the remedy. Undefined: it is not.
 * @param number as server_version_num has it: 140004 is 14.4
 * @param version as server_version has it, for people
 */
export function refusalOfVersion(number: number, version: string): string | undefined {
  if (number < OLDEST)
    return `The server is PostgreSQL ${version}; the oldest that is supported is 14. Upgrade it.`;
  if (number >= FIRST_SOUND_14) return undefined;
  return (
    `The server is PostgreSQL ${version}, which can build corrupt indexes concurrently (14.0 to 14.3). Upgrade it to ` +
    'the latest 14 first, and reindex what was built concurrently before.'
  );
}

/**
 * Refuses servers and connections on which a concurrent build cannot be trusted.
 * @throws Refused with the remedy
 */
export async function checkServer(client: Client): Promise<void> {
  const { rows } = await client.query<{ number: number; version: string; standby: boolean; pid: number }>(
    `select current_setting('server_version_num')::int as number,
            current_setting('server_version') as version,
            pg_is_in_recovery() as standby,
            pg_backend_pid() as pid`,
  );
  const server = rows[0];
  if (server === undefined) throw new Refused('The server does not say what it is.');
  const refusal = refusalOfVersion(server.number, server.version);
  if (refusal !== undefined) throw new Refused(refusal);
  if (server.standby) {
    throw new Refused(
      'The server is a standby, which is read-only. Name the primary: the cluster endpoint or the writer, not a reader endpoint.',
    );
  }
  if (backendOf(client) !== server.pid) {
    throw new Refused(
      'A pooler is in between: the connection was opened to one backend and is served by another. It would break session ' +
        "settings, advisory locks and builds that outlive their client. Name the database's own endpoint (database.host), not the pooler's.",
    );
  }
}

/** The process id that the server sent when the connection began; node-postgres keeps it. */
function backendOf(client: Client): number | null {
  return 'processID' in client && typeof client.processID === 'number' ? client.processID : null;
}

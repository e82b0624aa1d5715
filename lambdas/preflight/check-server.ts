import { backendOf, type Client } from '../postgres/client.ts';
import { Refused } from '../shared/errors.ts';

const OLDEST_SUPPORTED = 140_000;
/** 14.0 to 14.3 can build corrupt indexes with CREATE INDEX CONCURRENTLY. */
const FIRST_SAFE_14 = 140_004;

/**
 * Why a version is refused, and what to do. Undefined: it is supported.
 * @param number server_version_num: 140004 is 14.4
 * @param version server_version, for the message
 */
export function refusalOfVersion(number: number, version: string): string | undefined {
  if (number < OLDEST_SUPPORTED)
    return `The server runs PostgreSQL ${version}, and the oldest supported version is 14. Upgrade the server.`;
  if (number >= FIRST_SAFE_14) return undefined;
  return (
    `The server runs PostgreSQL ${version}, which can build corrupt indexes with CREATE INDEX CONCURRENTLY (fixed in 14.4). ` +
    'Upgrade the server to the latest 14, then reindex the indexes that it has built concurrently.'
  );
}

/**
 * Refuses servers and connections on which concurrent builds are not safe.
 * @throws Refused when the version, a standby or a connection pooler rules them out; the message says what to do
 */
export async function checkServer(client: Client): Promise<void> {
  // Through a pooler the session has the search path of the role: see pinSettings.
  const { rows } = await client.query<{ number: number; version: string; standby: boolean; pid: number }>(
    `select pg_catalog.current_setting('server_version_num')::pg_catalog.int4 as number,
            pg_catalog.current_setting('server_version') as version,
            pg_catalog.pg_is_in_recovery() as standby,
            pg_catalog.pg_backend_pid() as pid`,
  );
  const server = rows[0];
  if (server === undefined) throw new Refused('The server did not return its version.');
  const refusal = refusalOfVersion(server.number, server.version);
  if (refusal !== undefined) throw new Refused(refusal);
  if (server.standby) {
    throw new Refused(
      'The server is a standby, which is read-only. Set database.host to the primary: the cluster endpoint or the writer endpoint, not a ' +
        'reader endpoint. If a failover is in progress, wait until this server is promoted, then start the deploy again.',
    );
  }
  if (backendOf(client) !== server.pid) {
    throw new Refused(
      'The connection goes through a connection pooler: it was opened to one backend, and another one answers. A pooler breaks ' +
        "session settings, advisory locks and builds that continue without their client. Set database.host to the database's own endpoint, not to the pooler's.",
    );
  }
}

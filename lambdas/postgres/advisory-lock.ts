import { createHash } from 'node:crypto';
import type { Client } from './client.ts';

/**
 * A session-level advisory lock on one index. The session that builds holds it until its backend ends, also after its
 * client has let go: it tells everyone whether a build is alive. Nobody waits for it in SQL, because the wait would hold
 * a snapshot that the concurrent build waits for in turn.
 */
export function indexLockKey(schema: string, name: string): string {
  const digest = createHash('sha256')
    .update(`pg-deploy-step index ${JSON.stringify([schema, name])}`)
    .digest();
  return digest.readBigInt64BE(0).toString();
}

/** Takes the lock for the rest of the session. False: another session has it. */
export async function tryLockIndex(client: Client, schema: string, name: string): Promise<boolean> {
  const { rows } = await client.query<{ locked: boolean }>(
    'select pg_try_advisory_lock($1::bigint) as locked',
    [indexLockKey(schema, name)],
  );
  return rows[0]?.locked === true;
}

/** Backend that holds the lock of an index. Undefined: none does. */
export async function indexLockHolder(
  client: Client,
  schema: string,
  name: string,
): Promise<number | undefined> {
  // A bigint key appears in pg_locks as its two halves, with objsubid 1.
  const { rows } = await client.query<{ pid: number }>(
    `select pid
       from pg_locks
      where locktype = 'advisory'
        and granted
        and objsubid = 1
        and database = (select oid from pg_database where datname = current_database())
        and (classid::bigint << 32) | objid::bigint = $1::bigint
        and pid <> pg_backend_pid()`,
    [indexLockKey(schema, name)],
  );
  return rows[0]?.pid;
}

import { createHash } from 'node:crypto';
import type { Client } from './client.ts';
import type { Table } from './identifiers.ts';

/**
 * A session-level advisory lock on one index. The session that builds holds it until its backend ends, also after its
 * client has let go: it tells everyone whether a build is alive. Nobody waits for it in SQL, because the wait would hold
 * a snapshot that the concurrent build waits for in turn.
 */
export function indexLockKey(schema: string, name: string): string {
  return lockKey('index', schema, name);
}

/**
 * The same on the table that an index is on. Looking whether somebody builds on a table and then beginning to build are two
 * steps: two executions that look at the same moment would both begin, and two concurrent builds on one table deadlock.
 */
export function tableLockKey(table: Table): string {
  return lockKey('table', table.schema, table.table);
}

function lockKey(kind: 'index' | 'table', schema: string, name: string): string {
  const digest = createHash('sha256')
    .update(`pg-deploy-step ${kind} ${JSON.stringify([schema, name])}`)
    .digest();
  return digest.readBigInt64BE(0).toString();
}

/** Takes the lock for the rest of the session. False: another session has it. */
export async function tryLockIndex(client: Client, schema: string, name: string): Promise<boolean> {
  return await tryLock(client, indexLockKey(schema, name));
}

/** Takes the table's lock for the rest of the session: for all that must not meet a build on it. False: it is taken. */
export async function tryLockTable(client: Client, table: Table): Promise<boolean> {
  return await tryLock(client, tableLockKey(table));
}

async function tryLock(client: Client, key: string): Promise<boolean> {
  const { rows } = await client.query<{ locked: boolean }>(
    'select pg_try_advisory_lock($1::bigint) as locked',
    [key],
  );
  return rows[0]?.locked === true;
}

/** Backend that holds the lock of an index. Undefined: none does. */
export async function indexLockHolder(
  client: Client,
  schema: string,
  name: string,
): Promise<number | undefined> {
  return await holderOf(client, indexLockKey(schema, name));
}

/** Backend that holds the lock of a table. Undefined: none does. */
export async function tableLockHolder(client: Client, table: Table): Promise<number | undefined> {
  return await holderOf(client, tableLockKey(table));
}

async function holderOf(client: Client, key: string): Promise<number | undefined> {
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
    [key],
  );
  return rows[0]?.pid;
}

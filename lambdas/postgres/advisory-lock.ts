import { createHash } from 'node:crypto';
import { indexId } from '../shared/registry.ts';
import type { Client } from './client.ts';
import type { Named, Table } from './identifiers.ts';

/*
 * Every advisory lock of this product. Each has a 64-bit key: the first eight bytes of the SHA-256 hash of its kind and
 * its names. Two versions of the product can work on one database at the same time, so a key must never change.
 *
 * - Index and table locks are held until the session ends. The backend of a build therefore keeps them after its client
 *   has disconnected, and so shows others that the build is alive. No session waits for them in SQL: the wait would hold
 *   a snapshot, and a concurrent build waits for old snapshots in turn.
 * - The migration lock is node-pg-migrate's own.
 * - The run lock is held by a run of the command line, by a session that does nothing else. It replaces what Step
 *   Functions does in AWS: it shows the running deploys.
 * - The ledger lock and the partition tree lock are held until the transaction ends. No build runs in such a
 *   transaction, so it is safe to wait for them.
 */

/** Key of an advisory lock: a bigint, as text. */
type LockKey = string;

/** The lock on one index. A session that builds, checks or repairs the index holds it. */
export function indexLock({ schema, name }: Named): LockKey {
  return lockKey('index', [schema, name]);
}

/**
 * The lock on one table. Two concurrent builds on one table deadlock. To check whether another session builds there and
 * then to begin are two steps, so two sessions could check at the same moment and both begin: this lock prevents it.
 */
export function tableLock({ schema, table }: Table): LockKey {
  return lockKey('table', [schema, table]);
}

/**
 * The lock that node-pg-migrate acquires before it applies migrations. The number is fixed because it is part of
 * node-pg-migrate (PG_MIGRATE_LOCK_ID): with the same key, a person who runs node-pg-migrate and a deploy exclude each
 * other. It is repeated here so that only the function that applies migrations has to load node-pg-migrate.
 */
export const MIGRATION_LOCK: LockKey = '7241865325823964';

/** The lock on a database that a run of the command line holds from its start to its end. */
export const RUN_LOCK: LockKey = lockKey('run', []);

function lockKey(
  kind: 'index' | 'table' | 'ledger' | 'partition tree' | 'run',
  names: readonly string[],
): LockKey {
  const digest = createHash('sha256')
    .update(`pg-deploy-step ${kind} ${JSON.stringify(names)}`)
    .digest();
  return digest.readBigInt64BE(0).toString();
}

/** Acquires a lock for the rest of the session. False: another session holds it. */
export async function tryLock(client: Client, key: LockKey): Promise<boolean> {
  const { rows } = await client.query<{ locked: boolean }>(
    'select pg_try_advisory_lock($1::bigint) as locked',
    [key],
  );
  return rows[0]?.locked === true;
}

/** Releases a lock that this session holds. */
export async function unlock(client: Client, key: LockKey): Promise<void> {
  await client.query('select pg_advisory_unlock($1::bigint)', [key]);
}

/** Acquires a lock for the rest of the transaction. It succeeds if this session holds the lock. */
export async function tryTransactionLock(client: Client, key: LockKey): Promise<boolean> {
  const { rows } = await client.query<{ locked: boolean }>(
    'select pg_try_advisory_xact_lock($1::bigint) as locked',
    [key],
  );
  return rows[0]?.locked === true;
}

/** The session that holds a lock. */
interface LockHolder {
  pid: number;
  /** Its application_name. */
  application: string;
}

/** The other session that holds a lock. Undefined: no other session does. */
export async function lockHolder(client: Client, key: LockKey): Promise<LockHolder | undefined> {
  // pg_locks shows a bigint key as its two halves, with objsubid 1.
  const { rows } = await client.query<LockHolder>(
    `select l.pid, coalesce(nullif(a.application_name, ''), 'unknown') as application
       from pg_locks l
       left join pg_stat_activity a on a.pid = l.pid
      where l.locktype = 'advisory'
        and l.granted
        and l.objsubid = 1
        and l.database = (select oid from pg_database where datname = current_database())
        and (l.classid::bigint << 32) | l.objid::bigint = $1::bigint
        and l.pid <> pg_backend_pid()`,
    [key],
  );
  return rows[0];
}

/** Waits for the lock on the ledger's schema: CREATE IF NOT EXISTS fails when two sessions run it at the same time. */
export async function lockLedger(client: Client): Promise<void> {
  await lockUntilCommit(client, lockKey('ledger', []), 'pg-deploy-step ledger');
}

/**
 * Waits for the lock on an index's partition tree. When two transactions attach partitions below different tables at the
 * same time, neither may see the other's, and the server can leave the index above them invalid permanently.
 */
export async function lockPartitionTree(client: Client, index: Named): Promise<void> {
  const key = lockKey('partition tree', [index.schema, index.name]);
  await lockUntilCommit(client, key, `pg-deploy-step skeleton ${indexId(index)}`);
}

/** @param earlierName text that an earlier version hashed to the key: a deploy of that version may still run */
async function lockUntilCommit(client: Client, key: LockKey, earlierName: string): Promise<void> {
  await client.query('select pg_advisory_xact_lock(hashtext($1)), pg_advisory_xact_lock($2::bigint)', [
    earlierName,
    key,
  ]);
}

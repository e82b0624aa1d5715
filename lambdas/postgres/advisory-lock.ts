import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { LockNotAvailable } from '../shared/errors.ts';
import { indexId } from '../shared/registry.ts';
import { listed } from '../shared/text.ts';
import type { Client } from './client.ts';
import type { Named, Table } from './identifiers.ts';
import { describeHolder, type Holder, readLockHolders, type SessionHolder } from './lock-holders.ts';
import { LOCK_NOT_AVAILABLE } from './sqlstate.ts';

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
 * - The ledger lock and the partition tree lock are held until the transaction ends.
 *
 * Every role that may connect can hold all of them. A session of a role that is not trusted must neither pass for a deploy nor
 * stop one. Therefore a session that acquires a lock also claims it: it acquires a second lock, whose key has the first half of
 * the key of the lock and a random second half, so that nobody can hold it before. Claims of trusted roles are believed like the
 * lock itself. While a role that is not trusted holds the lock, they replace it.
 */

/** Key of an advisory lock: a bigint, as text. */
export type LockKey = string;

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

/** The result of an attempt to acquire locks. */
type Acquired =
  | {
      kind: 'acquired';
      /** What holds some of the locks and is not trusted. Empty: this session holds all of them. */
      despite: Holder[];
    }
  /** A session of a trusted role works with one of the locks, and none was acquired. Null: that session has just ended. */
  | { kind: 'busy'; key: LockKey; holder: SessionHolder | null };

/** Acquires locks for the rest of the session, all or none, without waiting. What is not trusted cannot prevent it. */
export async function acquire(client: Client, keys: readonly LockKey[]): Promise<Acquired> {
  const claim = randomBytes(4).readInt32BE();
  const { rows } = await client.query<{ key: LockKey; locked: boolean }>(
    `with tried as materialized (
       select key, pg_try_advisory_lock(key) as locked from unnest($1::bigint[]) as key
     )
     select key::text as key, locked, case when locked then pg_try_advisory_lock((key >> 32)::int, $2::int) end
       from tried`,
    [keys, claim],
  );
  const locked = rows.filter((row) => row.locked).map((row) => row.key);
  const unlocked = rows.filter((row) => !row.locked).map((row) => row.key);
  let claimed = locked;
  let { trusted, untrusted } = await readLockHolders(client, keys);
  const isHeld = (key: LockKey) => untrusted.some((one) => one.key === key);
  if (unlocked.length > 0 && trusted.length === 0 && unlocked.every(isHeld)) {
    const claims = 'select pg_try_advisory_lock((key >> 32)::int, $2::int) from unnest($1::bigint[]) as key';
    await client.query(claims, [unlocked, claim]);
    claimed = [...locked, ...unlocked];
    // Of two sessions that claim at the same time, at least one sees the other.
    ({ trusted, untrusted } = await readLockHolders(client, keys));
  }
  const gone = unlocked.find((key) => !isHeld(key));
  const [holder] = trusted;
  if (holder === undefined && gone === undefined)
    return { kind: 'acquired', despite: untrusted.filter((one) => unlocked.includes(one.key)) };
  await client.query(
    `select pg_advisory_unlock(key) from unnest($1::bigint[]) as key
      union all
     select pg_advisory_unlock((key >> 32)::int, $3::int) from unnest($2::bigint[]) as key`,
    [locked, claimed, claim],
  );
  return { kind: 'busy', key: holder?.key ?? gone ?? '', holder: holder ?? null };
}

/**
 * Releases a lock, but not its claim: a session that waits for the lock in SQL holds a snapshot, for which a concurrent build
 * waits in turn.
 */
export async function unlock(client: Client, key: LockKey): Promise<void> {
  await client.query('select pg_advisory_unlock($1::bigint)', [key]);
}

/** Releases every lock of this session and every claim, so that a session that builds many indexes does not collect them. */
export async function unlockAll(client: Client): Promise<void> {
  await client.query('select pg_advisory_unlock_all()');
}

/** Acquires a lock for the rest of the transaction. It succeeds if this session holds the lock. */
export async function tryTransactionLock(client: Client, key: LockKey): Promise<boolean> {
  const { rows } = await client.query<{ locked: boolean }>(
    'select pg_try_advisory_xact_lock($1::bigint) as locked',
    [key],
  );
  return rows[0]?.locked === true;
}

/** The other session, of a trusted role, that works with a lock. Undefined: no session does. */
export async function lockHolder(client: Client, key: LockKey): Promise<SessionHolder | undefined> {
  return (await readLockHolders(client, [key])).trusted[0];
}

/** Longest wait for a lock of a transaction, in seconds. It is held for a few short statements. */
const TRANSACTION_LOCK_SECONDS = 10;

/** Pause between two attempts to acquire it, in milliseconds. */
const TRANSACTION_LOCK_PAUSE_MS = 100;

/**
 * Waits for the lock on the ledger's schema: CREATE IF NOT EXISTS fails when two sessions run it at the same time.
 * @returns false when a session that is not trusted holds the lock, so that it cannot be acquired
 * @throws LockNotAvailable that names the holder, after 10 s
 */
export async function lockLedger(client: Client): Promise<boolean> {
  return await lockUntilCommit(client, {
    subject: 'the ledger',
    key: LEDGER_LOCK,
    earlierName: 'pg-deploy-step ledger',
    seconds: TRANSACTION_LOCK_SECONDS,
  });
}

/**
 * Waits for the lock on an index's partition tree. When two transactions attach partitions below different tables at the
 * same time, neither may see the other's, and the server can leave the index above them invalid permanently.
 * @param seconds longest wait
 * @returns false when a session that is not trusted holds the lock, so that it cannot be acquired
 * @throws LockNotAvailable that names the holder
 */
export async function lockPartitionTree(client: Client, index: Named, seconds: number): Promise<boolean> {
  return await lockUntilCommit(client, {
    subject: `the partitions of index ${indexId(index)}`,
    key: partitionTreeLock(index),
    earlierName: `pg-deploy-step skeleton ${indexId(index)}`,
    seconds,
  });
}

/** The lock on the index's partition tree. */
export function partitionTreeLock({ schema, name }: Named): LockKey {
  return lockKey('partition tree', [schema, name]);
}

/** The lock on the ledger's schema. */
export const LEDGER_LOCK: LockKey = lockKey('ledger', []);

interface TransactionLock {
  /** For messages. */
  subject: string;
  key: LockKey;
  /** Text that an earlier version hashed to the key: a deploy of that version may still run. */
  earlierName: string;
  seconds: number;
}

/** Polls, because a session that waits for a lock in SQL waits without an end, and holds a snapshot. */
async function lockUntilCommit(
  client: Client,
  { subject, key, earlierName, seconds }: TransactionLock,
): Promise<boolean> {
  const { rows } = await client.query<{ key: string }>('select hashtext($1)::bigint::text as key', [
    earlierName,
  ]);
  const deadline = Date.now() + seconds * 1000;
  let isLocked = true;
  for (const one of [...rows.map((row) => row.key), key]) {
    while (!(await tryTransactionLock(client, one))) {
      const { trusted, untrusted } = await readLockHolders(client, [one]);
      if (trusted.length === 0 && untrusted.length > 0) {
        isLocked = false;
        break;
      }
      if (Date.now() >= deadline) {
        const by = listed(trusted.map(describeHolder));
        throw new LockNotAvailable(
          `Could not acquire the advisory lock on ${subject} within ${seconds} s. Held by ${by}.`,
          { sqlstate: LOCK_NOT_AVAILABLE },
        );
      }
      await sleep(TRANSACTION_LOCK_PAUSE_MS);
    }
  }
  return isLocked;
}

import { readRelationKind } from './catalog.ts';
import { type Client, withTransaction } from './client.ts';
import { quotedTable, type Table } from './identifiers.ts';
import { DEADLOCK_DETECTED, LOCK_NOT_AVAILABLE, sqlstateOf } from './sqlstate.ts';

const MATERIALIZED_VIEW = 'm';

/**
 * Longest wait of one try, as a multiple of deadlock_timeout. A session that waits for a lock can hold a snapshot, and
 * another session's concurrent build can wait for that snapshot: a deadlock. Each waiting session checks for a deadlock
 * once, after deadlock_timeout, and is canceled if it finds one. A deadlock that arises before this session's check cancels
 * the try. One that arises later is found by the build's check, more than two deadlock_timeouts after the try began: by
 * then the try has ended, also on a server that is slow to run its timers, and the build is not canceled. The wait is longer than one
 * deadlock_timeout, because autovacuum yields its lock only then.
 */
const TRY_IN_DEADLOCK_TIMEOUTS = 1.5;

/**
 * Acquires SHARE UPDATE EXCLUSIVE on a table, the first lock that a concurrent build needs, and runs `use` in the same
 * transaction. Retries in new transactions until the timeout, so `use` can be rolled back and repeated.
 * @throws lock_not_available after `timeoutSeconds`
 */
export async function withTableLock<T>(
  client: Client,
  table: Table,
  timeoutSeconds: number,
  use: () => Promise<T>,
): Promise<T> {
  const isView =
    (await readRelationKind(client, { schema: table.schema, name: table.table })) === MATERIALIZED_VIEW;
  // LOCK TABLE does not support materialized views. COMMENT takes the same lock; it keeps the comment that exists.
  const lock = async () =>
    isView ? await sameCommentStatement(client, table) : lockStatement(table, 'share update exclusive');
  return await underLock(client, lock, timeoutSeconds, use);
}

/**
 * Acquires ACCESS EXCLUSIVE on a table in the same way. It does not wait for this lock while it holds a weaker one, so that it causes
 * no deadlock with a session that does the same.
 * @throws lock_not_available after `timeoutSeconds`
 */
export async function withExclusiveTableLock<T>(
  client: Client,
  table: Table,
  timeoutSeconds: number,
  use: () => Promise<T>,
): Promise<T> {
  const lock = async () => lockStatement(table, 'access exclusive');
  return await underLock(client, lock, timeoutSeconds, use);
}

/** @param lock returns the statement that acquires the lock */
async function underLock<T>(
  client: Client,
  lock: () => Promise<string>,
  timeoutSeconds: number,
  use: () => Promise<T>,
): Promise<T> {
  const longestTry = TRY_IN_DEADLOCK_TIMEOUTS * (await readDeadlockTimeout(client));
  const deadline = Date.now() + timeoutSeconds * 1000;
  for (;;) {
    const timeout = Math.max(1, Math.round(Math.min(longestTry, deadline - Date.now())));
    try {
      return await withTransaction(client, async () => {
        await client.query("select set_config('lock_timeout', $1, true)", [`${timeout}ms`]);
        await client.query(await lock());
        return await use();
      });
    } catch (error) {
      const sqlstate = sqlstateOf(error);
      const canRetry = sqlstate === LOCK_NOT_AVAILABLE || sqlstate === DEADLOCK_DETECTED;
      if (!canRetry || Date.now() >= deadline) throw error;
    }
  }
}

/**
 * Runs `use` in a transaction in which no statement waits longer for a lock. pg_get_indexdef and LIKE take a share lock on
 * the table, which another session can have locked exclusively.
 * @throws lock_not_available
 */
export async function withLockTimeout<T>(client: Client, seconds: number, use: () => Promise<T>): Promise<T> {
  return await withTransaction(client, async () => {
    await client.query("select set_config('lock_timeout', $1, true)", [`${seconds}s`]);
    return await use();
  });
}

/** In milliseconds. */
async function readDeadlockTimeout(client: Client): Promise<number> {
  const { rows } = await client.query<{ ms: number }>(
    "select setting::int as ms from pg_settings where name = 'deadlock_timeout'",
  );
  return rows[0]?.ms ?? 1000;
}

function lockStatement(table: Table, mode: 'share update exclusive' | 'access exclusive'): string {
  return `lock table only ${quotedTable(table)} in ${mode} mode`;
}

/** Acquires and releases the table's lock, so that the build itself need not wait for it: lock_timeout is off in a build. */
export async function probeTableLock(client: Client, table: Table, timeoutSeconds: number): Promise<void> {
  await withTableLock(client, table, timeoutSeconds, async () => {});
}

async function sameCommentStatement(client: Client, table: Table): Promise<string> {
  const { rows } = await client.query<{ statement: string }>(
    `select format('comment on materialized view %I.%I is %L', n.nspname, c.relname, obj_description(c.oid, 'pg_class')) as statement
       from pg_class c
       join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = $1 and c.relname = $2`,
    [table.schema, table.table],
  );
  return rows[0]?.statement ?? lockStatement(table, 'share update exclusive');
}

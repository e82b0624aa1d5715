import type { Client } from './client.ts';
import { type Table, tableKey } from './identifiers.ts';
import { isConnectionError, LOCK_NOT_AVAILABLE, sqlstateOf } from './sqlstate.ts';
import { withLockTimeout } from './table-lock.ts';

/*
 * pg_get_indexdef takes a share lock on a table for a moment. One query reads the definitions of thousands of tables, so a
 * table that another session has locked exclusively must not make it wait or fail: such tables are left out.
 */

/** Longest wait for tables that another session has locked, for all of them together. */
export const LOCK_TIMEOUT_SECONDS = 1;

/** How often a query is sent again without the tables that were locked meanwhile, before it is split. */
const MOST_TRIES = 3;

interface Unlocked<R> {
  rows: R[];
  /** `tableKey` of the tables that are locked. */
  locked: Set<string>;
}

/**
 * Runs a query that takes share locks on tables, for all tables that no other session has locked exclusively. A table that
 * makes the query fail for another reason is left out: it can have been dropped meanwhile.
 * @param items what to read, with the table that is locked for it
 * @param read runs the query, in a transaction with a lock timeout
 */
export async function readUnlocked<T extends Table, R>(
  client: Client,
  items: readonly T[],
  read: (items: readonly T[]) => Promise<readonly R[]>,
): Promise<Unlocked<R>> {
  const rows: R[] = [];
  const reading: Reading<T> = {
    client,
    read: async (some) => {
      rows.push(...(await read(some)));
    },
  };
  const blocked = await readFree(reading, items);
  const [first] = blocked;
  if (first === undefined) return { rows, locked: new Set() };
  // Most locks are held for a moment only: wait once, then read what is free.
  const isFirst = (item: T) => tableKey(item) === tableKey(first);
  const failed = await tryRead(reading, blocked.filter(isFirst));
  const still = await readFree(
    reading,
    blocked.filter((item) => !isFirst(item)),
  );
  const locked = new Set(still.map(tableKey));
  if (failed === LOCK_NOT_AVAILABLE) locked.add(tableKey(first));
  return { rows, locked };
}

interface Reading<T> {
  readonly client: Client;
  readonly read: (items: readonly T[]) => Promise<void>;
}

/** Reads the items whose tables are not locked. @returns the others */
async function readFree<T extends Table>(reading: Reading<T>, items: readonly T[]): Promise<T[]> {
  if (items.length === 0) return [];
  for (let tries = 1; tries <= MOST_TRIES; tries += 1) {
    const locked = await readExclusivelyLocked(reading.client);
    const free = items.filter((item) => !locked.has(tableKey(item)));
    if ((await tryRead(reading, free)) === null) return items.filter((item) => locked.has(tableKey(item)));
  }
  const tables = [...new Set(items.map(tableKey))];
  if (tables.length === 1) return [];
  const half = new Set(tables.slice(0, tables.length / 2));
  return [
    ...(await readFree(
      reading,
      items.filter((item) => half.has(tableKey(item))),
    )),
    ...(await readFree(
      reading,
      items.filter((item) => !half.has(tableKey(item))),
    )),
  ];
}

/** @returns the SQLSTATE of the error, empty if it has none. Null: there was none */
async function tryRead<T>({ client, read }: Reading<T>, items: readonly T[]): Promise<string | null> {
  if (items.length === 0) return null;
  try {
    await withLockTimeout(client, LOCK_TIMEOUT_SECONDS, () => read(items));
    return null;
  } catch (error) {
    if (isConnectionError(error)) throw error;
    return sqlstateOf(error) ?? '';
  }
}

/** Also a session that waits for such a lock blocks those that come after it. A prepared transaction has no pid. */
async function readExclusivelyLocked(client: Client): Promise<Set<string>> {
  const { rows } = await client.query<Table>(
    `select n.nspname as schema, c.relname as "table"
       from pg_locks l
       join pg_class c on c.oid = l.relation
       join pg_namespace n on n.oid = c.relnamespace
      where l.locktype = 'relation' and l.mode = 'AccessExclusiveLock' and l.pid is distinct from pg_backend_pid()
        and l.database = (select oid from pg_database where datname = current_database())`,
  );
  return new Set(rows.map(tableKey));
}

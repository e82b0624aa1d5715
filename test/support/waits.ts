import { vi } from 'vitest';
import type { TestDatabase } from './database.ts';
import { type LedgerRow, readLedger } from './rig.ts';

/** Comes back when the query gives rows. */
export async function until(database: TestDatabase, sql: string, params: unknown[] = []): Promise<void> {
  await eventuallyTrue(`rows of ${sql}`, async () => (await database.query(sql, params)).length > 0);
}

/** Comes back when a session of this product waits for a lock on a table. */
export async function untilWaitsForTable(database: TestDatabase, table: string): Promise<void> {
  await until(
    database,
    `select from pg_locks l join pg_stat_activity a using (pid)
      where not l.granted and l.relation = $1::regclass and a.application_name like 'pg-deploy-step%'`,
    [table],
  );
}

/** Comes back when a build of this table is in a phase that begins so. */
export async function untilPhase(database: TestDatabase, table: string, phase: string): Promise<void> {
  await until(
    database,
    'select from pg_stat_progress_create_index where relid = $1::regclass and starts_with(phase, $2)',
    [table, phase],
  );
}

/** Comes back with the ledger's rows of an item when they are as wanted. */
export async function untilLedger(
  database: TestDatabase,
  item: string,
  wanted: (rows: LedgerRow[]) => boolean,
): Promise<LedgerRow[]> {
  let rows: LedgerRow[] = [];
  await eventuallyTrue(`the ledger's rows of ${item}`, async () => {
    rows = await readLedger(database, item);
    return wanted(rows);
  });
  return rows;
}

/** Comes back when the functions have written a line with this in it. */
export async function untilLogged({ log }: { readonly log: string[] }, text: string): Promise<void> {
  await eventuallyTrue(`a line with "${text}"`, async () => log.some((line) => line.includes(text)));
}

async function eventuallyTrue(what: string, look: () => Promise<boolean>): Promise<void> {
  const looks = async () => {
    if (!(await look())) throw new Error(`Never seen: ${what}`);
  };
  await vi.waitFor(looks, { interval: 50, timeout: 60_000 });
}

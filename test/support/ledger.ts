import type { TestDatabase } from './database.ts';
import { waitUntil } from './waits.ts';

/** One row of the ledger. */
export interface LedgerRow {
  item: string;
  attempt: number;
  status: string;
  pid: number;
  sqlstate: string | null;
  message: string | null;
  blockedBy: string | null;
}

/** All attempts at an item, of all deploys. */
export async function readLedger(database: TestDatabase, item: string): Promise<LedgerRow[]> {
  const [row] = await database.query("select to_regclass('deploy_step.index_builds') as ledger");
  if (row?.ledger == null) return [];
  return await database.query<LedgerRow>(
    `select item, attempt, status, backend_pid as pid, sqlstate, message, blocked_by as "blockedBy"
       from deploy_step.index_builds where item = $1 order by started_at, attempt`,
    [item],
  );
}

/** Waits until the ledger's rows of an item meet a condition. @returns the rows */
export async function waitForLedger(
  database: TestDatabase,
  item: string,
  condition: (rows: LedgerRow[]) => boolean,
): Promise<LedgerRow[]> {
  let rows: LedgerRow[] = [];
  await waitUntil(`the ledger's rows of ${item}`, async () => {
    rows = await readLedger(database, item);
    return condition(rows);
  });
  return rows;
}

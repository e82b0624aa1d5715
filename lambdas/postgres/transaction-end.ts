import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, type Database, withClient } from './client.ts';

/** How a transaction ended. `unknown`: it has not ended yet, or the server cannot be reached. */
export type TransactionEnd = 'committed' | 'aborted' | 'unknown';

/** Gives the current transaction an id. @returns the id, with its epoch, as text */
export async function startTransactionId(client: Client): Promise<string> {
  const { rows } = await client.query<{ id: string }>('select pg_current_xact_id()::text as id');
  return rows[0]?.id ?? '';
}

/** The id of the current transaction. Null: it has none. */
export async function currentTransaction(client: Client): Promise<string | null> {
  const { rows } = await client.query<{ id: string | null }>(
    'select pg_current_xact_id_if_assigned()::text as id',
  );
  return rows[0]?.id ?? null;
}

/** How a transaction ended. The server keeps that for longer than a deploy lasts. */
export async function readTransactionEnd(client: Client, id: string): Promise<TransactionEnd> {
  const { rows } = await client.query<{ status: string | null }>(
    'select pg_xact_status($1::text::xid8) as status',
    [id],
  );
  const status = rows[0]?.status;
  return status === 'committed' || status === 'aborted' ? status : 'unknown';
}

/** Pause between two checks, in milliseconds. */
const CHECK_PAUSE_MS = 250;

/**
 * Waits on new connections until a transaction whose connection was lost has ended: only the server knows whether it received
 * the COMMIT.
 * @param seconds longest wait
 */
export async function waitForTransactionEnd(
  database: Database,
  id: string,
  seconds: number,
): Promise<TransactionEnd> {
  const deadline = Date.now() + seconds * 1_000;
  for (;;) {
    const end = await withClient(
      database,
      'migrate check',
      async (client) => await readTransactionEnd(client, id),
    ).catch((): TransactionEnd => 'unknown');
    if (end !== 'unknown' || Date.now() >= deadline) return end;
    await sleep(CHECK_PAUSE_MS);
  }
}

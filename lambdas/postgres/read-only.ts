import type { Client } from './client.ts';
import { OWN_SEARCH_PATH } from './search-path.ts';
import { isConnectionError } from './sqlstate.ts';

/*
 * For commands that only look at a database in use. The timeouts keep them from waiting for a table that another session has
 * locked.
 */

/** Longest statement and longest wait for a lock, in seconds. */
const STATEMENT_TIMEOUT_SECONDS = 60;
const LOCK_TIMEOUT_SECONDS = 2;

/** Statements of commands that look at a database begin with it, so that pg_stat_statements shows whose they are. */
export const MARK = '/* pg-deploy-step */';

/** Runs queries in a read-only transaction. It keeps no snapshot between two statements, so that no build waits for it. */
export async function inReadOnlyTransaction<T>(client: Client, use: () => Promise<T>): Promise<T> {
  await client.query(
    `begin isolation level read committed read only;
     set local statement_timeout = '${STATEMENT_TIMEOUT_SECONDS}s';
     set local lock_timeout = '${LOCK_TIMEOUT_SECONDS}s';
     set local jit = off;
     set local search_path = ${OWN_SEARCH_PATH}`,
  );
  try {
    return await use();
  } finally {
    // Nothing was changed. It can only fail if the connection is lost.
    await client.query('rollback').catch(() => undefined);
  }
}

/** Makes all further transactions of a session read-only, unless they say otherwise. */
export async function makeSessionReadOnly(client: Client): Promise<void> {
  await client.query(
    `set default_transaction_read_only = on; set statement_timeout = '${STATEMENT_TIMEOUT_SECONDS}s'`,
  );
}

/**
 * Runs one query of a transaction that may fail without ending the transaction.
 * @returns the error, unless the connection is lost
 */
export async function tryQuery<T>(
  client: Client,
  use: () => Promise<T>,
): Promise<{ readonly value: T } | { readonly error: unknown }> {
  await client.query('savepoint pg_deploy_step_try');
  try {
    const value = await use();
    await client.query('release savepoint pg_deploy_step_try');
    return { value };
  } catch (error) {
    if (isConnectionError(error)) throw error;
    await client.query('rollback to savepoint pg_deploy_step_try');
    return { error };
  }
}

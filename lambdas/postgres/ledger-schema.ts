import { lockLedger } from './advisory-lock.ts';
import { type Client, withTransaction } from './client.ts';
import { DUPLICATE_SCHEMA, DUPLICATE_TABLE, sqlstateOf, UNIQUE_VIOLATION } from './sqlstate.ts';

/**
 * Creates a table of the schema deploy_step, and the schema if it does not exist. Two sessions may do this at the same time.
 * @param table name and columns: what follows `create table if not exists deploy_step.`
 * @throws insufficient_privilege when the role may not create it; LockNotAvailable when another session of a deploy works on it
 *   for too long
 */
export async function createLedgerTable(client: Client, table: string): Promise<void> {
  let isLocked = true;
  const create = async () => {
    isLocked = await lockLedger(client);
    // CREATE SCHEMA IF NOT EXISTS requires the CREATE privilege on the database even when the schema exists.
    const { rows } = await client.query<{ present: boolean }>(
      "select to_regnamespace('deploy_step') is not null as present",
    );
    if (!rows[0]?.present) await client.query('create schema deploy_step');
    // Another default_table_access_method may not support updates.
    await client.query(`create table if not exists deploy_step.${table} using heap`);
  };
  try {
    await withTransaction(client, create);
  } catch (error) {
    if (isLocked || !CREATED_MEANWHILE.has(sqlstateOf(error) ?? '')) throw error;
    await withTransaction(client, create);
  }
}

/** Without the lock, another session can have created the schema or the table at the same moment. */
const CREATED_MEANWHILE = new Set([UNIQUE_VIOLATION, DUPLICATE_SCHEMA, DUPLICATE_TABLE]);

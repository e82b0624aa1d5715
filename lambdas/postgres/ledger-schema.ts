import { lockLedger } from './advisory-lock.ts';
import { type Client, withTransaction } from './client.ts';

/**
 * Creates a table of the schema deploy_step, and the schema if it does not exist. Two sessions may do this at the same time.
 * @param table name and columns: what follows `create table if not exists deploy_step.`
 * @throws insufficient_privilege when the role may not create it
 */
export async function createLedgerTable(client: Client, table: string): Promise<void> {
  await withTransaction(client, async () => {
    await lockLedger(client);
    // CREATE SCHEMA IF NOT EXISTS requires the CREATE privilege on the database even when the schema exists.
    const { rows } = await client.query<{ present: boolean }>(
      "select to_regnamespace('deploy_step') is not null as present",
    );
    if (!rows[0]?.present) await client.query('create schema deploy_step');
    // Another default_table_access_method may not support updates.
    await client.query(`create table if not exists deploy_step.${table} using heap`);
  });
}

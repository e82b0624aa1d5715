import type { Client } from './client.ts';
import type { Table } from './identifiers.ts';
import { createLedgerTable } from './ledger-schema.ts';
import { INSUFFICIENT_PRIVILEGE, INVALID_SCHEMA_NAME, sqlstateOf, UNDEFINED_TABLE } from './sqlstate.ts';
import { OWN_SCHEMA } from './table-findings.ts';
import { lockTrustedTable, withTrustedTable } from './trusted-table.ts';

/*
 * deploy_step.applied_migrations: which deploy applied which migration. A row is inserted in the transaction that applies the
 * migration, so it exists exactly if the migration was applied. node-pg-migrate's own table does not name the deploy: a
 * second attempt, after the first one lost its connection at COMMIT, could not tell its own migrations from older ones.
 */

/** The table. */
export const MIGRATION_RECORD: Table = { schema: OWN_SCHEMA, table: 'applied_migrations' };

/**
 * Creates the table if it does not exist. Two sessions may do this at the same time.
 * @returns false if the role may not create it or not use it: then a deploy is not recorded
 */
export async function ensureMigrationRecord(client: Client): Promise<boolean> {
  const state = await stateOfRecord(client);
  if (state !== 'missing') return state === 'usable';
  try {
    await createLedgerTable(
      client,
      `applied_migrations (
         deploy text not null,
         name text not null,
         transaction xid8 not null default pg_current_xact_id(),
         started_at timestamptz not null default now(),
         primary key (deploy, name)
       )`,
    );
  } catch (error) {
    if (sqlstateOf(error) !== INSUFFICIENT_PRIVILEGE) throw error;
    return false;
  }
  return true;
}

/** Whether the table exists and the role may read and write it. */
export async function hasRecord(client: Client): Promise<boolean> {
  return (await stateOfRecord(client)) === 'usable';
}

async function stateOfRecord(client: Client): Promise<'missing' | 'usable' | 'refused'> {
  const { rows } = await client.query<{ present: boolean; usable: boolean }>(
    `select n.oid is not null and c.oid is not null as present,
            coalesce(c.relkind = 'r' and has_schema_privilege(n.oid, 'usage')
                     and has_table_privilege(c.oid, 'select') and has_table_privilege(c.oid, 'insert'), false) as usable
       from (select 1) one
       left join pg_namespace n on n.nspname = 'deploy_step'
       left join pg_class c on c.relnamespace = n.oid and c.relname = 'applied_migrations'`,
  );
  if (!rows[0]?.present) return 'missing';
  return rows[0].usable ? 'usable' : 'refused';
}

/**
 * Records, in the transaction that applies them, that a deploy applies migrations.
 * @throws Refused when a role that is not trusted controls the table
 */
export async function recordMigrations(
  client: Client,
  deploy: string,
  names: readonly string[],
): Promise<void> {
  await lockTrustedTable(client, MIGRATION_RECORD, 'row exclusive');
  await client.query(
    'insert into deploy_step.applied_migrations (deploy, name) select $1, unnest($2::text[]) on conflict do nothing',
    [deploy, names],
  );
}

/** Names of the migrations that a deploy applied. Empty: none, or they are not recorded. */
export async function recordedMigrations(client: Client, deploy: string): Promise<string[]> {
  try {
    return await withTrustedTable(client, MIGRATION_RECORD, 'access share', async () => {
      const { rows } = await client.query<{ name: string }>(
        'select name from deploy_step.applied_migrations where deploy = $1',
        [deploy],
      );
      return rows.map(({ name }) => name);
    });
  } catch (error) {
    const sqlstate = sqlstateOf(error) ?? '';
    if ([UNDEFINED_TABLE, INVALID_SCHEMA_NAME, INSUFFICIENT_PRIVILEGE].includes(sqlstate)) return [];
    throw error;
  }
}

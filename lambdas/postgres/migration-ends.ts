import type { RequestedMigrations } from '../shared/payloads.ts';
import type { Client } from './client.ts';
import type { Table } from './identifiers.ts';
import { createLedgerTable } from './ledger-schema.ts';
import { INSUFFICIENT_PRIVILEGE, isMissingTable, sqlstateOf } from './sqlstate.ts';
import { OWN_SCHEMA } from './table-findings.ts';
import { withTrustedTable } from './trusted-table.ts';

/*
 * deploy_step.migration_ends: since when the services of an environment may have been running again. Lambda can take seconds to
 * start the function that applies migrations. If its execution is aborted meanwhile, no session holds the lock of the
 * migrations, and the services start. So the check that lets them start first writes its time into this table, and then looks
 * for the lock. The function first acquires the lock, and then reads the table: it applies nothing that was requested before.
 */

/** The table. */
export const MIGRATION_ENDS: Table = { schema: OWN_SCHEMA, table: 'migration_ends' };

/**
 * Ends the migrations that were requested, and have not begun.
 * @throws insufficient_privilege when the role may not create the table, or not write it
 * @throws Refused when a role that is not trusted controls the table; LockNotAvailable
 */
export async function endMigrations(client: Client, requested: RequestedMigrations): Promise<void> {
  try {
    await recordEnd(client, requested);
  } catch (error) {
    if (!isMissingTable(error)) throw error;
    await createLedgerTable(
      client,
      'migration_ends (environment text primary key, ended_at timestamptz not null)',
    );
    await recordEnd(client, requested);
  }
}

async function recordEnd(client: Client, { environment, at }: RequestedMigrations): Promise<void> {
  await withTrustedTable(client, MIGRATION_ENDS, 'row exclusive', async () => {
    await client.query(
      `insert into deploy_step.migration_ends as e (environment, ended_at) values ($1, $2)
       on conflict (environment) do update set ended_at = greatest(e.ended_at, excluded.ended_at)`,
      [environment, at],
    );
  });
}

/** Whether the migrations that were requested have been ended. */
export async function areMigrationsEnded(
  client: Client,
  { environment, at }: RequestedMigrations,
): Promise<boolean> {
  try {
    return await withTrustedTable(client, MIGRATION_ENDS, 'access share', async () => {
      const { rowCount } = await client.query(
        'select from deploy_step.migration_ends where environment = $1 and ended_at >= $2',
        [environment, at],
      );
      return rowCount !== 0;
    });
  } catch (error) {
    if (isMissingTable(error) || sqlstateOf(error) === INSUFFICIENT_PRIVILEGE) return false;
    throw error;
  }
}

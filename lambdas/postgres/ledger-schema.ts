import { lockLedger } from './advisory-lock.ts';
import { type Client, withTransaction } from './client.ts';
import { quoteIdentifier } from './identifiers.ts';
import { DUPLICATE_SCHEMA, DUPLICATE_TABLE, sqlstateOf, UNIQUE_VIOLATION } from './sqlstate.ts';
import { OWN_SCHEMA } from './table-findings.ts';
import { refuseUntrustedTables } from './trusted-table.ts';

/**
 * Creates a table of the schema deploy_step, and the schema if it does not exist. Two sessions may do this at the same time.
 * @param table name and columns: what follows `create table if not exists deploy_step.`
 * @throws insufficient_privilege when the role may not create it; LockNotAvailable when another session of a deploy works on it
 *   for too long
 * @throws Refused when a role that is not trusted controls the schema
 */
export async function createLedgerTable(client: Client, table: string): Promise<void> {
  let isLocked = true;
  const create = async () => {
    isLocked = await lockLedger(client);
    // CREATE SCHEMA IF NOT EXISTS requires the CREATE privilege on the database even when the schema exists.
    const { rows } = await client.query<{ present: boolean }>(
      "select to_regnamespace('deploy_step') is not null as present",
    );
    if (!rows[0]?.present) await createSchema(client);
    // The schema has an owner that is not trusted if another role created it first.
    await refuseUntrustedTables(client, [{ schema: OWN_SCHEMA, table: 'index_builds' }]);
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

/** Creates the schema without the privileges that ALTER DEFAULT PRIVILEGES gives to others. */
async function createSchema(client: Client): Promise<void> {
  await client.query('create schema deploy_step');
  const { rows } = await client.query<{ grantee: string | null }>(
    `select r.rolname as grantee
       from pg_catalog.pg_namespace n
      cross join lateral pg_catalog.aclexplode(n.nspacl) acl
       left join pg_catalog.pg_roles r on r.oid = acl.grantee
      where n.nspname = 'deploy_step' and acl.privilege_type = 'CREATE'::pg_catalog.text and acl.grantee <> n.nspowner`,
  );
  for (const { grantee } of rows) {
    const role = grantee === null ? 'public' : quoteIdentifier(grantee);
    await client.query(`revoke create on schema deploy_step from ${role}`);
  }
}

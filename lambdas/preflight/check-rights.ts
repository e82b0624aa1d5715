import type { Client } from '../postgres/client.ts';
import { quoteIdentifier } from '../postgres/identifiers.ts';
import { partitionTreeOf } from '../postgres/partition-tree-query.ts';
import { Refused } from '../shared/errors.ts';
import type { CompiledIndex } from '../shared/registry.ts';
import { listedStatements } from '../shared/text.ts';
import { grantOwners, grantSchemas } from './grants-in-schemas.ts';

/** Statements in a refusal. More for the schemas of entries with `schemas` become one that finds them. */
const MOST_GRANTS = 20;

/**
 * Refuses a role that cannot build the indexes or cannot write to the ledger. A table that does not exist yet is ignored,
 * because a migration may create it.
 * @throws Refused when privileges are missing; the message has the statements that grant them
 */
export async function checkRights(client: Client, indexes: readonly CompiledIndex[]): Promise<void> {
  const statements = [
    ...(await grantsOfOwnership(client, indexes)),
    ...(await grantsOnSchemas(client, indexes)),
    ...(await grantsOnLedgerSchema(client)),
  ];
  if (statements.length === 0) return;
  const { rows } = await client.query<{ role: string }>('select current_user as role');
  const more =
    statements.length > MOST_GRANTS ? '. Then deploy again: the next refusal names the others.' : '';
  throw new Refused(
    `The role ${rows[0]?.role} does not have the privileges that the deploy needs. Connect as a superuser or as the owner and run: ${listedStatements(statements, MOST_GRANTS)}${more}`,
  );
}

/** The existing tables, with all their partitions. Nothing else can have an index. */
const TABLES = `
  with recursive named as (
    select c.oid
      from unnest($1::text[], $2::text[]) as wanted (schema, name)
      join pg_namespace n on n.nspname = wanted.schema
      join pg_class c on c.relnamespace = n.oid and c.relname = wanted.name
     where c.relkind in ('r', 'p', 'm')
  ), ${partitionTreeOf('select oid from named')}, tables as (
    select distinct relid as oid from tree
  )`;

/** Only the owner can run CREATE INDEX, on each partition too: no privilege on the table is enough. */
async function grantsOfOwnership(client: Client, indexes: readonly CompiledIndex[]): Promise<string[]> {
  const { rows } = await client.query<{ owner: string; role: string; perSchema: boolean }>(
    `${TABLES}
     select pg_get_userbyid(c.relowner) as owner,
            current_user as role,
            bool_and(n.nspname = any ($3::text[])) as "perSchema"
       from tables
       join pg_class c using (oid)
       join pg_namespace n on n.oid = c.relnamespace
      where not pg_has_role(current_user, c.relowner, 'usage')
      group by 1
      order by 1`,
    [indexes.map((index) => index.schema), indexes.map((index) => index.table), schemasOfEntries(indexes)],
  );
  return grants(
    indexes,
    rows,
    (row) => `GRANT ${quoteIdentifier(row.owner)} TO ${quoteIdentifier(row.role)};`,
    grantOwners,
  );
}

async function grantsOnSchemas(client: Client, indexes: readonly CompiledIndex[]): Promise<string[]> {
  const { rows } = await client.query<{ schema: string; role: string; perSchema: boolean }>(
    `${TABLES}
     select distinct n.nspname as schema, current_user as role, n.nspname = any ($3::text[]) as "perSchema"
       from tables
       join pg_class c using (oid)
       join pg_namespace n on n.oid = c.relnamespace
      where not (has_schema_privilege(n.oid, 'create') and has_schema_privilege(n.oid, 'usage'))
      order by 1`,
    [indexes.map((index) => index.schema), indexes.map((index) => index.table), schemasOfEntries(indexes)],
  );
  return grants(
    indexes,
    rows,
    (row) => `GRANT CREATE, USAGE ON SCHEMA ${quoteIdentifier(row.schema)} TO ${quoteIdentifier(row.role)};`,
    grantSchemas,
  );
}

function schemasOfEntries(indexes: readonly CompiledIndex[]): string[] {
  return [...new Set(indexes.filter(({ schemas }) => schemas !== undefined).map(({ schema }) => schema))];
}

/** A missing privilege. */
interface Missing {
  readonly role: string;
  /** Only schemas of entries with `schemas` need it. */
  readonly perSchema: boolean;
}

/** A statement for each missing privilege. With many tenants, statements that find their schemas. */
function grants<Row extends Missing>(
  indexes: readonly CompiledIndex[],
  rows: readonly Row[],
  one: (row: Row) => string,
  inEachSchema: (indexes: readonly CompiledIndex[], role: string) => string[],
): string[] {
  const [first, ...others] = rows.filter(({ perSchema }) => perSchema);
  if (first === undefined || others.length < MOST_GRANTS) return rows.map(one);
  return [...inEachSchema(indexes, first.role), ...rows.filter(({ perSchema }) => !perSchema).map(one)];
}

async function grantsOnLedgerSchema(client: Client): Promise<string[]> {
  const { rows } = await client.query<{
    database: string;
    role: string;
    create: boolean;
    table: string | null;
    use: boolean;
  }>(
    `select current_database() as database,
            current_user as role,
            has_database_privilege(current_database(), 'create') as create,
            to_regnamespace('deploy_step')::text as "table",
            case when to_regnamespace('deploy_step') is null then false
                 else has_schema_privilege(to_regnamespace('deploy_step'), 'usage') end as use`,
  );
  const row = rows[0];
  if (row === undefined) return [];
  const role = quoteIdentifier(row.role);
  if (row.table === null) return row.create ? [] : [`CREATE SCHEMA deploy_step AUTHORIZATION ${role};`];
  if (!row.use)
    return [
      `GRANT ALL ON SCHEMA deploy_step TO ${role};`,
      `GRANT ALL ON ALL TABLES IN SCHEMA deploy_step TO ${role};`,
    ];
  return await grantsOnLedgerTable(client, role);
}

async function grantsOnLedgerTable(client: Client, role: string): Promise<string[]> {
  const { rows } = await client.query<{ present: boolean; allowed: boolean; create: boolean }>(
    `select l.oid is not null as present,
            coalesce(has_table_privilege(l.oid, 'select') and has_table_privilege(l.oid, 'insert')
                     and has_table_privilege(l.oid, 'update'), false) as allowed,
            has_schema_privilege('deploy_step', 'create') as create
       from (select to_regclass('deploy_step.index_builds')::oid as oid) l`,
  );
  const ledger = rows[0];
  if (ledger === undefined || ledger.allowed) return [];
  if (ledger.present) return [`GRANT SELECT, INSERT, UPDATE ON deploy_step.index_builds TO ${role};`];
  return ledger.create ? [] : [`GRANT CREATE ON SCHEMA deploy_step TO ${role};`];
}

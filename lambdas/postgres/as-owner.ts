import type { QueryResult } from 'pg';
import { quoted } from '../shared/visible-text.ts';
import { type Client, trustedRolesOf } from './client.ts';
import { quoteIdentifier, type Table, tableKey } from './identifiers.ts';
import { resolvedSearchPath } from './search-path.ts';
import { isTrustedRole } from './trusted-roles.ts';

/*
 * A definition of an index can call functions, and other roles than the deploy role decide what these do. They must run as the
 * owner of the table, as in a real build. SET ROLE does not ensure that, because a function can change the role back. In a
 * function of the owner with SECURITY DEFINER, the server refuses to change the role.
 */

/** The role as which definitions of a table are normalized. */
export interface ComparingRole {
  readonly name: string;
  /** It may use every schema of the search path, so it finds what the deploy role finds. */
  readonly usesSearchPath: boolean;
  /** Why this role cannot be used, and the statement that changes that: the end of a sentence. Null: it can. */
  readonly obstacle: string | null;
}

/** The role as which definitions of one table are normalized: see `readComparingRoles`. Undefined: the table does not exist. */
export async function readComparingRole(client: Client, table: Table): Promise<ComparingRole | undefined> {
  return (await readComparingRoles(client, [table])).get(tableKey(table));
}

/**
 * The roles as which definitions of tables are normalized, by `tableKey`: the owner of each. If that is not possible and the
 * owner is trusted, the deploy role itself. Tables that do not exist are omitted.
 */
export async function readComparingRoles(
  client: Client,
  tables: readonly Table[],
): Promise<Map<string, ComparingRole>> {
  const { rows } = await client.query<RoleRow>(
    `with tables as (
       select distinct n.nspname as schema, c.relname as "table", c.relowner
         from unnest($1::pg_catalog.text[], $2::pg_catalog.text[]) as wanted (schema, name)
         join pg_catalog.pg_namespace n on n.nspname operator(pg_catalog.=) wanted.schema::pg_catalog.name
         join pg_catalog.pg_class c on c.relnamespace operator(pg_catalog.=) n.oid
                                   and c.relname operator(pg_catalog.=) wanted.name::pg_catalog.name
     ), owners as materialized (
       select o.relowner,
              ${canSetRole('o.relowner')} as "canBecome",
              pg_catalog.has_database_privilege(o.relowner, pg_catalog.current_database(), 'temporary') as "ownerMayCreate",
              not exists (select from pg_catalog.pg_namespace path
                           where path.nspname operator(pg_catalog.=) any ($4::pg_catalog.name[])
                             and pg_catalog.has_schema_privilege(path.oid, 'usage')
                             and not pg_catalog.has_schema_privilege(o.relowner, path.oid, 'usage')) as "usesSearchPath"
         from (select distinct relowner from tables) o
     )
     select tables.schema,
            tables."table",
            pg_catalog.pg_get_userbyid(o.relowner) as owner,
            current_user as "deployRole",
            pg_catalog.current_database() as database,
            judged.trusted,
            o."canBecome",
            o."ownerMayCreate",
            pg_catalog.has_database_privilege(pg_catalog.current_database(), 'temporary') as "mayCreate",
            o."usesSearchPath",
            case when ${IS_16} then ' WITH SET TRUE' else '' end as "setOption"
       from tables
       join owners o on o.relowner operator(pg_catalog.=) tables.relowner
       -- With thousands of roles this takes long, so it is only asked where it decides.
       join (select relowner,
                    case when "canBecome" and "ownerMayCreate" then false
                         else ${isTrustedRole('relowner', '$3')} end as trusted
               from owners) judged on judged.relowner operator(pg_catalog.=) o.relowner`,
    [
      tables.map((table) => table.schema),
      tables.map((table) => table.table),
      trustedRolesOf(client),
      await resolvedSearchPath(client),
    ],
  );
  return new Map(rows.map((row) => [tableKey(row), comparingRole(row)]));
}

interface RoleRow extends Table {
  owner: string;
  deployRole: string;
  database: string;
  trusted: boolean;
  canBecome: boolean;
  ownerMayCreate: boolean;
  mayCreate: boolean;
  usesSearchPath: boolean;
  setOption: string;
}

function comparingRole(row: RoleRow): ComparingRole {
  const { owner, deployRole, usesSearchPath } = row;
  if (row.canBecome && row.ownerMayCreate) return { name: owner, usesSearchPath, obstacle: null };
  if (row.trusted && row.mayCreate) return { name: deployRole, usesSearchPath: true, obstacle: null };
  const obstacle = row.canBecome
    ? `${quoted(owner)}, the owner of the table, may not create temporary tables. Connect as a superuser and run: GRANT TEMPORARY ON DATABASE ${quoteIdentifier(row.database)} TO ${quoteIdentifier(owner)};`
    : `the deploy role cannot act as ${quoted(owner)}, the owner of the table. Connect as a superuser and run: GRANT ${quoteIdentifier(owner)} TO ${quoteIdentifier(deployRole)}${row.setOption};`;
  return { name: owner, usesSearchPath, obstacle };
}

/** Whether the current role can SET ROLE to another one. @param role expression of type oid */
function canSetRole(role: string): string {
  return `pg_catalog.pg_has_role(${role}, case when ${IS_16} then 'set' else 'member' end)`;
}

/** From version 16 on, a membership says whether the member can SET ROLE. */
const IS_16 =
  "pg_catalog.current_setting('server_version_num')::pg_catalog.int4 operator(pg_catalog.>=) 160000";

/** What to run as one role. */
interface WorkOfOwner {
  readonly role: string;
  /** A call of the function: a query that returns a column `answer`. */
  readonly call: string;
}

/**
 * Runs a function as each of some roles, in one round trip, and rolls all of it back: what the functions of a role leave behind,
 * such as a setting, a cursor or a deferred trigger, does not exist at the next statement. It runs in a transaction, which MUST
 * be rolled back too.
 * @param definition of the function, from its name on, with SECURITY DEFINER
 * @returns the answers of each call. The role can falsify them
 * @throws insufficient_privilege
 */
export async function runAsOwners<T>(
  client: Client,
  definition: string,
  work: readonly WorkOfOwner[],
): Promise<T[][]> {
  const statements = work.map(
    ({ role, call }) =>
      `savepoint as_owner;
       set local role ${quoteIdentifier(role)};
       create function ${definition};
       reset role;
       ${call};
       rollback to savepoint as_owner`,
  );
  // The type of node-postgres does not know that several statements have several results.
  const results: unknown = await client.query(statements.join(';\n'));
  return (results as QueryResult<{ answer: T }>[])
    .filter(({ command }) => command === 'SELECT')
    .map(({ rows }) => rows.map(({ answer }) => answer));
}

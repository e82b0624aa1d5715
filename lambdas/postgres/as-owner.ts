import { quoted } from '../shared/visible-text.ts';
import { type Client, trustedRolesOf } from './client.ts';
import { quoteIdentifier, type Table } from './identifiers.ts';
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

/**
 * The role as which definitions of a table are normalized: its owner. If that is not possible and the owner is trusted, the
 * deploy role itself. Undefined: the table does not exist.
 */
export async function readComparingRole(client: Client, table: Table): Promise<ComparingRole | undefined> {
  const { rows } = await client.query<{
    owner: string;
    deployRole: string;
    database: string;
    trusted: boolean;
    canBecome: boolean;
    ownerMayCreate: boolean;
    mayCreate: boolean;
    usesSearchPath: boolean;
    setOption: string;
  }>(
    `select pg_catalog.pg_get_userbyid(c.relowner) as owner,
            current_user as "deployRole",
            pg_catalog.current_database() as database,
            ${isTrustedRole('c.relowner', '$3')} as trusted,
            ${canSetRole('c.relowner')} as "canBecome",
            pg_catalog.has_database_privilege(c.relowner, pg_catalog.current_database(), 'temporary') as "ownerMayCreate",
            pg_catalog.has_database_privilege(pg_catalog.current_database(), 'temporary') as "mayCreate",
            not exists (select from pg_catalog.pg_namespace path
                         where path.nspname operator(pg_catalog.=) any ($4::pg_catalog.name[])
                           and pg_catalog.has_schema_privilege(path.oid, 'usage')
                           and not pg_catalog.has_schema_privilege(c.relowner, path.oid, 'usage')) as "usesSearchPath",
            case when ${IS_16} then ' WITH SET TRUE' else '' end as "setOption"
       from pg_catalog.pg_class c
       join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) c.relnamespace
      where n.nspname operator(pg_catalog.=) $1::pg_catalog.name and c.relname operator(pg_catalog.=) $2::pg_catalog.name`,
    [table.schema, table.table, trustedRolesOf(client), await resolvedSearchPath(client)],
  );
  const [row] = rows;
  if (row === undefined) return undefined;
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

/** The function that runs a statement as its owner, and then a query that returns one text. */
const RUN = 'pg_temp.pg_deploy_step_run';

/**
 * Runs a statement as another role, and creates the function that `runAsOwner` calls. The transaction MUST be rolled back: what
 * the functions of the owner leave in it, such as a deferred trigger or a cursor, would run as the deploy role at the commit.
 * @param statement one that calls no function of the role: here it could change the role back
 * @throws insufficient_privilege
 */
export async function becomeOwner(client: Client, owner: string, statement: string): Promise<void> {
  await client.query(
    `set local role ${quoteIdentifier(owner)};
     ${statement};
     create function ${RUN}(statement pg_catalog.text, result pg_catalog.text) returns pg_catalog.text
       language plpgsql security definer as $run$
         declare answer pg_catalog.text;
         begin
           execute statement;
           execute result into answer;
           return answer;
         end $run$;
     reset role`,
  );
}

/**
 * Runs a statement as the owner, and rolls it back. What it has changed in the session, such as the search path, is restored
 * before the next statement.
 * @param result query that returns one text. The owner can falsify it
 */
export async function runAsOwner(
  client: Client,
  { statement, result }: { statement: string; result: string },
): Promise<string | null> {
  await client.query('savepoint as_owner');
  try {
    const { rows } = await client.query<{ answer: string | null }>(
      `select ${RUN}($1::pg_catalog.text, $2::pg_catalog.text) as answer`,
      [statement, result],
    );
    return rows[0]?.answer ?? null;
  } finally {
    await client.query('rollback to savepoint as_owner');
  }
}

import type { Client } from '../postgres/client.ts';
import { quoteIdentifier } from '../postgres/identifiers.ts';
import { configuredSearchPath } from '../postgres/search-path.ts';
import { isTrustedRole } from '../postgres/trusted-roles.ts';
import { listed } from '../shared/text.ts';
import { quoted } from '../shared/visible-text.ts';

/** Roles that a warning names. The statement to type is about the same roles. */
const MOST_ROLES = 5;

/** Schemas of the search path that a warning names. */
const MOST_SCHEMAS = 5;

/** A role that may create objects in a schema of the search path. */
interface Creator {
  schema: string;
  /** Why it may: it owns the schema, has CREATE on it, or could create the schema, which does not exist. */
  by: 'owner' | 'grant' | 'database';
  /** Null: PUBLIC. */
  role: string | null;
  deployRole: string;
  database: string;
}

/**
 * Warns about each schema of the configured search path in which roles that are not trusted can create objects: a function of
 * such a role can run with the rights of the deploy role. A schema that does not exist counts too, if such a role can create it.
 *
 * The owner of the database counts as trusted here. It can drop every schema, and from version 15 on it owns `public`.
 * @param trustedRoles of the configuration
 */
export async function warnOfWritableSchemas(
  client: Client,
  trustedRoles: readonly string[],
): Promise<string[]> {
  const path = await configuredSearchPath(client);
  const { rows } = await client.query<Creator>(CREATORS, [path, trustedRoles]);
  const bySchema = [...Map.groupBy(rows, ({ schema }) => schema).values()];
  const warnings = bySchema.slice(0, MOST_SCHEMAS).map(describe);
  const others = bySchema.slice(MOST_SCHEMAS).flatMap(([first]) => (first ? [quoted(first.schema)] : []));
  if (others.length === 0) return warnings;
  return [
    ...warnings,
    `The same applies to other schemas of the search path: ${listed(others, MOST_ROLES)}. The next plan shows the statements.`,
  ];
}

/** pg_temp belongs to the session. A name that is in the path twice counts once. */
const CREATORS = `
  with path as (
    select case named.name when '$user' then current_user else named.name end as schema, min(named.position) as position
      from unnest($1::text[]) with ordinality as named (name, position)
     where named.name <> 'pg_temp'
     group by 1
  ), creators as (
    select path.schema, path.position, 'owner' as by, n.nspowner as role
      from path join pg_namespace n on n.nspname = path.schema
     union all
    select path.schema, path.position, 'grant', acl.grantee
      from path
      join pg_namespace n on n.nspname = path.schema
     cross join lateral aclexplode(n.nspacl) acl
     where acl.privilege_type = 'CREATE' and acl.grantee <> n.nspowner
     union all
    select path.schema, path.position, 'database', acl.grantee
      from path
      join pg_database d on d.datname = current_database()
     cross join lateral aclexplode(d.datacl) acl
     where acl.privilege_type = 'CREATE'
       and not exists (select from pg_namespace n where n.nspname = path.schema)
  )
  select distinct creators.schema, creators.by, r.rolname as role, current_user as "deployRole", d.datname as database,
         creators.position
    from creators
    join pg_database d on d.datname = current_database()
    left join pg_roles r on r.oid = creators.role
   where not ${isTrustedRole('creators.role', '$2')}
     and creators.role not in (d.datdba, 'pg_database_owner'::regrole)
   order by creators.position, r.rolname nulls first`;

function describe(creators: readonly Creator[]): string {
  const [first] = creators;
  if (first === undefined) return '';
  const schema = quoted(first.schema);
  const who = listed(
    creators.map(({ role }) => (role === null ? 'PUBLIC (every role)' : quoted(role))),
    MOST_ROLES,
  );
  const what =
    first.by === 'database'
      ? `The search path of the deploy names the schema ${schema}, which does not exist, and ${who} can create it.`
      : `${who} can create objects in the schema ${schema}, which is in the search path of the deploy.`;
  return (
    `${what} A function or an operator that they create there can run with the rights of the deploy role ` +
    `${quoted(first.deployRole)}, when a migration or an index definition calls one of that name. As a superuser, or as the owner, run: ` +
    `${fixes(creators.slice(0, MOST_ROLES)).join(' ')} If you trust a role with the rights of the deploy role, name it in database.trustedRoles or --trusted-role.`
  );
}

/** The statements after which these roles cannot create objects in the schema. */
function fixes(creators: readonly Creator[]): string[] {
  const [first] = creators;
  if (first === undefined) return [];
  const { schema, database, deployRole } = first;
  const granted = creators.filter(({ by }) => by !== 'owner');
  const grantees = granted.map(({ role }) => (role === null ? 'PUBLIC' : quoteIdentifier(role))).join(', ');
  const object =
    first.by === 'database' ? `DATABASE ${quoteIdentifier(database)}` : `SCHEMA ${quoteIdentifier(schema)}`;
  return [
    ...(granted.length > 0 ? [`REVOKE CREATE ON ${object} FROM ${grantees};`] : []),
    ...(granted.length < creators.length
      ? [`ALTER SCHEMA ${quoteIdentifier(schema)} OWNER TO ${quoteIdentifier(deployRole)};`]
      : []),
  ];
}

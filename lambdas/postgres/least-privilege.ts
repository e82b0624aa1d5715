import { oneLine } from '../shared/visible-text.ts';
import type { Client } from './client.ts';
import { clipBytes, MAX_IDENTIFIER_BYTES, quoteIdentifier, quoteLiteral, type Table } from './identifiers.ts';
import { MIGRATIONS_TABLE } from './migration-history.ts';
import { partitionTreeOf } from './partition-tree-query.ts';
import { OWN_SCHEMA } from './table-findings.ts';

/*
 * The SQL that creates a deploy role without more rights than a deploy needs. This is its only home: preflight shows it to a
 * superuser, docs/configuration.md contains it for an example, and the role of almost all tests is created by it.
 */

/** What the script names. All names are those of the database, not quoted. */
export interface LeastPrivilege {
  readonly database: string;
  /** The role of the deploy. */
  readonly role: string;
  readonly roleExists: boolean;
  /** The roles granted to the role that are superusers, or can become one. */
  readonly superusers: readonly string[];
  /** Schemas of the tables. */
  readonly schemas: readonly string[];
  /** Names of the tables. With a schema per tenant, the script finds the schemas by them. @default the script names each schema */
  readonly tableNames?: readonly string[];
  /** The roles that own tables of the registry and are not superusers. */
  readonly owners: readonly string[];
  /** The role that gets the tables of superusers. */
  readonly newOwner: string;
  readonly newOwnerExists: boolean;
}

/**
 * SQL that a superuser can run as it is, in the database, also after further deploys of a superuser. It contains no password:
 * its last line says how to set one.
 */
export function leastPrivilegeScript(names: LeastPrivilege): string {
  const { roleExists, superusers, owners, schemas, newOwner, newOwnerExists } = names;
  const role = quoteIdentifier(names.role);
  const database = quoteIdentifier(names.database);
  const lines = [
    `-- The role of the deploy in the database ${oneLine(names.database)}. Run this there as a superuser.`,
    'SET search_path = pg_catalog, pg_temp;',
    ...(roleExists ? [] : [`CREATE ROLE ${role} LOGIN;`]),
    ...(superusers.length === 0
      ? []
      : ['-- A member of a superuser can become one.', `REVOKE ${listOf(superusers)} FROM ${role};`]),
    '-- CREATE: for the schema of the ledger, deploy_step. TEMPORARY: to compare definitions of indexes.',
    `GRANT CONNECT, CREATE, TEMPORARY ON DATABASE ${database} TO ${role};`,
    ...(newOwnerExists ? [] : [`CREATE ROLE ${quoteIdentifier(newOwner)} NOLOGIN;`]),
    ...(schemas.length === 0
      ? []
      : ['-- CREATE: for indexes, and for what migrations create.', ...grantsOnSchemas(names)]),
    ...ownerStatements(names),
    '-- Only the owner of a table can create indexes on it, add constraints to it, lock it for that, analyze it and migrate it.',
    `GRANT ${listOf([...owners, newOwner])} TO ${role};`,
    '-- Without it, messages about a session that blocks the deploy show its pid, and not its state and age.',
    `GRANT pg_read_all_stats TO ${role};`,
    '-- Only with builds.terminateBlockers, to terminate sessions of other roles:',
    `-- GRANT pg_signal_backend TO ${role};`,
    'RESET search_path;',
    ...(roleExists ? [] : [`-- Now set its password, in psql with \\password ${role}`]),
  ];
  return `${lines.join('\n')}\n`;
}

/** More schemas are not named one by one: the script is part of a report. */
const MOST_SCHEMAS = 50;

/** SQL that is true for the schemas of the tables, as `n`. */
function isSchemaOfTables({ schemas, tableNames }: LeastPrivilege): string {
  if (schemas.length <= MOST_SCHEMAS || tableNames === undefined)
    return `n.nspname IN (${[...schemas, OWN_SCHEMA].map(quoteLiteral).join(', ')})`;
  const tables = tableNames.map(quoteLiteral).join(', ');
  const inSchema = `t.relnamespace = n.oid AND t.relkind IN ('r', 'p', 'm') AND t.relname IN (${tables})`;
  return `(n.nspname IN ('public', ${quoteLiteral(OWN_SCHEMA)}) OR n.nspname !~ '^pg_' AND EXISTS (SELECT FROM pg_class t WHERE ${inSchema}))`;
}

function grantsOnSchemas(names: LeastPrivilege): string[] {
  const { schemas, role, newOwner, tableNames } = names;
  const roles = `${quoteIdentifier(role)}, ${quoteIdentifier(newOwner)}`;
  if (schemas.length <= MOST_SCHEMAS || tableNames === undefined)
    return [`GRANT USAGE, CREATE ON SCHEMA ${listOf(schemas)} TO ${roles};`];
  return [
    `-- ${schemas.length} schemas: those that have one of the tables.`,
    'DO $script$',
    'DECLARE',
    '  one name;',
    'BEGIN',
    `  FOR one IN SELECT n.nspname FROM pg_namespace n WHERE n.nspname <> ${quoteLiteral(OWN_SCHEMA)} AND ${isSchemaOfTables(names)} LOOP`,
    `    EXECUTE format('GRANT USAGE, CREATE ON SCHEMA %I TO %I, %I', one, ${quoteLiteral(role)}, ${quoteLiteral(newOwner)});`,
    '  END LOOP;',
    'END',
    '$script$;',
  ];
}

/** Gives the tables of superusers to the new owner: to be a member of a superuser would be as much as to be one. */
function ownerStatements(names: LeastPrivilege): readonly string[] {
  const { role, newOwner } = names;
  const ledger = quoteLiteral(OWN_SCHEMA);
  const migrations = quoteLiteral(MIGRATIONS_TABLE);
  return [
    `-- The tables (also foreign ones) and materialized views of superusers get the owner ${oneLine(newOwner)}, and those that deploys have created for`,
    '-- themselves get the role. Privileges on them stay as they are.',
    'DO $script$',
    'DECLARE',
    '  relation record;',
    'BEGIN',
    `  IF EXISTS (SELECT FROM pg_namespace n JOIN pg_roles o ON o.oid = n.nspowner AND o.rolsuper WHERE n.nspname = ${ledger}) THEN`,
    `    EXECUTE format('ALTER SCHEMA %I OWNER TO %I', ${ledger}, ${quoteLiteral(role)});`,
    '  END IF;',
    '  FOR relation IN',
    '    SELECT n.nspname, c.relname,',
    `           CASE WHEN n.nspname = ${ledger} OR n.nspname = 'public' AND c.relname = ${migrations}`,
    `                THEN ${quoteLiteral(role)} ELSE ${quoteLiteral(newOwner)} END AS owner`,
    '      FROM pg_class c',
    '      JOIN pg_namespace n ON n.oid = c.relnamespace',
    '      JOIN pg_roles o ON o.oid = c.relowner AND o.rolsuper',
    `     WHERE ${isSchemaOfTables(names)} AND c.relkind IN ('r', 'p', 'm', 'f')`,
    "       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')",
    '  LOOP',
    "    EXECUTE format('ALTER TABLE %I.%I OWNER TO %I', relation.nspname, relation.relname, relation.owner);",
    '  END LOOP;',
    'END',
    '$script$;',
  ];
}

function listOf(names: readonly string[]): string {
  return names.map(quoteIdentifier).join(', ');
}

/** What the deploy works on. */
interface Scope {
  /** Tables of the registry. Those that do not exist yet are ignored. */
  readonly tables: readonly Table[];
  /** The deploy runs SQL migrations, and so has its own table in schema public. */
  readonly migrates: boolean;
}

/**
 * Reads what the script names: the existing roles and schemas, or new names that no other role has.
 * @returns null when the current role is not a superuser and cannot become one
 */
export async function readLeastPrivilege(client: Client, scope: Scope): Promise<LeastPrivilege | null> {
  const current = await readCurrentRole(client);
  if (!current.isSuperuser && current.superusers.length === 0) return null;
  const { database } = current;
  const schemas = await existingSchemas(client, scope);
  const role = current.isSuperuser
    ? await chooseRole(client, { database, suffix: '_deploy', login: true })
    : { name: current.role, exists: true };
  const newOwner = await chooseRole(client, { database, suffix: '_owner', login: false });
  const owners = await ownersOf(client, scope.tables);
  return {
    database,
    role: role.name,
    roleExists: role.exists,
    superusers: current.superusers,
    schemas,
    tableNames: [...new Set(scope.tables.map(({ table }) => table))],
    owners: owners.filter((owner) => owner !== role.name && owner !== newOwner.name),
    newOwner: newOwner.name,
    newOwnerExists: newOwner.exists,
  };
}

interface CurrentRole {
  database: string;
  role: string;
  isSuperuser: boolean;
  /** The roles granted to it that are superusers, or are members of one. Empty for a superuser. */
  superusers: string[];
}

async function readCurrentRole(client: Client): Promise<CurrentRole> {
  const { rows } = await client.query<CurrentRole>(
    `select current_database() as database,
            r.rolname as role,
            r.rolsuper as "isSuperuser",
            array(select granted.rolname::text
                    from pg_auth_members m
                    join pg_roles granted on granted.oid = m.roleid
                   where m.member = r.oid and not r.rolsuper
                     and exists (select from pg_roles s
                                  where s.rolsuper and pg_has_role(granted.oid, s.oid, 'member'))
                   order by 1) as superusers
       from pg_roles r
      where r.rolname = current_user`,
  );
  const [row] = rows;
  if (row === undefined) throw new Error('The server did not describe the current role.');
  return row;
}

async function existingSchemas(client: Client, { tables, migrates }: Scope): Promise<string[]> {
  const wanted = new Set([...tables.map((table) => table.schema), ...(migrates ? ['public'] : [])]);
  const { rows } = await client.query<{ schema: string }>(
    `select nspname as schema from pg_namespace
      where nspname = any ($1::name[]) order by 1`,
    [[...wanted]],
  );
  return rows.map((row) => row.schema);
}

/** The roles that own the tables or partitions of them, without superusers. */
async function ownersOf(client: Client, tables: readonly Table[]): Promise<string[]> {
  const { rows } = await client.query<{ owner: string }>(
    `with recursive named as (
       select t.oid
         from unnest($1::name[], $2::name[]) as wanted (schema, name)
         join pg_namespace n on n.nspname = wanted.schema
         join pg_class t on t.relnamespace = n.oid and t.relname = wanted.name
     ), ${partitionTreeOf('select oid from named')}
     select distinct o.rolname as owner
       from tree
       join pg_class c on c.oid = tree.relid
       join pg_roles o on o.oid = c.relowner and not o.rolsuper
      order by 1`,
    [tables.map((table) => table.schema), tables.map((table) => table.table)],
  );
  return rows.map((row) => row.owner);
}

/**
 * A name for a role that the script creates: an existing role of that kind, which an earlier run of the script has created, or
 * a name that no role has.
 */
async function chooseRole(
  client: Client,
  { database, suffix, login }: { database: string; suffix: string; login: boolean },
): Promise<{ name: string; exists: boolean }> {
  for (let number = 1; ; number += 1) {
    const end = number === 1 ? suffix : `${suffix}_${number}`;
    const name = `${clipBytes(database, MAX_IDENTIFIER_BYTES - end.length)}${end}`;
    const { rows } = await client.query<{ usable: boolean }>(
      `select not r.rolsuper and r.rolcanlogin = $2
              and not exists (select from pg_roles s
                               where s.rolsuper and pg_has_role(r.oid, s.oid, 'member')) as usable
         from pg_roles r where r.rolname = $1::name`,
      [name, login],
    );
    const [row] = rows;
    if (row === undefined) return { name, exists: false };
    if (row.usable) return { name, exists: true };
  }
}

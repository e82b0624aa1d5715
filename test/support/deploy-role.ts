import type { Client } from 'pg';
import { leastPrivilegeScript, readLeastPrivilege } from '../../lambdas/postgres/least-privilege.ts';

/*
 * The role that deploys in the tests. It is created by exactly the script that preflight shows to a superuser. The tests' own
 * connections stay those of a superuser.
 */

const PASSWORD = 'secret-of-the-deploy-role';

const roleOf = (database: string) => `${database}_deploy`;
const ownerOf = (database: string) => `${database}_owner`;

/**
 * Creates the role.
 * @param client a superuser's, in the database
 * @param url of the superuser
 * @returns the URL of the deploy role
 */
export async function createDeployRole(client: Client, database: string, url: string): Promise<string> {
  // Those of a template.
  const { rows: tables } = await client.query<{ schema: string; table: string }>(
    `select distinct n.nspname as schema, c.relname as "table"
       from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'p', 'm', 'f') and n.nspname !~ '^(pg_|information_schema$|deploy_step$)'`,
  );
  const names = await readLeastPrivilege(client, { tables, migrates: true });
  if (names?.role !== roleOf(database)) throw new Error(`The script names the role ${names?.role}.`);
  await client.query(leastPrivilegeScript(names));
  await client.query(`alter role ${names.role} password '${PASSWORD}'`);
  await client.query(giveNewTables(names.role, names.newOwner));
  const deploy = new URL(url);
  deploy.username = names.role;
  deploy.password = PASSWORD;
  deployUrls.set(url, deploy.href);
  return deploy.href;
}

/** Gives each table that a superuser of a test creates later the owner that it has after the script, and so for schemas. */
function giveNewTables(role: string, owner: string): string {
  return `
    drop event trigger if exists test_owner;
    create schema if not exists test_support;
    create or replace function test_support.set_owner() returns event_trigger language plpgsql as $trigger$
    declare
      new record;
    begin
      if current_setting('is_superuser') <> 'on' or current_setting('application_name') like 'pg-deploy-step%' then return; end if;
      -- CREATE SCHEMA … AUTHORIZATION names another owner.
      for new in
        select c.* from pg_event_trigger_ddl_commands() c
          left join pg_namespace n on c.classid = 'pg_namespace'::regclass and n.oid = c.objid
         where not c.in_extension and (n.nspowner is null or n.nspowner = current_user::regrole)
      loop
        if new.object_type = 'schema' and new.object_identity = 'deploy_step' then
          execute format('alter schema deploy_step owner to %I', '${role}');
        elsif new.object_type = 'schema' and new.object_identity !~ '^pg_temp' then
          execute format('grant usage, create on schema %s to %I, %I', new.object_identity, '${role}', '${owner}');
        elsif new.object_type in ('table', 'foreign table', 'materialized view') and new.schema_name !~ '^pg_temp' then
          execute format('alter table %s owner to %I', new.object_identity,
            case when new.schema_name = 'deploy_step' or new.object_identity = 'public.pgmigrations' then '${role}' else '${owner}' end);
        end if;
      end loop;
    end $trigger$;
    create event trigger test_owner on ddl_command_end
      when tag in ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'CREATE FOREIGN TABLE', 'CREATE MATERIALIZED VIEW', 'CREATE SCHEMA')
      execute function test_support.set_owner()`;
}

/** The URL of the deploy role, by that of the superuser, for the databases of this process. */
const deployUrls = new Map<string, string>();

/**
 * The URL with which the product connects to a database of a test.
 * @param url of the superuser. Any other URL is returned as it is
 */
export function asDeployRole(url: string): string {
  return deployUrls.get(url) ?? url;
}

/** Drops the roles of a database that was dropped. */
export function dropDeployRole(database: string): string {
  return `drop role if exists ${roleOf(database)}, ${ownerOf(database)}`;
}

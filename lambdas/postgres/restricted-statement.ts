import { BuildFailed } from '../shared/errors.ts';
import { indexId } from '../shared/registry.ts';
import { quoted, visible } from '../shared/visible-text.ts';
import { readComparingRole } from './as-owner.ts';
import { type Client, trustedRolesOf } from './client.ts';
import { type Named, quoteIdentifier } from './identifiers.ts';
import { INSUFFICIENT_PRIVILEGE } from './sqlstate.ts';
import { isTrustedRole } from './trusted-roles.ts';

/*
 * ALTER INDEX … ATTACH PARTITION evaluates constant calls in the definitions of both indexes, with the rights of the role that
 * sends it. Unlike CREATE INDEX, REINDEX and ANALYZE it does not change to the owner of the table. So it is sent inside one of
 * them: a function in an index runs as the owner of its table in a security-restricted operation, in which the server allows
 * neither SET ROLE nor anything that would run later.
 */

const STATEMENT = 'pg_temp.pg_deploy_step_statement';
const RUN = 'pg_temp.pg_deploy_step_execute';
const BUILD = 'pg_temp.pg_deploy_step_build';

/**
 * Runs a statement on indexes so that no code of a role that is not trusted gets the rights of the deploy role. It must run in a
 * transaction.
 * @param indexes the owner of the first one must be allowed to run the statement
 * @throws BuildFailed (insufficient_privilege) when that is not possible
 */
export async function runRestricted(
  client: Client,
  indexes: readonly [Named, ...Named[]],
  statement: string,
): Promise<void> {
  const [first] = indexes;
  const uses = await readUses(client, indexes);
  const untrusted = uses.find((use) => use.object !== null);
  const main = uses.find((use) => use.schema === first.schema && use.name === first.name);
  if (main === undefined || (main.ownerIsTrusted && untrusted === undefined)) {
    await client.query(statement);
    return;
  }
  const role = main.ownerIsTrusted ? undefined : await readComparingRole(client, main);
  if (role !== undefined && role.obstacle === null) {
    await runInBuild(client, role.name, statement);
  } else if (untrusted === undefined) {
    await client.query(statement);
  } else {
    throw new BuildFailed(describe(untrusted, role?.obstacle ?? null), { sqlstate: INSUFFICIENT_PRIVILEGE });
  }
}

/** Runs a statement while the server builds an index on a temporary table of the owner. */
async function runInBuild(client: Client, owner: string, statement: string): Promise<void> {
  await client.query(
    `set local role ${quoteIdentifier(owner)};
     create temporary table ${STATEMENT.slice('pg_temp.'.length)} (statement pg_catalog.text) using heap on commit drop;
     create function ${RUN}(statement pg_catalog.text) returns void language plpgsql as $run$ begin execute statement; end $run$;
     -- The function of an index must be immutable, and only another one may change something.
     create function ${BUILD}(statement pg_catalog.text) returns pg_catalog.int4 language plpgsql immutable as
       $build$ begin perform ${RUN}(statement); return 1; end $build$;
     reset role`,
  );
  await client.query(`insert into ${STATEMENT} values ($1)`, [statement]);
  await client.query(`create index on ${STATEMENT} (${BUILD}(statement))`);
  await client.query(
    `drop table ${STATEMENT}; drop function ${BUILD}(pg_catalog.text); drop function ${RUN}(pg_catalog.text)`,
  );
}

/** An index, and the first object of a role that is not trusted which its definition uses. */
interface Use extends Named {
  readonly table: string;
  readonly ownerIsTrusted: boolean;
  /** Type and identity. Null: all that it uses is trusted. */
  readonly object: string | null;
  readonly objectOwner: string | null;
}

async function readUses(client: Client, indexes: readonly Named[]): Promise<Use[]> {
  const { rows } = await client.query<Use>(
    `select n.nspname as schema, c.relname as name, t.relname as "table", ${isTrustedRole('c.relowner', '$3')} as "ownerIsTrusted",
            used.object, used.owner as "objectOwner"
       from rows from (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.text[])) as w (schema, name)
       join pg_catalog.pg_namespace n on n.nspname = w.schema::pg_catalog.name
       join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = w.name::pg_catalog.name
       join pg_catalog.pg_index i on i.indexrelid = c.oid
       join pg_catalog.pg_class t on t.oid = i.indrelid
       left join lateral (
         select pg_catalog.pg_describe_object(d.refclassid, d.refobjid, 0) as object, pg_catalog.pg_get_userbyid(o.owner) as owner
           from pg_catalog.pg_depend d
          cross join lateral (
            select p.proowner as owner from pg_catalog.pg_proc p
             where d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass and p.oid = d.refobjid
             union all
            select o.oprowner from pg_catalog.pg_operator o
             where d.refclassid = 'pg_catalog.pg_operator'::pg_catalog.regclass and o.oid = d.refobjid
             union all
            select p.proowner from pg_catalog.pg_operator o join pg_catalog.pg_proc p on p.oid = o.oprcode
             where d.refclassid = 'pg_catalog.pg_operator'::pg_catalog.regclass and o.oid = d.refobjid
             union all
            select t.typowner from pg_catalog.pg_type t
             where d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass and t.oid = d.refobjid
          ) o
          where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and not ${isTrustedRole('o.owner', '$3')}
          order by 1
          limit 1) used on true`,
    [indexes.map((one) => one.schema), indexes.map((one) => one.name), trustedRolesOf(client)],
  );
  return rows;
}

function describe(use: Use, obstacle: string | null): string {
  const how =
    obstacle === null
      ? 'give that object to a role that is trusted, or remove it from the definition'
      : obstacle;
  return visible(
    `Index ${indexId(use)} is not attached: it uses the ${use.object}, which belongs to ${quoted(use.objectOwner ?? '')}. ` +
      `PostgreSQL would run that with the rights of the deploy role. To change that: ${how}`,
  );
}

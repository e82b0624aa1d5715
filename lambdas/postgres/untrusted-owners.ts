import type { Client } from './client.ts';
import { isTrustedRole } from './trusted-roles.ts';

/**
 * The roles that are not trusted and own functions or domains. PostgreSQL runs immutable and stable functions when it plans a query,
 * and the checks of domains when it reads values, with the rights of the role that plans.
 * @param trustedRoles see `Database.trustedRoles`
 */
export async function untrustedOwnersOfCode(
  client: Client,
  trustedRoles: readonly string[],
): Promise<string[]> {
  const { rows } = await client.query<{ owner: string }>(
    `select pg_catalog.pg_get_userbyid(o.owner) as owner
       from (select p.proowner as owner from pg_catalog.pg_proc p
              union
             select t.typowner from pg_catalog.pg_type t where t.typtype = 'd'::pg_catalog."char") o
      where not ${isTrustedRole('o.owner', '$1')}
      order by 1`,
    [trustedRoles],
  );
  return rows.map(({ owner }) => owner);
}

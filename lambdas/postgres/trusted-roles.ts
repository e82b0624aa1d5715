/*
 * Roles that already have the rights of the deploy role, or that the configuration trusts with them. Code and locks of every
 * other role are treated as those of an attacker.
 */

/**
 * Whether one role can act as another: it is the same role, inherits its rights, can SET ROLE to it, or can grant it to
 * itself. Before version 16 every member can SET ROLE.
 */
const canActAs = (member: string, role: string): string =>
  `pg_catalog.pg_has_role(${member}, ${role},
     case when pg_catalog.current_setting('server_version_num')::pg_catalog.int4 operator(pg_catalog.>=) 160000
          then 'usage, set, member with admin option' else 'member' end)`;

/** Whether a row of pg_roles can act as the deploy role, or is configured. Superusers can act as every role. */
const hasDeployRights = (alias: string, names: string): string =>
  `(${canActAs(`${alias}.oid`, 'current_user')} or ${alias}.rolname operator(pg_catalog.=) any (${names}::pg_catalog.text[]))`;

/**
 * SQL that is true for a trusted role, and false for every other role, for PUBLIC (oid 0) and for a role that was dropped.
 * Trusted are:
 * - superusers;
 * - the deploy role (`current_user`), and roles that can act as it because they are members of it;
 * - the roles that the configuration names (`database.trustedRoles`);
 * - roles, such as a group that owns the tables, as which only these can act: no other role that can log in is a member.
 *
 * Use it before SET ROLE: it takes `current_user` for the deploy role. It is qualified, so it can be used with any search path.
 * @param role expression of type oid
 * @param names expression of type text[]: a parameter with `Database.trustedRoles`
 */
export function isTrustedRole(role: string, names: string): string {
  return `exists (
    select from pg_catalog.pg_roles trusted_role
     where trusted_role.oid operator(pg_catalog.=) ${role}
       and (${hasDeployRights('trusted_role', names)}
            or not exists (
              select from pg_catalog.pg_roles acting_role
               where acting_role.rolcanlogin
                 and not ${hasDeployRights('acting_role', names)}
                 and ${canActAs('acting_role.oid', 'trusted_role.oid')})))`;
}

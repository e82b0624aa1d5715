import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { databaseOf, withClient } from '../../lambdas/postgres/client.ts';
import { isTrustedRole } from '../../lambdas/postgres/trusted-roles.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../lib/local/embedded-postgres.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { MAJORS } from '../support/servers.ts';

describe.each(MAJORS)('on PostgreSQL %i', (major) => {
  let server: EmbeddedPostgres;
  let database: TestDatabase;

  /** The names of the roles of this test that are trusted. */
  const trusted = async (...trustedRoles: string[]) => {
    const url = new URL(database.url);
    url.username = 'deploy';
    url.password = 'deploy';
    const variables = { DATABASE_URL: url.href, TRUSTED_ROLES: trustedRoles };
    const roles = databaseOf(variables);
    return await withClient(roles, 'test', async (client) => {
      const { rows } = await client.query<{ name: string }>(
        `select rolname as name from pg_roles
          where rolname not like 'pg\\_%' and ${isTrustedRole('pg_roles.oid', '$1')} order by 1`,
        [roles.trustedRoles],
      );
      return rows.map(({ name }) => name);
    });
  };

  beforeAll(async () => {
    server = await startEmbeddedPostgres({ major, settings: { fsync: 'off' } });
    database = await createDatabase({ adminUrl: server.url() });
    await database.query(
      `create role deploy login password 'deploy' createrole;
       create role app login; create role root login superuser;
       create role operator login noinherit; grant deploy to operator;
       create role team; grant deploy to team; create role of_team login; grant team to of_team;
       create role owner_of_tables; grant owner_of_tables to deploy;
       create role owner_with_app; grant owner_with_app to deploy, app;
       create role owner_through_group; create role readers; grant owner_through_group to readers; grant readers to app;
       create role "Schema Owner" login`,
    );
  });
  afterAll(async () => {
    await server?.stop('immediate');
  });

  test('superusers, the deploy role, its members, and roles as which only they can act are trusted', async () => {
    expect(await trusted()).toEqual(
      ['deploy', 'of_team', 'operator', 'owner_of_tables', 'postgres', 'root', 'team'].toSorted(),
    );
  });

  test('a configured role is trusted, and a name that no role has changes nothing', async () => {
    expect(await trusted('Schema Owner', 'owner_with_app', 'schema owner', "' or true --")).toEqual(
      [
        ...['Schema Owner', 'deploy', 'of_team', 'operator', 'owner_of_tables', 'owner_with_app'],
        ...['postgres', 'root', 'team'],
      ].toSorted(),
    );
  });

  test('PUBLIC and a dropped role are not trusted', async () => {
    const rows = await database.query(
      `select ${isTrustedRole('0::oid', '$1')} as public, ${isTrustedRole('999999::oid', '$1')} as dropped`,
      [['public', '']],
    );
    expect(rows).toEqual([{ public: false, dropped: false }]);
  });

  // Memberships have these options from version 16 on.
  const testOptions = major >= 16 ? test : undefined;
  testOptions?.('a member that can neither use nor grant the deploy role is not trusted', async () => {
    await database.query(
      `create role listed login; grant deploy to listed with inherit false, set false;
       create role admin login; grant deploy to admin with inherit false, set false, admin true`,
    );
    const names = await trusted();
    expect(names).toContain('admin');
    expect(names).not.toContain('listed');
  });

  test('the database owner is trusted only if that role is', async () => {
    const check = `select ${isTrustedRole("'pg_database_owner'::regrole", '$1')} as trusted`;
    expect(await database.query(check, [[]])).toEqual([{ trusted: true }]);
    await database.query(`alter database ${database.name} owner to app`);
    expect(await database.query(check, [[]])).toEqual([{ trusted: false }]);
  });
});

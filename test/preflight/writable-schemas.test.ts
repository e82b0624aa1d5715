import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../lib/local/embedded-postgres.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { openPreflight } from '../support/open-preflight.ts';
import { MAJORS } from '../support/servers.ts';
import { openTestWorkflow } from '../support/workflow.ts';

const ADVICE =
  'If you trust a role with the rights of the deploy role, name it in database.trustedRoles or --trusted-role.';

describe.each(MAJORS)('on PostgreSQL %i', (major) => {
  let server: EmbeddedPostgres;
  let database: TestDatabase;

  const deployRole = () => new URL(database.deployUrl).username;
  const risk = () =>
    `A function or an operator that they create there can run with the rights of the deploy role "${deployRole()}", when a migration or an ` +
    'index definition calls one of that name. As a superuser, or as the owner, run:';

  /** The warnings of a plan. */
  async function warnings(configuration: { searchPath?: string[]; trustedRoles?: string[] } = {}) {
    const { searchPath, trustedRoles } = configuration;
    const variables = {
      DATABASE_URL: database.deployUrl,
      SEARCH_PATH: searchPath,
      TRUSTED_ROLES: trustedRoles,
    };
    const { preflight } = await openPreflight(variables, []);
    return (await preflight({ mode: 'plan' })).warnings;
  }

  beforeAll(async () => {
    server = await startEmbeddedPostgres({ major, settings: { fsync: 'off' } });
    database = await createDatabase({ adminUrl: server.url() });
    await database.query(
      `create role app login; create role "Batch Jobs";
       grant "Batch Jobs" to app`,
    );
    await database.drop();
  });
  afterAll(async () => {
    await server?.stop('immediate');
  });
  beforeEach(async () => {
    database = await createDatabase({ adminUrl: server.url() });
  });
  afterEach(async () => {
    await database.drop();
  });

  test('a schema of the search path that only trusted roles can write causes no warning', async () => {
    await database.query(
      `create role team; grant ${deployRole()} to team; create role owner_of_tables; grant owner_of_tables to ${deployRole()};
       create schema shop authorization owner_of_tables; grant create on schema shop, public to ${deployRole()}, team;
       create schema elsewhere; grant create on schema elsewhere to app, public`,
    );
    expect(await warnings({ searchPath: ['shop', 'public', 'missing'] })).toEqual([]);

    // The owner of the database can drop every schema, and owns public from version 15 on.
    await database.query(`alter database ${database.name} owner to app; alter schema public owner to app`);
    expect(await warnings()).toEqual([]);
    await database.query(
      'drop schema shop; drop owned by team, owner_of_tables; drop role team, owner_of_tables',
    );
  });

  test('PUBLIC and other roles that can create in a schema are named once, with the statement that changes it', async () => {
    await database.query('grant create on schema public to public, app, "Batch Jobs"');

    const expected = [
      `PUBLIC (every role), "Batch Jobs", "app" can create objects in the schema "public", which is in the search path of the deploy. ${risk()} ` +
        `REVOKE CREATE ON SCHEMA "public" FROM PUBLIC, "Batch Jobs", "app"; ${ADVICE}`,
    ];
    expect(await warnings({ searchPath: ['public', 'pg_catalog', 'public'] })).toEqual(expected);
    const workflow = await openTestWorkflow({
      ...{ databaseUrl: database.deployUrl, services: 'none', indexes: [] },
      builds: { searchPath: ['public'] },
    });
    try {
      const plan = await workflow.deploy({ mode: 'plan' });
      const deploy = await workflow.deploy();

      expect(plan.report.warnings).toEqual(expected);
      expect(deploy.report.warnings).toEqual([
        ...expected,
        'Nothing to do: no migration is pending and every requested index is valid. Services were not stopped.',
      ]);
    } finally {
      await workflow.close();
    }

    const [statement = ''] = /REVOKE .*?;/.exec(expected[0] ?? '') ?? [];
    await database.query(statement);
    expect(await warnings()).toEqual([]);
  });

  test('a configured role is trusted, but not a role of another name', async () => {
    await database.query('grant create on schema public to app, "Batch Jobs"');

    expect(await warnings({ trustedRoles: ['Batch Jobs'] })).toEqual([
      expect.stringContaining('"app" can create objects in the schema "public"'),
    ]);
    expect(await warnings({ trustedRoles: ['app', 'Batch Jobs', 'App', 'x\u001b[31m'] })).toEqual([
      'database.trustedRoles or --trusted-role names "App", "x\\u001b[31m", but the server has no such role. Correct the name, which is ' +
        'case-sensitive, or remove it.',
    ]);
  });

  test('the owner of a schema can create in it, also without the privilege', async () => {
    await database.query('create schema app authorization app; revoke all on schema app from app');

    const [warning, ...others] = await warnings({ searchPath: ['app'] });
    expect(warning).toBe(
      `"app" can create objects in the schema "app", which is in the search path of the deploy. ${risk()} ALTER SCHEMA "app" OWNER TO "${deployRole()}"; ${ADVICE}`,
    );
    expect(others).toEqual([]);
    await database.query(`ALTER SCHEMA "app" OWNER TO "${deployRole()}";`);
    expect(await warnings({ searchPath: ['app'] })).toEqual([]);
  });

  test('a schema of the search path that such a role could create is named, as "$user" of the role', async () => {
    await database.query(`grant create on database ${database.name} to app`);

    expect(await warnings()).toEqual([
      `The search path of the deploy names the schema "${deployRole()}", which does not exist, and "app" can create it. ` +
        `${risk()} REVOKE CREATE ON DATABASE "${database.name}" FROM "app"; ${ADVICE}`,
    ]);
    await database.query(`create schema authorization ${deployRole()}`);
    expect(await warnings()).toEqual([]);
  });

  test('the search path of the role counts, if the environment has none', async () => {
    await database.query(
      `create schema "Odd ""Name"; grant create on schema "Odd ""Name" to app;
       alter role ${deployRole()} in database ${database.name} set search_path = "Odd ""Name"`,
    );
    const [warning] = await warnings();
    expect(warning).toContain('"app" can create objects in the schema "Odd \\"Name"');
    expect(warning).toContain('REVOKE CREATE ON SCHEMA "Odd ""Name" FROM "app";');
    expect(await warnings({ searchPath: ['public'] })).toEqual([]);
  });

  test('a long list of roles and schemas is shortened', async () => {
    const roles = Array.from({ length: 8 }, (_, at) => `many_${at}`);
    const schemas = Array.from({ length: 9 }, (_, at) => `schema_${at}`);
    await database.query(roles.map((role) => `create role ${role} login`).join('; '));
    await database.query(
      schemas
        .map((name) => `create schema ${name}; grant create on schema ${name} to ${roles.join(', ')}`)
        .join('; '),
    );
    const all = await warnings({ searchPath: schemas });

    expect(all).toHaveLength(6);
    expect(all[0]).toContain('"many_0", "many_1", "many_2", "many_3", "many_4" and 3 more can create');
    expect(all[5]).toBe(
      'The same applies to other schemas of the search path: "schema_5", "schema_6", "schema_7", "schema_8". The next plan shows the statements.',
    );
    await database.query(`drop owned by ${roles.join(', ')}; drop role ${roles.join(', ')}`);
  });
});

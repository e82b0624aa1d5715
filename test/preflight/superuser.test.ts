import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openBuilds } from '../support/builds.ts';
import type { TestDatabase } from '../support/database.ts';
import { openPreflight } from '../support/open-preflight.ts';
import { MAJORS, serverOf } from '../support/servers.ts';
import { openTestWorkflow } from '../support/workflow.ts';

const ENTRIES = [
  {
    name: 'by_kind',
    sql: 'create index concurrently if not exists by_kind on "My Shop".events (lower(kind))',
    critical: true,
    description: 'on an expression',
  },
  {
    name: 'by_at',
    sql: 'create index concurrently if not exists by_at on visits (at)',
    description: 'on a partitioned table',
  },
];

const MIGRATIONS = {
  '0001_number':
    'alter table "My Shop".events add column number int; update "My Shop".events set number = 1; create table notes (id int)',
};

describe.each(MAJORS)('on PostgreSQL %i', (major) => {
  const server = serverOf(major);
  let database: TestDatabase;

  beforeEach(async () => {
    database = await server.createDatabase();
    // As in a database that nobody has prepared.
    const roles = `${database.name}_deploy, ${database.name}_owner`;
    await database.query(`drop event trigger test_owner; drop owned by ${roles}; drop role ${roles}`);
    await database.query(
      `create role "${database.name} $script$ \\ it's" nologin;
       create schema "My Shop"; create table "My Shop".events (kind text); create table visits (at int) partition by range (at);
       create table visits_1 partition of visits for values from (0) to (10);
       create table others (id int); alter table others owner to "${database.name} $script$ \\ it's"`,
    );
  });
  afterEach(async () => {
    await database.query(
      `drop owned by "${database.name} $script$ \\ it's" cascade; drop role "${database.name} $script$ \\ it's"`,
    );
    await database.drop();
  });

  function as(role: string, password: string): string {
    const url = new URL(database.url);
    url.username = encodeURIComponent(role);
    url.password = password;
    return url.href;
  }

  /** The SQL below the headline. */
  const scriptOf = (warning = '') => warning.slice(warning.indexOf('\n\n') + 2);

  test('a superuser is warned of, and the SQL of the warning creates a role that deploys without a warning', async () => {
    const first = await openTestWorkflow({
      databaseUrl: database.url,
      asSuperuser: true,
      services: 'none',
      indexes: ENTRIES,
      migrations: MIGRATIONS,
    });
    const { status, report } = await first.deploy();
    await first.close();

    expect(status).toBe('SUCCEEDED');
    expect(report.warnings).toEqual([
      expect.stringMatching(
        /^The deploy role "postgres" is a superuser, but a deploy needs far fewer rights\./,
      ),
    ]);
    const script = scriptOf(report.warnings[0]);
    await database.query(script);
    const role = `${database.name}_deploy`;
    await database.query(`alter role ${role} password 'x'`);
    // Run again, it changes nothing.
    await database.query(script.replaceAll(/^CREATE ROLE .*$/gm, ''));
    expect(
      await database.query(
        `select rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls as privileged,
                array(select g.rolname::text from pg_auth_members m join pg_roles g on g.oid = m.roleid where m.member = r.oid order by 1) as member
           from pg_roles r where rolname = $1`,
        [role],
      ),
    ).toEqual([{ privileged: false, member: ['pg_read_all_stats', `${database.name}_owner`] }]);

    await database.query('drop index "My Shop".by_kind; drop index by_at');
    const second = await openTestWorkflow({
      databaseUrl: as(role, 'x'),
      services: 'none',
      indexes: ENTRIES,
      migrations: {
        ...MIGRATIONS,
        '0002_more': 'alter table visits add column note text; create table more (id int)',
      },
    });
    const next = await second.deploy();
    await second.close();

    expect(next.cause).toBeUndefined();
    expect(next.report).toMatchObject({
      warnings: [],
      migrations: { applied: ['0002_more'], pending: [] },
      indexes: [{ status: 'built' }, { status: 'built' }],
    });
    // Tables of other roles keep their owner.
    expect(
      await database.query("select tableowner = $1 as kept from pg_tables where tablename = 'others'", [
        `${database.name} $script$ \\ it's`,
      ]),
    ).toEqual([{ kept: true }]);
  });

  test('a plan warns too, and a role that can become a superuser is warned of like one', async () => {
    const role = `${database.name}_deploy`;
    await database.query(`create role ${role} login password 'x'; grant postgres to ${role}`);
    const { preflight } = await openPreflight(as(role, 'x'), ENTRIES);

    const plan = await preflight({ mode: 'plan' });

    expect(plan.decision).toBe('plan');
    expect(plan.warnings).toEqual([
      expect.stringContaining(
        `The deploy role "${role}" can become a superuser, but a deploy needs far fewer rights.`,
      ),
    ]);
    await database.query(scriptOf(plan.warnings[0]));
    expect(await preflight({ mode: 'plan' })).toMatchObject({ warnings: [] });
    expect(await preflight()).toMatchObject({ decision: 'deploy', refusal: null });
    const builds = await openBuilds(as(role, 'x'), ENTRIES);
    expect(Object.values(await builds.deploy('first')).map(({ status }) => status)).toEqual([
      'built',
      'built',
    ]);
  });
});

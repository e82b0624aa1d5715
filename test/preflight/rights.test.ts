import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { databaseOf, withClient } from '../../lambdas/postgres/client.ts';
import { ensureLedger } from '../../lambdas/postgres/ledger.ts';
import { openBuilds } from '../support/builds.ts';
import type { TestDatabase } from '../support/database.ts';
import { writeMigrations } from '../support/migration-files.ts';
import { openPreflight } from '../support/open-preflight.ts';
import { MAJORS, serverOf } from '../support/servers.ts';

const ENTRY = {
  name: 'by_kind',
  sql: 'create index concurrently if not exists by_kind on shop.events (kind)',
};

/** What the role does not have, the SQL that takes it away, and the statements that the refusal shows. */
const MISSING: [
  privilege: string,
  revoke: (role: string, owner: string) => string,
  fixes: (role: string, owner: string) => string[],
][] = [
  [
    'does not own the table',
    (_role, owner) => `alter table shop.events owner to ${owner}`,
    (role, owner) => [`GRANT "${owner}" TO "${role}";`],
  ],
  [
    'does not own a partition of the table',
    (_role, owner) =>
      `alter table shop.events rename to events_1; create table shop.events (like shop.events_1) partition by list (kind);
       alter table shop.events attach partition shop.events_1 default;
       alter table shop.events owner to ROLE; alter table shop.events_1 owner to ${owner}`,
    (role, owner) => [`GRANT "${owner}" TO "${role}";`],
  ],
  [
    'cannot create objects in the schema',
    () => 'revoke create on schema shop from ROLE',
    (role) => [`GRANT CREATE, USAGE ON SCHEMA "shop" TO "${role}";`],
  ],
  [
    'cannot use the schema',
    () => 'revoke usage on schema shop from ROLE',
    (role) => [`GRANT CREATE, USAGE ON SCHEMA "shop" TO "${role}";`],
  ],
  [
    'cannot create the schema of the ledger',
    () => 'revoke create on database DATABASE from ROLE',
    (role) => [`CREATE SCHEMA deploy_step AUTHORIZATION "${role}";`],
  ],
  [
    'cannot use the schema of the ledger',
    () => 'revoke create on database DATABASE from ROLE; create schema deploy_step',
    (role) => [
      `GRANT ALL ON SCHEMA deploy_step TO "${role}";`,
      `GRANT ALL ON ALL TABLES IN SCHEMA deploy_step TO "${role}";`,
    ],
  ],
  [
    'cannot create the table of the ledger',
    () =>
      'revoke create on database DATABASE from ROLE; create schema deploy_step; grant usage on schema deploy_step to ROLE',
    (role) => [`GRANT CREATE ON SCHEMA deploy_step TO "${role}";`],
  ],
  [
    'cannot write to the table of the ledger',
    () => 'grant usage on schema deploy_step to ROLE; grant select on deploy_step.index_builds to ROLE',
    (role) => [`GRANT SELECT, INSERT, UPDATE ON deploy_step.index_builds TO "${role}";`],
  ],
  [
    'has no privilege at all',
    (_role, owner) =>
      `revoke create on database DATABASE from ROLE; revoke all on schema shop from ROLE; alter table shop.events owner to ${owner}`,
    (role, owner) => [
      `GRANT "${owner}" TO "${role}";`,
      `GRANT CREATE, USAGE ON SCHEMA "shop" TO "${role}";`,
      `CREATE SCHEMA deploy_step AUTHORIZATION "${role}";`,
    ],
  ],
];

describe.each(MAJORS)('on PostgreSQL %i', (major) => {
  const server = serverOf(major);
  let database: TestDatabase;
  let role: string;
  let owner: string;
  let url: string;

  beforeEach(async () => {
    database = await server.createDatabase();
    role = `Deploy ${database.name}`;
    owner = `owner_${database.name}`;
    // It would give the schema of the ledger to another role: see deploy-role.ts.
    await database.query('drop event trigger test_owner');
    await database.query(
      `create role "${role}" login password 'deploy'; create role ${owner};
       grant create on database ${database.name} to "${role}";
       create schema shop; grant usage, create on schema shop to "${role}", ${owner};
       create table shop.events (kind text); alter table shop.events owner to "${role}"`,
    );
    const other = new URL(database.url);
    other.username = encodeURIComponent(role);
    other.password = 'deploy';
    url = other.href;
  });
  afterEach(async () => {
    await database.query(
      `drop owned by "${role}", ${owner} cascade; reassign owned by "${role}", ${owner} to postgres; drop role "${role}", ${owner}`,
    );
    await database.drop();
  });

  async function relations(): Promise<unknown[]> {
    return await database.query('select oid, relname, relowner, relacl::text from pg_class order by oid');
  }

  test.each(MISSING)(
    'a role that %s is refused with the statements that grant the privileges',
    async (privilege, revoke, fixes) => {
      // The deploy of another role has created the ledger.
      if (privilege === 'cannot write to the table of the ledger')
        await withClient(databaseOf({ DATABASE_URL: database.url }), 'ledger', ensureLedger);
      await database.query(
        revoke(role, owner).replaceAll('ROLE', `"${role}"`).replaceAll('DATABASE', database.name),
      );
      const { preflight } = await openPreflight(url, [ENTRY]);
      const before = await relations();

      const answer = await preflight();

      const expected = fixes(role, owner);
      expect(answer.decision).toBe('refused');
      expect(answer.refusal).toBe(
        `The role ${role} does not have the privileges that the deploy needs. Connect as a superuser or as the owner and run: ${expected.join(' ')}`,
      );
      expect(await relations()).toEqual(before);

      // The statements of the refusal are all that is needed.
      await database.query(answer.refusal?.split('run: ')[1] ?? '');
      expect(await preflight()).toMatchObject({ decision: 'deploy', refusal: null });
      const builds = await openBuilds(url, [ENTRY]);
      expect((await builds.deploy('first')).by_kind).toMatchObject({ status: 'built', error: null });
      expect(await preflight()).toMatchObject({ decision: 'nothing' });
    },
  );

  test('tables, columns and schemas that a migration of the same deploy may create are not checked', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-test-'));
    try {
      const entries = [
        { name: 'later', sql: 'create index concurrently if not exists later on shop.not_yet (id)' },
        { name: 'nowhere', sql: 'create index concurrently if not exists nowhere on no_schema.not_yet (id)' },
        { name: 'column', sql: 'create index concurrently if not exists "column" on shop.events (not_yet)' },
      ];
      const migrations = writeMigrations(folder, { '0001_later': 'create table shop.not_yet (id int)' });
      const { preflight } = await openPreflight(url, entries, migrations);

      expect(await preflight()).toMatchObject({ decision: 'deploy', refusal: null });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { databaseOf, withClient } from '../../lambdas/postgres/client.ts';
import { ensureLedger } from '../../lambdas/postgres/ledger.ts';
import { ensureMigrationRecord } from '../../lambdas/postgres/migration-record.ts';
import { readMigrationFacts } from '../../lambdas/report/migration-facts.ts';
import { type AttackedDatabase, useAttackedDatabase } from '../support/attacked-database.ts';
import type { Attacker } from '../support/attacker.ts';
import { openBuilds } from '../support/builds.ts';
import { connect, type TestDatabase } from '../support/database.ts';
import { migrate } from '../support/migrate.ts';
import { writeMigrations } from '../support/migration-files.ts';
import { openPreflight } from '../support/open-preflight.ts';
import { MAJORS } from '../support/servers.ts';
import { waitForRows } from '../support/waits.ts';

/*
 * A relation with the name of the ledger or of the migrations table, or something that another role has added to one of them,
 * must not run code as the deploy role: not in the preflight, and not in the functions that use the tables later.
 */

const ENTRY = {
  name: 'by_kind',
  sql: 'create index concurrently if not exists by_kind on public.events (kind)',
};

const LEDGER = `
  deploy text, item text, attempt int, index_schema text, index_name text, table_name text, status text, backend_pid int,
  backend_start timestamptz, repairs boolean default false, started_at timestamptz default clock_timestamp(), finished_at timestamptz,
  bytes bigint, sqlstate text, message text, blocked_by text, terminated text`;
const HISTORY = 'id serial primary key, name varchar(255) not null, run_on timestamp not null';

type Squat = [what: string, by: 'attacker' | 'deploy role', sql: string, found: RegExp];

/** What the attacker does before the first deploy, or with a table of the deploy role. */
const SQUATS: Squat[] = [
  [
    'a ledger with a trigger',
    'attacker',
    `create schema deploy_step; create table deploy_step.index_builds (${LEDGER}); create trigger t before insert or update on deploy_step.index_builds for each row execute function trap.fire(); grant all on schema deploy_step to public; grant all on deploy_step.index_builds to public`,
    /deploy_step\.index_builds: .*its trigger "t" runs trap\.fire\(\), which belongs to "ROLE"/,
  ],
  [
    'a ledger that is a view',
    'attacker',
    `create schema deploy_step; create view deploy_step.index_builds as select trap.spring('x') as deploy, null::text as item, 1 as attempt, '' as index_schema, '' as index_name, '' as status, 1 as backend_pid, false as repairs, now() as started_at, now() as finished_at, 1 as bytes, '' as sqlstate, '' as message, '' as blocked_by, '' as terminated; grant all on schema deploy_step to public; grant all on deploy_step.index_builds to public`,
    /deploy_step\.index_builds: it is a view, it belongs to "ROLE"/,
  ],
  [
    'a ledger with a rule',
    'attacker',
    `create schema deploy_step; create table deploy_step.index_builds (${LEDGER}); create rule r as on update to deploy_step.index_builds do also select trap.spring('x'); create rule i as on insert to deploy_step.index_builds do also select trap.spring('x'); grant all on schema deploy_step to public; grant all on deploy_step.index_builds to public`,
    /it has the rule "[ri]"/,
  ],
  [
    'a ledger with a policy',
    'attacker',
    `create schema deploy_step; create table deploy_step.index_builds (${LEDGER}); create policy p on deploy_step.index_builds using (trap.holds('x')); alter table deploy_step.index_builds enable row level security; grant all on schema deploy_step to public; grant all on deploy_step.index_builds to public`,
    /it has row-level security \(policies "p"\)/,
  ],
  [
    'a ledger with a partition that is a view of the attacker',
    'attacker',
    `create schema deploy_step; create table deploy_step.index_builds (${LEDGER}) partition by list (deploy); create table deploy_step.part partition of deploy_step.index_builds default; create trigger t before insert on deploy_step.part for each row execute function trap.fire(); grant all on schema deploy_step to public; grant all on deploy_step.index_builds to public`,
    /it is a partitioned table/,
  ],
  [
    'a table of applied migrations with a generated column',
    'attacker',
    `create schema deploy_step; create table deploy_step.applied_migrations (deploy text, name text, evil text generated always as (trap.spring(name)) stored, unique (deploy, name)); grant all on schema deploy_step to public; grant all on deploy_step.applied_migrations to public`,
    /deploy_step\.applied_migrations: it belongs to "ROLE"/,
  ],
  [
    'a schema deploy_step',
    'attacker',
    'create schema deploy_step; grant all on schema deploy_step to public',
    /the schema deploy_step belongs to "ROLE"/,
  ],
  [
    'a migrations table that is a view',
    'attacker',
    `create table trap.real (${HISTORY}); create view public.pgmigrations as select id, trap.spring(name) as name, run_on from trap.real; insert into trap.real (name, run_on) values ('0000_x', now()); grant all on public.pgmigrations to public`,
    /public\.pgmigrations: it is a view, it belongs to "ROLE"/,
  ],
  [
    'a migrations table with a trigger',
    'attacker',
    `create table public.pgmigrations (${HISTORY}); create trigger t before insert on public.pgmigrations for each row execute function trap.fire(); grant all on public.pgmigrations to public; grant all on public.pgmigrations_id_seq to public`,
    /public\.pgmigrations: it belongs to "ROLE", its trigger "t"/,
  ],
  [
    'a migrations table with an expression index',
    'attacker',
    `create table public.pgmigrations (${HISTORY}); create index evil on public.pgmigrations (name) where name <> trap.spring('x'); grant all on public.pgmigrations to public`,
    /public\.pgmigrations: it belongs to "ROLE"/,
  ],
  [
    'a migrations table with a domain',
    'attacker',
    `create domain trap.checked as varchar(255) check (trap.holds(value)); create table public.pgmigrations (id serial primary key, name trap.checked, run_on timestamp); grant all on public.pgmigrations to public; grant all on public.pgmigrations_id_seq to public`,
    /public\.pgmigrations: it belongs to "ROLE"/,
  ],
  [
    'a materialized view',
    'attacker',
    `create materialized view public.pgmigrations as select 1 as id, 'x' as name, now()::timestamp as run_on`,
    /it is a materialized view/,
  ],
  ['a sequence', 'attacker', 'create sequence public.pgmigrations', /it is a sequence/],
  [
    'a trigger on the ledger of the deploy role',
    'deploy role',
    'grant usage on schema deploy_step to ROLE; grant all on deploy_step.index_builds to ROLE; set session authorization ROLE; create trigger t before insert or update on deploy_step.index_builds for each row execute function trap.fire()',
    /its trigger "t" runs trap\.fire\(\)/,
  ],
  [
    'a constraint trigger on the migrations table of the deploy role',
    'deploy role',
    'grant all on public.pgmigrations to ROLE; set session authorization ROLE; create constraint trigger t after insert on public.pgmigrations deferrable initially deferred for each row execute function trap.fire()',
    /its trigger "t" runs/,
  ],
  [
    'a trigger with a condition and a function of a superuser',
    'deploy role',
    "grant all on public.pgmigrations to ROLE; set session authorization ROLE; create trigger t before insert or update on public.pgmigrations for each row when (trap.holds('x')) execute function suppress_redundant_updates_trigger()",
    /its trigger "t" runs trap\.holds/,
  ],
  [
    'a trigger with arguments',
    'deploy role',
    "grant all on public.pgmigrations to ROLE; set session authorization ROLE; create trigger t before insert on public.pgmigrations for each row execute function suppress_redundant_updates_trigger('x')",
    /its trigger "t" has arguments/,
  ],
  [
    'a table that inherits from the migrations table',
    'deploy role',
    'alter table public.pgmigrations owner to ROLE; set session authorization ROLE; create table trap.child () inherits (public.pgmigrations); set session authorization DEPLOY; reset session authorization; alter table public.pgmigrations owner to DEPLOY',
    /"trap"\."child" inherits from "public"\."pgmigrations"/,
  ],
  [
    'a default that calls a function',
    'deploy role',
    "alter table public.pgmigrations add column extra text; alter table public.pgmigrations alter column extra set default trap.spring('x')",
    /default value for column extra of table (public\.)?pgmigrations uses the function trap\.spring\(pg_catalog\.text\), which belongs to "ROLE"/,
  ],
  [
    'a check that uses an operator',
    'deploy role',
    'set session authorization ROLE; create operator trap.=== (leftarg = text, rightarg = text, function = texteq); set session authorization DEPLOY; reset session authorization; alter table public.pgmigrations add check (name::text operator(trap.===) name::text)',
    /uses the operator trap\.===/,
  ],
  [
    'a foreign key of a table of the attacker',
    'deploy role',
    'grant references on public.pgmigrations to ROLE; set session authorization ROLE; create table trap.copy (id int references public.pgmigrations on update cascade)',
    /the foreign key "copy_id_fkey" connects it with a table of "ROLE"/,
  ],
  [
    'the privilege to create objects in deploy_step',
    'deploy role',
    'grant usage, create on schema deploy_step to ROLE',
    /"ROLE" may create objects in the schema deploy_step/,
  ],
  [
    'the privilege of everyone to create objects in deploy_step',
    'deploy role',
    'grant usage, create on schema deploy_step to public',
    /every role may create objects in the schema deploy_step/,
  ],
];

describe.each(MAJORS)('on PostgreSQL %i', (major) => {
  let database: TestDatabase;
  let attacker: Attacker;
  let deployRole: string;
  let urlOf: AttackedDatabase['urlOf'];
  let folder: string;

  useAttackedDatabase(major, async (attacked) => {
    ({ database, attacker, deployRole, urlOf } = attacked);
    await database.query(
      `grant create, usage on schema public to ${deployRole};
       create table public.events (kind text); alter table public.events owner to ${deployRole}`,
    );
  });
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-squat-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  /** The tables as an earlier deploy has created them. */
  async function createTables(): Promise<void> {
    await withClient(databaseOf({ DATABASE_URL: urlOf('least privilege') }), 'test', async (client) => {
      await ensureLedger(client);
      await ensureMigrationRecord(client);
      await client.query(`create table public.pgmigrations (${HISTORY})`);
    });
  }

  async function squat(by: Squat[1], sql: string): Promise<void> {
    const named = sql.replaceAll('ROLE', attacker.role).replaceAll('DEPLOY', deployRole);
    if (by === 'attacker') return await attacker.run(named);
    await createTables();
    await database.query(named);
  }

  const MIGRATIONS = { '0001_a': 'create table public.a ();' };

  describe.each(['superuser', 'least privilege'] as const)('as %s', (role) => {
    test.each(SQUATS)(
      '%s is refused by the preflight, and no function runs its code',
      async (_what, by, sql, found) => {
        await squat(by, sql);
        const files = writeMigrations(folder, MIGRATIONS);
        const { preflight } = await openPreflight(urlOf(role), [ENTRY], files);
        const builds = await openBuilds(urlOf(role), [ENTRY]);

        const answers = [
          await preflight({ mode: 'plan' }),
          await preflight({ mode: 'indexes' }),
          await preflight({ mode: 'deploy' }),
        ];
        // A table can be squatted after the preflight, so the other functions check again.
        await builds.deploy('first').catch(() => {});
        await builds.build('second', 'by_kind').catch(() => {});
        await builds.settle('third', 'by_kind', new Error('x')).catch(() => {});
        await withClient(databaseOf({ DATABASE_URL: urlOf(role) }), 'test', (client) =>
          readMigrationFacts(client, 'first', files),
        ).catch(() => {});
        await migrate({ databaseUrl: urlOf(role), folder, migrations: MIGRATIONS, deploy: 'first' }).catch(
          () => {},
        );

        const expected = new RegExp(found.source.replaceAll('ROLE', attacker.role));
        for (const answer of answers) {
          expect(answer.decision).toBe('refused');
          expect(answer.refusal).toMatch(expected);
        }
        expect((await attacker.traces()).other).toBe(false);
      },
    );
  });

  test('the statements of the refusal are all that is needed', async () => {
    await squat(
      'deploy role',
      `grant all on public.pgmigrations, deploy_step.index_builds to ROLE; grant all on schema deploy_step to ROLE;
       alter table deploy_step.applied_migrations owner to ROLE;
       create policy p on deploy_step.index_builds using (true); create rule r as on insert to public.pgmigrations do also select 1;
       set session authorization ROLE;
       create trigger "T ""x" before insert on public.pgmigrations for each row execute function trap.fire();
       create table trap.copy (id int references public.pgmigrations)`,
    );
    const files = writeMigrations(folder, MIGRATIONS);
    const { preflight } = await openPreflight(urlOf('least privilege'), [ENTRY], files);

    const { refusal } = await preflight();
    await database.query(refusal?.split('and run: ')[1] ?? '');

    expect(await preflight()).toMatchObject({ decision: 'deploy', refusal: null });
  });

  test('tables of the deploy role with triggers, columns and defaults of trusted roles are used', async () => {
    await createTables();
    await database.query(
      `create table public.audit (line text); create function public.audit() returns trigger language plpgsql security definer as
         $$ begin insert into public.audit values (tg_table_name); return new; end $$;
       create trigger audit before insert on public.pgmigrations for each row execute function public.audit();
       create trigger audit before insert on deploy_step.index_builds for each row execute function public.audit();
       alter table deploy_step.index_builds add column cost int default length('x') check (cost > 0);
       grant all on public.pgmigrations to ROLE; grant select on deploy_step.index_builds to ROLE; grant usage on schema deploy_step to ROLE`.replaceAll(
        'ROLE',
        attacker.role,
      ),
    );
    const files = writeMigrations(folder, MIGRATIONS);
    const { preflight } = await openPreflight(urlOf('least privilege'), [ENTRY], files);
    const builds = await openBuilds(urlOf('least privilege'), [ENTRY]);

    expect(await preflight()).toMatchObject({ decision: 'deploy', refusal: null });
    expect(
      await migrate({
        databaseUrl: urlOf('least privilege'),
        folder,
        migrations: MIGRATIONS,
        deploy: 'first',
      }),
    ).toMatchObject({ status: 'applied', applied: ['0001_a'] });
    expect((await builds.deploy('first')).by_kind).toMatchObject({ status: 'built' });
    expect(await database.query('select distinct line from public.audit order by 1')).toEqual([
      { line: 'index_builds' },
      { line: 'pgmigrations' },
    ]);
  });

  test('a table of scans of another role is not used, and the deploy does not need it', async () => {
    await createTables();
    const builds = await openBuilds(urlOf('least privilege'), [ENTRY]);
    await database.query(
      `create table deploy_step.index_scans (index_schema text, index_name text, index_oid oid, scans bigint, statistics_since timestamptz,
         first_seen_at timestamptz, unchanged_since timestamptz, primary key (index_schema, index_name));
       grant usage on schema deploy_step to ROLE; alter table deploy_step.index_scans owner to ROLE; set session authorization ROLE;
       create trigger t before insert on deploy_step.index_scans for each row execute function trap.fire();
       grant all on deploy_step.index_scans to public`.replaceAll('ROLE', attacker.role),
    );

    expect((await builds.deploy('first')).by_kind).toMatchObject({ status: 'built' });
    expect((await attacker.traces()).other).toBe(false);
    expect(builds.log.join('\n')).toContain('The number of scans of the indexes could not be recorded');

    await database.query('drop table deploy_step.index_scans');
    await builds.deploy('second');
    expect(await database.query('select index_name from deploy_step.index_scans')).toContainEqual({
      index_name: 'by_kind',
    });
  });

  test('the owner of the schema cannot replace the migrations table while the migrations run', async () => {
    await database.query(
      `create table public.gate (); alter schema public owner to ${attacker.role};
       grant create, usage on schema public to public`,
    );
    await attacker.run(
      `create table trap.real (${HISTORY}); grant all on trap.real, trap.real_id_seq to public;
       create view trap.pgmigrations as select id, trap.spring(name)::varchar as name, run_on from trap.real;
       create trigger t instead of insert on trap.pgmigrations for each row execute function trap.fire(); grant all on trap.pgmigrations to public`,
    );
    const gate = await connect(database.url);
    await gate.query('begin; lock table public.gate');
    const migrations = { '0001_a': 'lock table public.gate; create table public.a ();' };
    const running = migrate({ databaseUrl: urlOf('superuser'), folder, migrations, deploy: 'first' });
    running.catch(() => {});
    await waitForRows(
      database,
      "select from pg_stat_activity where datname = current_database() and application_name = 'pg-deploy-step migrate' and wait_event_type = 'Lock'",
    );
    const attempts = [
      'drop table public.pgmigrations cascade',
      'alter schema public rename to old; create schema public; alter view trap.pgmigrations set schema public',
    ];
    for (const sql of attempts) {
      await expect(attacker.run(`set lock_timeout = '200ms'; ${sql}`)).rejects.toMatchObject({
        code: '55P03',
      });
    }
    await gate.end();

    expect(await running).toMatchObject({ status: 'applied', applied: ['0001_a'] });
    expect((await attacker.traces()).other).toBe(false);
  });

  test('a deploy role that cannot hold a schema of another role is refused', async () => {
    await database.query(`alter schema public owner to ${attacker.role}`);
    const files = writeMigrations(folder, MIGRATIONS);
    const { preflight } = await openPreflight(urlOf('least privilege'), [ENTRY], files);

    const { decision, refusal } = await preflight();

    expect(decision).toBe('refused');
    expect(refusal).toContain(
      `public.pgmigrations: the schema public belongs to "${attacker.role}", which can replace it at any time.`,
    );
    expect(refusal).toContain(`ALTER SCHEMA "public" OWNER TO "${deployRole}";`);
  });

  test('a role that the configuration trusts may own the tables', async () => {
    await createTables();
    await database.query(
      `alter table public.pgmigrations owner to ${attacker.role}; grant all on public.pgmigrations to ${deployRole}`,
    );
    const url = urlOf('least privilege');
    const files = writeMigrations(folder, MIGRATIONS);
    const read = async (trustedRoles: string[]) =>
      await withClient(databaseOf({ DATABASE_URL: url, TRUSTED_ROLES: trustedRoles }), 'test', (client) =>
        readMigrationFacts(client, 'first', files),
      );

    await expect(read([])).rejects.toMatchObject({ name: 'Refused' });
    expect(await read([attacker.role])).toMatchObject({ pending: ['0001_a'] });
  });
});

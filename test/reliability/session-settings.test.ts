import { expect, test } from 'vitest';
import { databaseOf, withClient } from '../../lambdas/postgres/client.ts';
import { PINNED_SETTINGS, SETTINGS_LEFT_ALONE } from '../../lambdas/postgres/session-settings.ts';
import { hasEndedSession, isConnectionError, toDeployStepError } from '../../lambdas/postgres/sqlstate.ts';
import { importDatabase } from '../../lib/import/import-database.ts';
import { connect, type TestDatabase } from '../support/database.ts';
import { expectNoLeftovers } from '../support/leftovers.ts';
import { onEachMajor, serverOf } from '../support/servers.ts';
import { waitForBuildPhase, waitForRows } from '../support/waits.ts';
import { openTestWorkflow, type TestWorkflow } from '../support/workflow.ts';

/** Another value than the pinned one, which would end a statement of a deploy or change its result. */
const HOSTILE: Record<keyof typeof PINNED_SETTINGS, string> = {
  statement_timeout: '1s',
  lock_timeout: '1s',
  transaction_timeout: '1s',
  idle_in_transaction_session_timeout: '1s',
  idle_session_timeout: '1s',
  client_connection_check_interval: '1s',
  exit_on_error: 'on',
  restrict_nonsystem_relation_kind: 'view',
  array_nulls: 'off',
  backslash_quote: 'off',
  bytea_output: 'escape',
  check_function_bodies: 'off',
  client_encoding: 'LATIN1',
  DateStyle: 'SQL, DMY',
  default_transaction_deferrable: 'on',
  default_transaction_isolation: 'serializable',
  extra_float_digits: '-15',
  gin_fuzzy_search_limit: '1',
  IntervalStyle: 'sql_standard',
  'plpgsql.check_asserts': 'off',
  'plpgsql.extra_errors': 'all',
  'plpgsql.print_strict_params': 'on',
  quote_all_identifiers: 'on',
  row_security: 'off',
  search_path: 'pg_temp, public',
  standard_conforming_strings: 'off',
  TimeZone: 'Asia/Kolkata',
  timezone_abbreviations: 'India',
  transform_null_equals: 'on',
  xmlbinary: 'hex',
  xmloption: 'document',
};

/** These are left alone, but may not change the result of a deploy either. */
const UNUSUAL = {
  synchronous_commit: 'off',
  client_min_messages: 'error',
  default_text_search_config: 'pg_catalog.german',
  default_toast_compression: 'pglz',
  enable_seqscan: 'off',
  plan_cache_mode: 'force_generic_plan',
  work_mem: '64kB',
};

const INDEXES = [
  "on_day on events (day) where day < date '2026-02-01'",
  "on_moment on events (moment) where moment < '2026-02-01 00:00:00'",
  "on_took on events (took) where took > interval '1 day -2 hours'",
  "on_bytes on events (bytes) where bytes <> '\\x00ff'::bytea",
  'on_score on events (score) where score < 0.1::float8 + 0.2::float8',
  "on_path on events (path) where path <> 'C:\\temp'",
  'on_missing on events ((path = null))',
  "on_tags on events using gin (tags) where tags <> '{NULL,b}'::text[]",
  'on_upper on events (upper("Path"))',
].map((definition) => ({
  name: definition.slice(0, definition.indexOf(' ')),
  sql: `create index concurrently if not exists ${definition}`,
  description: 'with a literal that a setting changes',
}));

const MIGRATIONS = {
  '0001_events': `create table events (id int primary key, day date, moment timestamptz, took interval, bytes bytea,
    score float8, path text, "Path" text, tags text[], shown text);
    create index gin_tags on events using gin (tags);
    alter table events enable row level security;
    alter table events force row level security;
    create policy everything on events using (id < 100000);
    create view recent as select * from events;`,
  '0002_literals': `insert into events
    values (1, '01/02/2026', '2026-01-02 03:04:05', '-1 2:03:04', '\\x00ff', 0.1::float8 + 0.2::float8, 'C:\\temp', 'it''s', '{a,NULL}'),
           (2, '03/04/2026', '2026-03-04 10:00 IST', 'P1Y2M', 'abc', 1e-7, 'a\\\\b', null, '{NULL,b}');
    update events set shown = concat_ws('|', day, moment, took, bytes, score, path = null, to_char(moment, 'HH24:MI'))
     where id in (select id from recent);
    insert into events (id, tags) select n, array['x'] from generate_series(3, 2000) n;
    set local enable_seqscan = off;
    update events set path = 'found' where tags @> array['x'];`,
  '0003_functions': `create function half(n int) returns int language plpgsql as $$
      declare n int := 5; begin return n; end $$;
    do $$ begin assert 1 = 1; begin assert false; exception when assert_failure then
      insert into events (id, path) values (99997, 'asserted'); end; end $$;
    insert into events (id, path) select 100000 - 1, half(10)::text;
    do $$ begin
      perform 1 / 0;
    exception when division_by_zero then
      insert into events (id, path) values (99998, 'after an error');
    end $$;`,
};

onEachMajor('settings of a role that end statements or change results', (major) => {
  const server = serverOf(major);

  /** A database with a role that has these settings, as far as the server has them. */
  async function openRole(settings: Record<string, string>) {
    const database = await server.createDatabase();
    const role = `role_of_${database.name}`;
    await database.query(
      `create role ${role} login password 'role'; grant create on database ${database.name} to ${role};
       grant create on schema public to ${role};
       revoke create on schema public from ${database.name}_deploy, ${database.name}_owner;
       revoke create on database ${database.name} from ${database.name}_deploy`,
    );
    const known = new Set((await database.query('select name from pg_settings')).map(({ name }) => name));
    for (const [name, value] of Object.entries(settings)) {
      if (known.has(name) || name.includes('.'))
        await database.query(
          `alter role ${role} set ${name} to ${name === 'search_path' ? value : `'${value}'`}`,
        );
    }
    return {
      database,
      url: Object.assign(new URL(database.url), { username: role, password: 'role' }).href,
      drop: async () => {
        await expectNoLeftovers(async (sql) => await database.query(sql));
        await database.query(`drop owned by ${role} cascade; drop role ${role}`);
        await database.drop();
      },
    };
  }

  async function openDeploy(url: string, migrations: Record<string, string> = {}) {
    return await openTestWorkflow({ databaseUrl: url, services: 'none', indexes: INDEXES, migrations });
  }

  /** Everything that two deploys, the second of which has nothing to do, show and leave in the database. */
  async function resultOf(settings: Record<string, string>) {
    const { database, url, drop } = await openRole(settings);
    const workflow = await openDeploy(url, MIGRATIONS);
    try {
      const deploys = [
        await workflow.deploy(),
        await workflow.deploy(),
        await workflow.deploy({ mode: 'plan' }),
      ];
      expect(deploys[0]?.cause).toBeUndefined();
      return {
        deploys: deploys.map(({ status, report }) => ({
          status,
          migrations: report.migrations,
          indexes: report.indexes.map(({ name, status: index, attempts, error, detail, durationMs }) => ({
            ...{ name, index, attempts, error, detail, took: typeof durationMs },
          })),
          // One of the settings is the search path, which a warning shows.
          warnings: report.warnings.map((text) =>
            text.replace(/search path .* \(of the role\)/, 'search path (of the role)'),
          ),
        })),
        imported: (await importDatabase(url)).entries,
        rows: await database.query(
          "select count(*), md5(string_agg(e::text, ',' order by id)), (array_agg(e::text order by id))[1:2] from events e",
        ),
        indexes: await database.query(
          "select indexdef from pg_indexes where schemaname = 'public' order by 1",
        ),
        functions: await database.query(
          "select prosrc from pg_proc where pronamespace = 'public'::regnamespace",
        ),
      };
    } finally {
      await workflow.close();
      await drop();
    }
  }

  test('change nothing: neither the plan, nor the migrations, nor the definitions, nor the report', async () => {
    const expected = await resultOf({});

    expect(expected.deploys.map((one) => one.status)).toEqual(['SUCCEEDED', 'SUCCEEDED', 'SUCCEEDED']);
    expect(expected.deploys[0]?.indexes).toEqual(
      INDEXES.map(({ name }) => ({
        ...{ name, index: 'built', attempts: 1, error: null, detail: null, took: 'number' },
      })),
    );
    expect(expected.deploys[1]?.indexes.map((one) => one.index)).toEqual(INDEXES.map(() => 'present'));
    expect(await resultOf({ ...HOSTILE, ...UNUSUAL })).toEqual(expected);
  });

  const TIMEOUTS = Object.fromEntries(
    Object.entries(HOSTILE).filter(([name]) => name.endsWith('_timeout') || name.endsWith('_interval')),
  );

  /** Waits until a session of this product has waited, in one transaction, for longer than each of the timeouts. */
  async function waitForLongWait(database: TestDatabase, application: string) {
    await waitForRows(
      database,
      `select from pg_stat_activity
        where datname = current_database() and application_name = $1 and wait_event_type = 'Lock' and xact_start < clock_timestamp() - interval '1.5 s'`,
      [application],
    );
  }

  test('do not end a build that takes longer than each of the timeouts', async () => {
    const { database, url, drop } = await openRole(TIMEOUTS);
    await withClient(databaseOf({ DATABASE_URL: url }), 'test', async (client) => {
      await client.query('create table public.events (path text)');
    });
    const workflow: TestWorkflow = await openTestWorkflow({
      databaseUrl: url,
      services: 'none',
      builds: { waitSeconds: 1 },
      indexes: [
        {
          name: 'on_path',
          sql: 'create index concurrently if not exists on_path on events (path)',
          description: 'of a test',
        },
      ],
    });
    const reader = await connect(database.url);
    try {
      await reader.query('begin isolation level repeatable read; select from events');
      const deploy = workflow.deploy();
      await waitForBuildPhase(database, 'events', 'waiting for old snapshots');
      await waitForLongWait(database, 'pg-deploy-step build on_path');
      await reader.query('commit');

      const { report } = await deploy;

      expect(report.indexes).toMatchObject([{ status: 'built', attempts: 1, error: null }]);
    } finally {
      await reader.end();
      await workflow.close();
      await drop();
    }
  });

  test('do not end a migration that takes longer than each of the timeouts', async () => {
    const { database, url, drop } = await openRole(TIMEOUTS);
    await withClient(databaseOf({ DATABASE_URL: url }), 'test', async (client) => {
      await client.query('create table public.waiting (path text)');
    });
    const workflow = await openTestWorkflow({
      ...{ databaseUrl: url, services: 'none', indexes: [] },
      migrationLimits: { lockTimeoutSeconds: 600, attempts: 1 },
      migrations: { '0001_waits': 'alter table waiting add column id int' },
    });
    const reader = await connect(database.url);
    try {
      await reader.query('begin; select from waiting');
      const deploy = workflow.deploy();
      await waitForLongWait(database, 'pg-deploy-step migrate');
      await reader.query('commit');

      const { report } = await deploy;

      expect(report.migrations).toMatchObject({ applied: ['0001_waits'], failure: null });
    } finally {
      await reader.end();
      await workflow.close();
      await drop();
    }
  });

  test('are all either pinned or left alone for a reason', async () => {
    const client = await connect(server.adminUrl);
    try {
      await client.query('do $$ begin end $$');
      const { rows } = await client.query<{ name: string; category: string; context: string }>(
        "select name, category, context from pg_settings where context in ('user', 'superuser') and name <> 'application_name'",
      );
      const isLeftAlone = (name: string) => Object.keys(SETTINGS_LEFT_ALONE).includes(name);
      const isPinned = (name: string) => Object.keys(PINNED_SETTINGS).includes(name);

      expect(rows.length).toBeGreaterThan(100);
      expect(
        rows.filter(({ name, category }) => !isPinned(name) && !isLeftAlone(name) && !isLeftAlone(category)),
      ).toEqual([]);
      // A role that is not a superuser may set each of them.
      expect(rows.filter(({ name, context }) => isPinned(name) && context !== 'user')).toEqual([]);
      expect(Object.keys(PINNED_SETTINGS).filter(isLeftAlone)).toEqual([]);
    } finally {
      await client.end();
    }
  });

  test('have the pinned values in every session', async () => {
    const { url, drop } = await openRole(HOSTILE);
    try {
      const values = await withClient(databaseOf({ DATABASE_URL: url }), 'test', async (client) => {
        await client.query('do $$ begin end $$');
        const { rows } = await client.query<{ name: string; setting: string }>(
          'select name, setting from pg_settings where name = any ($1)',
          [Object.keys(PINNED_SETTINGS)],
        );
        return rows;
      });

      expect(values.length).toBeGreaterThan(Object.keys(PINNED_SETTINGS).length - 3);
      expect(Object.fromEntries(values.map(({ name, setting }) => [name, setting]))).toEqual(
        Object.fromEntries(values.map(({ name }) => [name, PINNED_SETTINGS[name]])),
      );
    } finally {
      await drop();
    }
  });

  test.each([
    ['idle_session_timeout', '57P05', 'select'],
    ['idle_in_transaction_session_timeout', '25P03', 'begin'],
    ...(major === 18 ? [['transaction_timeout', '25P04', 'begin']] : []),
  ])(
    'are named when a statement sets %s again, which is no lost connection',
    async (setting, sqlstate, last) => {
      const client = await connect(server.adminUrl);
      const error = await new Promise((resolve) => {
        client.on('error', resolve);
        // The session can end before, during or after the last statement: that one can report the error too, or find it ended.
        client
          .query(`set ${setting} = '10ms'`)
          .then(() => client.query(last ?? ''))
          .catch(resolve);
      });

      expect(toDeployStepError(error, 'The migrations')).toMatchObject({
        name: 'BuildFailed',
        sqlstate,
        message: expect.stringContaining(`The setting ${setting} ended the session.`),
      });
      expect([isConnectionError(error), hasEndedSession(error)]).toEqual([false, true]);
      await client.end();
    },
  );
});

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DEPLOY } from '../../lib/workflow/state-names.ts';
import { openBuilds } from '../support/builds.ts';
import { connect, type TestDatabase } from '../support/database.ts';
import { writeMigrations } from '../support/migration-files.ts';
import { openPreflight } from '../support/open-preflight.ts';
import { onEachMajor } from '../support/servers.ts';
import { useDatabase } from '../support/suite-database.ts';
import { openTestWorkflow, type TestWorkflow } from '../support/workflow.ts';

const SCHEMA = `
  create schema app;
  create schema tools;
  create schema hidden;
  create table app.orders (id int, status text, "eMail" text, dropped int, at timestamptz, note text);
  alter table app.orders drop column dropped;
  create table app."Users" (id int);
  create materialized view app.totals as select status, count(*) as orders from app.orders group by 1;
  create table app.sales (at int) partition by range (at);
  create table app.sales_1 partition of app.sales default;
  create view app.open_orders as select * from app.orders;
  create foreign data wrapper dummy; create server elsewhere foreign data wrapper dummy;
  create foreign table app.remote (id int) server elsewhere;
  create sequence app.numbers;
  create function tools.part(value text) returns text immutable language sql as $$ select value $$;
  create domain tools.word as text;
  create collation tools.plain from "C";
  create table hidden.secrets (id int)`;

const entry = (on: string, more: { critical?: boolean } = {}) => ({
  name: 'idx_a',
  sql: `create index concurrently if not exists idx_a on ${on}`,
  ...more,
});

/** What is missing, with a part of the message. */
const MISSING: [string, string, RegExp][] = [
  [
    'a table',
    'nothing (id)',
    /The table "nothing" does not exist, and no other schema has a table of this name \(index idx_a\)/,
  ],
  [
    'a table that another schema has',
    'orders (status)',
    /The table "orders" does not exist; a table of this name is in the schema "app" .*search path "\$user", public \(of the role\).*database\.searchPath \(run --search-path\)/,
  ],
  ['a qualified table', 'app.nothing (id)', /The table "app\.nothing" does not exist/],
  ['a schema', 'nowhere.orders (id)', /The table "nowhere\.orders" does not exist; .* in the schema "app"/],
  [
    'a table whose name has capital letters',
    'app.users (id)',
    /The table "app\.users" does not exist; "app\.Users" differs in upper and lower case: write the name in double quotes, "Users"/,
  ],
  [
    'a column, with those that exist',
    'app.orders (nothing)',
    /The table "app\.orders" has no column "nothing": it has "id", "status", "eMail", "at", "note"/,
  ],
  ['a column, with a similar one', 'app.orders (statu)', /has no column "statu": it has "status"/],
  [
    'a column whose name has capital letters',
    'app.orders (eMail)',
    /has no column "email": it has "eMail", which must be in double quotes/,
  ],
  ['a column that was dropped', 'app.orders (dropped)', /has no column "dropped"/],
  ['an INCLUDE column', 'app.orders (id) include (nothing)', /has no column "nothing"/],
  ['a column of an expression', 'app.orders (lower(nothing))', /has no column "nothing"/],
  [
    'a column of a predicate',
    "app.orders (id) where nothing = 'x' and status = 'open'",
    /has no column "nothing"/,
  ],
  ['a qualified column', 'app.orders (id) where orders.nothing is null', /has no column "nothing"/],
  [
    'a column of a materialized view',
    'app.totals (nothing)',
    /has no column "nothing": it has "status", "orders"/,
  ],
  ['a column of a partitioned table', 'app.sales (nothing)', /has no column "nothing": it has "at"/],
  [
    'a function',
    'app.orders (no_such_function(status))',
    /The function "no_such_function" does not exist in this database/,
  ],
  [
    'a function outside of the search path',
    'app.orders (part(status))',
    /The function "part" does not exist in the search path; it is in the schema "tools" \(index app\.idx_a\).*database\.searchPath/,
  ],
  ['a function of a schema', 'app.orders (app.part(status))', /The function "app\.part" does not exist/],
  [
    'a type',
    "app.orders (id) where status::word = 'x'",
    /The type "word" does not exist in the search path; it is in the schema "tools"/,
  ],
  [
    'a collation',
    'app.orders (status collate plain)',
    /The collation "plain" does not exist in the search path/,
  ],
  [
    'the operator class of an extension',
    'app.orders using gin (status gin_trgm_ops)',
    /The operator class "gin_trgm_ops" does not exist in this database; an extension that has it is not installed/,
  ],
  [
    'the access method of an extension',
    'app.orders using hnsw (status)',
    /The access method "hnsw" does not exist/,
  ],
  ['a view', 'app.open_orders (id)', /"app\.open_orders" is a view, which cannot have an index/],
  ['a foreign table', 'app.remote (id)', /"app\.remote" is a foreign table, which cannot have an index/],
  ['a sequence', 'app.numbers (last_value)', /"app\.numbers" is a sequence, which cannot have an index/],
];

/** Definitions of which everything exists. */
const COMPLETE = [
  'app.orders (id, status desc) include ("eMail")',
  'app.orders (lower(status), (id + 1)) where "eMail" is not null and at > \'2020-01-01 00:00:00Z\'::timestamptz',
  'app.orders ((orders.status)) where orders.id > 1',
  "app.orders ((note::varchar(10)) collate \"C\" text_pattern_ops, coalesce(status, 'x'), extract(day from at at time zone 'UTC'))",
  "app.orders (tools.part(status)) where status::tools.word <> 'x'",
  'app.orders (text(id), (id::numeric(10, 2)), ((array[id, 2])::int[]))',
  "app.orders using gin (to_tsvector('simple', status))",
  'app."Users" (id)',
  'app.totals (status)',
  'app.sales (at)',
];

onEachMajor('what an entry names', (major) => {
  let database: TestDatabase;

  useDatabase(major, SCHEMA, (opened) => {
    database = opened;
  });

  test.each(MISSING)('is checked: %s is missing, so the deploy is refused', async (_name, on, message) => {
    for (const critical of [false, true]) {
      const { preflight } = await openPreflight(database.url, [entry(on, { critical })]);
      const deploy = await preflight();
      const plan = await preflight({ mode: 'plan' });

      expect(deploy).toMatchObject({ decision: 'refused', refusal: expect.stringMatching(message) });
      expect(deploy.refusal).toContain('no migration is pending that could create it');
      expect(plan).toMatchObject({ decision: 'plan', refusal: null });
      expect(plan.planned?.refusals).toEqual([deploy.refusal]);
      expect(plan.warnings).toEqual([]);
    }
  });

  test('is not refused when everything exists', async () => {
    const { preflight } = await openPreflight(
      database.url,
      COMPLETE.map((on, at) => ({
        ...entry(on),
        name: `idx_${at}`,
        sql: entry(on).sql.replace('idx_a', `idx_${at}`),
      })),
    );

    expect(await preflight({ mode: 'plan' })).toMatchObject({ warnings: [], decision: 'plan' });
    expect(await preflight()).toMatchObject({ decision: 'deploy', warnings: [] });
  });

  test('is not "already there" if the server refuses to compare its definition', async () => {
    await database.query('create index idx_a on app.orders (status)');
    const builds = await openBuilds(database.url, [
      { name: 'idx_a', sql: entry('app.orders ((now()))').sql, description: 'of a test' },
    ]);

    const { idx_a: found } = await builds.examine();

    expect(found).toMatchObject({
      state: 'present',
      notCompared: expect.stringContaining('is not compared'),
    });
  });

  test('is only checked for the requested indexes', async () => {
    const { preflight } = await openPreflight(database.url, [
      entry('nothing (id)'),
      { name: 'idx_b', sql: 'create index concurrently if not exists idx_b on app.orders (id)' },
    ]);

    expect(await preflight({ indexes: ['idx_b'] })).toMatchObject({ decision: 'refused' });
    expect(await preflight({ indexes: ['app.idx_b'] })).toMatchObject({ decision: 'deploy', warnings: [] });
  });

  test('in a schema that the deploy role may not use is refused with the GRANT', async () => {
    const role = new URL(database.deployUrl).username;
    await database.query(`revoke all on schema hidden from ${role}, ${role.replace(/_deploy$/, '_owner')}`);
    const refusal = async (SEARCH_PATH: string[]) => {
      const { preflight } = await openPreflight({ DATABASE_URL: database.deployUrl, SEARCH_PATH }, [
        entry('secrets (id)'),
      ]);
      return (await preflight()).refusal;
    };

    expect(await refusal(['hidden', 'public'])).toContain(
      `GRANT USAGE, CREATE ON SCHEMA "hidden" TO "${role}";`,
    );
    expect(await refusal(['hidden'])).toContain(`GRANT CREATE, USAGE ON SCHEMA "hidden" TO "${role}";`);
  });

  test('in the wrong schema for a whole registry is refused in one short message', async () => {
    const indexes = Array.from({ length: 541 }, (_, at) => ({
      name: `idx_${at}`,
      sql: `create index concurrently if not exists idx_${at} on ${['orders', 'totals', 'sales'][at % 3]} (id)`,
    }));
    const { preflight } = await openPreflight(database.url, indexes);

    const { refusal } = await preflight();

    expect(refusal).toContain('what 541 indexes of the registry need');
    expect(refusal).toContain('All 3 tables are in the schema "app".');
    expect(refusal).toMatch(/\(indexes idx_0, idx_3, idx_6 and 178 more\)/);
    expect(refusal?.length).toBeLessThan(2_000);
  });

  describe('with a pending migration', () => {
    let folder: string;
    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-test-'));
    });
    afterEach(() => {
      rmSync(folder, { recursive: true, force: true });
    });

    test('may still be created: a warning, in a deploy and in a plan', async () => {
      const directory = writeMigrations(folder, { '0001_made': 'create table made (id int)' });
      const { preflight } = await openPreflight(
        database.url,
        [entry('made (id)', { critical: true })],
        directory,
      );

      for (const input of [{}, { mode: 'plan' }]) {
        const { refusal, warnings } = await preflight(input);
        expect(refusal).toBeNull();
        expect(warnings).toEqual([
          expect.stringMatching(
            /^Not there yet, what 1 index of the registry needs: The table "made" does not exist.*pending migrations must create this/,
          ),
        ]);
      }
    });
  });
});

describe('in the workflow', () => {
  let workflow: TestWorkflow | undefined;
  let database: TestDatabase;
  useDatabase(18, SCHEMA, (opened) => {
    database = opened;
  });
  afterEach(async () => {
    await workflow?.close();
    workflow = undefined;
  });
  const described = (on: string) => ({ ...entry(on), description: 'of a test' });

  test('a missing table refuses the deploy before a service is stopped, and a plan shows it', async () => {
    workflow = await openTestWorkflow({ databaseUrl: database.url, indexes: [described('orders (status)')] });

    const plan = await workflow.deploy({ mode: 'plan' });
    const deploy = await workflow.deploy();

    expect(plan.report.indexes).toMatchObject([
      { name: 'idx_a', status: 'table-missing', detail: expect.stringContaining('is in the schema "app"') },
    ]);
    expect(plan.report.totals).toEqual({ created: 0, skipped: 0, failed: 0, remaining: 1 });
    expect(deploy.status).toBe('FAILED');
    expect(deploy.cause).toContain('Refused before anything was stopped or changed.');
    const deployed = workflow.events.filter(({ execution }) => execution === deploy.report.deploy);
    expect(deployed.map(({ state }) => state)).not.toContain(DEPLOY.maintenanceWindow);
  });

  test('a table that a migration creates is built, and the plan before shows that it does not exist yet', async () => {
    workflow = await openTestWorkflow({
      databaseUrl: database.url,
      indexes: [described('made (id)')],
      migrations: { '0001_made': 'create table made (id int)' },
    });

    const plan = await workflow.deploy({ mode: 'plan' });
    const deploy = await workflow.deploy();

    expect(plan.report.indexes).toMatchObject([{ status: 'table-missing' }]);
    expect(deploy.status, deploy.cause).toBe('SUCCEEDED');
    expect(deploy.report.indexes).toMatchObject([{ status: 'built' }]);
    expect(plan.report.warnings).toEqual([expect.stringMatching(/^Not there yet/)]);
    expect(deploy.report.warnings).toEqual([]);
  });

  test('a table that no migration creates stays a warning of the deploy whose build failed', async () => {
    workflow = await openTestWorkflow({
      databaseUrl: database.url,
      indexes: [described('made (id)')],
      migrations: { '0001_other': 'create table other (id int)' },
    });

    const { report } = await workflow.deploy();

    expect(report.indexes).toMatchObject([{ status: 'failed' }]);
    expect(report.warnings).toEqual(expect.arrayContaining([expect.stringMatching(/^Not there yet/)]));
  });

  test('an index whose table is locked is not compared, and a plan says so', async () => {
    await database.query('create index idx_a on app.orders (status)');
    workflow = await openTestWorkflow({
      databaseUrl: database.url,
      indexes: [described('app.orders (status)')],
    });
    const other = await connect(database.url);
    try {
      await other.query('begin; lock table app.orders in access exclusive mode');

      const { report } = await workflow.deploy({ mode: 'plan' });

      expect(report.indexes).toMatchObject([{ status: 'present' }]);
      expect(report.warnings).toEqual([
        expect.stringMatching(
          /^Index idx_a on orders is not compared with the registry, only its name, because another session has locked/,
        ),
      ]);
    } finally {
      await other.end();
    }
  });
});

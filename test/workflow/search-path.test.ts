import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { indexId } from '../../lambdas/shared/registry.ts';
import type { Report } from '../../lambdas/shared/report-schema.ts';
import type { IndexEntry } from '../../lib/registry/define-indexes.ts';
import { openBuilds } from '../support/builds.ts';
import type { TestDatabase } from '../support/database.ts';
import { onEachMajor } from '../support/servers.ts';
import { useDatabase } from '../support/suite-database.ts';
import { openTestWorkflow, type TestWorkflow, type TestWorkflowOptions } from '../support/workflow.ts';

/** `app` has the tables of the application, `other` one of the same name, and `public` none of them. */
const SCHEMA = `
  create schema app;
  create schema other;
  create schema "Mixed Case";
  create table app.orders (id int, status text, note text);
  insert into app.orders select n, 'open' from generate_series(1, 50) n;
  create table other.orders (id int, status text);
  create table "Mixed Case"."Users" (id int, "eMail" text);
  create table app.sales (at int) partition by range (at);
  create table app.sales_1 partition of app.sales for values from (0) to (100);
  create table app.sales_2 partition of app.sales default;
  create materialized view app.totals as select status, count(*) as orders from app.orders group by 1;
  create table public.plain (id int)`;

const entry = (name: string, on: string, more: Partial<IndexEntry> = {}): IndexEntry => ({
  name,
  sql: `create index concurrently if not exists ${name} on ${on}`,
  description: 'of a test',
  ...more,
});

const ENTRIES = [
  entry('idx_status', 'orders (status)', { critical: true }),
  entry('idx_id', 'orders (id)'),
  entry('idx_at', 'sales (at)'),
  entry('idx_totals', 'totals (status)'),
  entry('idx_other', 'other.orders (status)'),
  entry('idx_plain', 'plain (id)'),
];

const BUILT = [
  'app.idx_at',
  'app.idx_id',
  'app.idx_status',
  'app.idx_totals',
  'idx_plain',
  'other.idx_other',
];

onEachMajor('tables of a search path', (major) => {
  let database: TestDatabase;
  let workflow: TestWorkflow | undefined;

  useDatabase(major, SCHEMA, (opened) => {
    database = opened;
  });
  afterEach(async () => {
    await workflow?.close();
    workflow = undefined;
  });

  async function open(options: Partial<TestWorkflowOptions> = {}): Promise<TestWorkflow> {
    workflow = await openTestWorkflow({
      ...{ databaseUrl: database.url, services: 'none', indexes: ENTRIES },
      ...options,
    });
    return workflow;
  }

  const setPath = async (path: string) =>
    await database.query(
      `alter role ${new URL(database.deployUrl).username} in database ${database.name} set search_path = ${path}`,
    );
  const statuses = ({ indexes }: Report) =>
    Object.fromEntries(indexes.map((index) => [indexId(index), index.status]));
  const all = (ids: readonly string[], status: string) => Object.fromEntries(ids.map((id) => [id, status]));
  const validIndexes = async () =>
    (
      await database.query(
        `select n.nspname || '.' || c.relname as name from pg_index i
           join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
          where i.indisvalid and c.relname ~ '^idx_' order by 1`,
      )
    ).map(({ name }) => name);

  describe.each([
    ['of the role', { role: 'app, public' }, 'role'],
    ['of the environment', { environment: ['app', 'public'] }, 'environment'],
    [
      'of the environment, before that of the role',
      { role: 'other', environment: ['app', 'public'] },
      'environment',
    ],
  ] as const)('%s', (_name, paths, source) => {
    const builds = () => ({ searchPath: 'environment' in paths ? [...paths.environment] : undefined });
    beforeEach(async () => {
      if ('role' in paths) await setPath(paths.role);
    });

    test('are found, planned, built and found again', async () => {
      const { deploy } = await open({ builds: builds() });

      const plan = await deploy({ mode: 'plan' });
      const first = await deploy();
      const again = await deploy();

      expect(statuses(plan.report)).toEqual(all(BUILT, 'missing'));
      expect(first.status, first.report.failure ?? '').toBe('SUCCEEDED');
      expect(statuses(first.report)).toEqual(all(BUILT, 'built'));
      expect(statuses(again.report)).toEqual(all(BUILT, 'present'));
      expect(again.report.warnings).toEqual([expect.stringMatching(/^Nothing to do/)]);
      expect([plan, first, again].map(({ report }) => report.searchPath)).toEqual(
        Array.from({ length: 3 }, () => ({ schemas: ['app', 'public'], source })),
      );
      expect(await validIndexes()).toEqual([
        'app.idx_at',
        'app.idx_id',
        'app.idx_status',
        'app.idx_totals',
        'other.idx_other',
        'public.idx_plain',
      ]);
    });
  });

  test('are those of the schema "$user" of the deploy role, if it has one', async () => {
    const role = new URL(database.deployUrl).username;
    await database.query(`create schema ${role}; create table ${role}.orders (id int, status text)`);
    const { deploy } = await open({ indexes: [entry('idx_status', 'orders (status)')] });

    const { report } = await deploy({ mode: 'indexes' });

    expect(statuses(report)).toEqual({ [`${role}.idx_status`]: 'built' });
    expect(report.searchPath).toEqual({ schemas: ['$user', 'public'], source: 'role' });
  });

  test('are found with names in mixed case, in a schema with a space', async () => {
    const { deploy } = await open({
      indexes: [entry('idx_mail', '"Users" ("eMail")')],
      builds: { searchPath: ['no_such_schema', 'Mixed Case'] },
    });

    expect(statuses((await deploy({ mode: 'indexes' })).report)).toEqual({ 'Mixed Case.idx_mail': 'built' });
  });

  test('are in public where the path is the default', async () => {
    const { deploy } = await open({ indexes: [entry('idx_plain', 'plain (id)')] });

    expect(statuses((await deploy({ mode: 'indexes' })).report)).toEqual({ idx_plain: 'built' });
  });

  test('that a migration creates are indexed in the schema in which it creates them', async () => {
    await setPath('app, public');
    const { deploy } = await open({
      indexes: [entry('idx_made', 'made (id)'), entry('idx_elsewhere', 'elsewhere (id)')],
      migrations: {
        '0001_made': 'create table made (id int); create table public.elsewhere (id int);',
      },
    });

    const plan = await deploy({ mode: 'plan' });
    const first = await deploy();

    expect(Object.keys(statuses(plan.report))).toEqual(['app.idx_made', 'app.idx_elsewhere']);
    expect(first.status, first.report.failure ?? '').toBe('SUCCEEDED');
    expect(statuses(first.report)).toEqual({ 'app.idx_made': 'built', idx_elsewhere: 'built' });
  });

  test('keep the schema of their item, although the path finds another table before it is built', async () => {
    await setPath('first, app');
    const builds = await openBuilds(database.url, [entry('idx_status', 'orders (status)')]);
    const [lane] = await builds.plan('kept');
    await database.query('create schema first; create table first.orders (id int, status text)');

    const result = await builds.build('kept', lane?.indexes[0] ?? '');
    const checked = await builds.check('kept', lane?.indexes[0] ?? '');

    expect(lane).toEqual({ table: 'app.orders', indexes: ['app.idx_status'] });
    expect([result.status, checked.status]).toEqual(['built', 'built']);
    expect(await validIndexes()).toEqual(['app.idx_status']);
  });

  test('are settled in the schema of their item', async () => {
    await setPath('app');
    const builds = await openBuilds(database.url, [
      entry('idx_missing', 'orders (no_such_column)', { critical: true }),
      entry('idx_status', 'orders (status)'),
    ]);

    const reports = await builds.deploy('settled');

    expect(reports.idx_missing).toMatchObject({
      schema: 'app',
      status: 'failed',
      error: { sqlstate: '42703' },
    });
    expect(reports.idx_status).toMatchObject({ schema: 'app', status: 'built' });
    expect(
      await database.query(
        'select index_schema as schema, index_name as name, status from deploy_step.index_builds order by 2',
      ),
    ).toEqual([
      { schema: 'app', name: 'idx_missing', status: 'failed' },
      { schema: 'app', name: 'idx_status', status: 'built' },
    ]);
  });

  test.each([
    ['the name of the entry', 'idx_id'],
    ['the schema that the path finds', 'app.idx_id'],
  ])('are named in an input by %s', async (_name, name) => {
    await setPath('app');
    const { deploy } = await open();

    const { report } = await deploy({ mode: 'indexes', indexes: [name] });

    expect(statuses(report)).toEqual({ 'app.idx_id': 'built' });
    expect(await validIndexes()).toEqual(['app.idx_id']);
  });

  test('are not named in an input by another schema, and the refusal lists the valid names', async () => {
    await setPath('app');
    const { deploy } = await open();

    const { status, report } = await deploy({ mode: 'indexes', indexes: ['public.idx_id'] });

    expect(status).toBe('FAILED');
    expect(report.failure).toContain('"public"."idx_id" is not in the registry');
    expect(report.failure).toContain('app.idx_status, app.idx_id');
    expect(await validIndexes()).toEqual([]);
  });

  test('of two entries that are the same index there are refused, and nothing is built', async () => {
    const indexes = [entry('idx_status', 'orders (status)'), entry('idx_status', 'app.orders (status)')];
    const { deploy } = await open({ indexes, builds: { searchPath: ['app'] }, services: 'demo' });

    const { status, report } = await deploy();

    expect(status).toBe('FAILED');
    expect(report.failure).toContain(
      'The entries "idx_status" and "app.idx_status" of the registry are the same index of this database, "idx_status" in the schema "app".',
    );
    expect(report.failure).toContain('search path app (of the environment)');
    expect(report.services.map(({ stoppedAt }) => stoppedAt)).toEqual(report.services.map(() => null));
    expect(await validIndexes()).toEqual([]);
  });
});

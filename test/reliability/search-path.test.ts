import { afterEach, beforeEach, expect, test } from 'vitest';
import type { TestDatabase } from '../support/database.ts';
import { onEachMajor } from '../support/servers.ts';
import { useDatabase } from '../support/suite-database.ts';
import { openTestWorkflow } from '../support/workflow.ts';

/** A schema with everything that a definition can name, and another one with the same names and another meaning. */
const SCHEMAS = ['shop', 'other']
  .map(
    (schema, at) => `
    create schema ${schema};
    create function ${schema}.part(value text) returns text immutable language sql as $$ select substr(value, ${at + 1}) $$;
    -- A function whose body calls another one without its schema.
    create function ${schema}.inner_part(value text) returns text immutable language plpgsql as $$ begin return part(value); end $$;
    create domain ${schema}.word as text;
    create collation ${schema}.plain from "C";
    create operator class ${schema}.pattern for type text using btree as
      operator 1 pg_catalog.~<~, operator 2 pg_catalog.~<=~, operator 3 pg_catalog.=, operator 4 pg_catalog.~>=~, operator 5 pg_catalog.~>~,
      function 1 pg_catalog.bttext_pattern_cmp(text, text);`,
  )
  .join('\n');

const TABLES = `
  create table public.events (id int, kind text);
  insert into public.events select n, 'kind ' || n from generate_series(1, 20) n;
  create table public.sales (at int, kind text) partition by range (at);
  create table public.sales_1 partition of public.sales default;`;

const DEFINITIONS = [
  'by_part on public.events (part(kind))',
  'by_inner_part on public.events (inner_part(kind))',
  "by_cast on public.events (id) where kind::word <> 'x'",
  'by_collation on public.events (kind collate plain)',
  'by_class on public.events (kind pattern)',
  'of_partitions on public.sales (part(kind))',
  'qualified on public.events (other.part(kind))',
];

onEachMajor('names in definitions and migrations', (major) => {
  // From version 17 on, the server builds indexes with a search path of its own, so that such functions must name schemas.
  const INDEXES = DEFINITIONS.filter((definition) => major < 17 || !definition.includes('inner_part')).map(
    (definition) => ({
      name: definition.slice(0, definition.indexOf(' ')),
      sql: `create index concurrently if not exists ${definition}`,
      description: 'of a test',
    }),
  );
  let database: TestDatabase;
  let url: string;

  useDatabase(major, `${SCHEMAS}${TABLES}`, (opened) => {
    database = opened;
  });
  beforeEach(async () => {
    const role = `role_of_${database.name}`;
    await database.query(
      `create role ${role} login superuser password 'role'; alter role ${role} in database ${database.name} set search_path = pg_temp, other, public`,
    );
    url = Object.assign(new URL(database.url), { username: role, password: 'role' }).href;
  });
  afterEach(async () => {
    const role = `role_of_${database.name}`;
    await database.query(`drop owned by ${role} cascade; drop role ${role}`);
  });

  async function open(searchPath?: string[], migrations: Record<string, string> = {}, indexes = INDEXES) {
    return await openTestWorkflow({
      ...{ databaseUrl: url, services: 'none', indexes, migrations },
      builds: { searchPath },
    });
  }

  /** The schemas of the functions, operator classes and collations on which the indexes depend. */
  async function schemasOfIndexes() {
    const rows = await database.query(
      `select c.relname as name, string_agg(distinct (pg_identify_object(d.refclassid, d.refobjid, 0)).schema, ',') as schemas
         from pg_depend d
         join pg_class c on c.oid = d.objid and c.relkind in ('i', 'I')
        where d.classid = 'pg_class'::regclass and d.refclassid in ('pg_proc'::regclass, 'pg_type'::regclass, 'pg_opclass'::regclass, 'pg_collation'::regclass)
          and (pg_identify_object(d.refclassid, d.refobjid, 0)).schema in ('shop', 'other')
          and c.relname = any ($1) group by 1`,
      [INDEXES.map(({ name }) => name)],
    );
    return Object.fromEntries(rows.map(({ name, schemas }) => [name, schemas]));
  }

  const inSchema = (schema: string) => ({
    ...Object.fromEntries(INDEXES.map(({ name }) => [name, schema])),
    qualified: 'other',
  });

  test.each([
    ['the search path of the role', undefined, 'other'],
    ['the search path of the environment', ['shop', 'public'], 'shop'],
  ])('are looked up in %s, and the comparison finds the indexes again', async (_name, searchPath, schema) => {
    const workflow = await open(searchPath);
    try {
      const deploy = await workflow.deploy();
      const again = await workflow.deploy();

      expect(deploy.report.indexes.map(({ name, status, error }) => [name, status, error])).toEqual(
        INDEXES.map(({ name }) => [name, 'built', null]),
      );
      expect(await schemasOfIndexes()).toEqual(inSchema(schema));
      expect(again.report.indexes.map(({ status }) => status)).toEqual(INDEXES.map(() => 'present'));
    } finally {
      await workflow.close();
    }
  });

  test('mean another index with another search path: it has drifted, and is replaced', async () => {
    const first = await open(['shop']);
    const second = await open(
      ['other'],
      {},
      INDEXES.map((entry) => ({ ...entry, onDrift: 'rebuild' as const })),
    );
    try {
      await first.deploy({ mode: 'indexes' });
      const plan = await second.deploy({ mode: 'plan' });
      const deploy = await second.deploy({ mode: 'indexes' });

      const statuses = ({ report }: typeof plan) =>
        Object.fromEntries(report.indexes.map(({ name, status }) => [name, status]));
      // The index of a partitioned table cannot be replaced.
      const drifted = {
        ...Object.fromEntries(INDEXES.map(({ name }) => [name, 'drifted'])),
        qualified: 'present',
      };
      expect(statuses(plan)).toEqual(drifted);
      expect(statuses(deploy)).toEqual({
        ...Object.fromEntries(INDEXES.map(({ name }) => [name, 'built'])),
        qualified: 'present',
        of_partitions: 'drifted',
      });
      expect(await schemasOfIndexes()).toEqual({ ...inSchema('other'), of_partitions: 'shop' });
    } finally {
      await first.close();
      await second.close();
    }
  });

  test('are looked up by each migration in the same search path, also after a file has changed or reset it', async () => {
    const workflow = await open(['shop', 'public'], {
      '0001_creates': `create table made (path text default current_setting('search_path'), part text);
        insert into made (part) values (part('kind')); set search_path = other;`,
      '0002_resets': `insert into made (part) values (part('kind')); reset all; set local search_path to default;
        insert into shop.made (part) values (part('kind'));`,
      '0003_schema': `insert into made (part) values (part('kind')); select pg_catalog.set_config('search_path', '', false);`,
    });
    try {
      const { report } = await workflow.deploy();

      expect(report.migrations).toMatchObject({ failure: null, pending: [] });
      const configured = { path: '"shop", "public", "pg_temp"', part: 'kind' };
      expect(await database.query('select path, part from shop.made')).toEqual([
        configured,
        configured,
        { path: 'pg_temp, other, public', part: 'ind' },
        configured,
      ]);
    } finally {
      await workflow.close();
    }
  });

  test('create permanent objects, although pg_temp comes first in the search path of the role', async () => {
    const workflow = await open(undefined, { '0001_creates': 'create table made (id int)' }, []);
    try {
      await workflow.deploy();
      expect(
        await database.query(
          "select relnamespace::regnamespace::text as schema, relpersistence from pg_class where relname = 'made'",
        ),
      ).toEqual([{ schema: 'other', relpersistence: 'p' }]);
    } finally {
      await workflow.close();
    }
  });
});

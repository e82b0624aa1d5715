import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { MigrationTool } from '../../lambdas/shared/tool-migrations.ts';
import { readToolMigrations, tableOfTool } from '../../lib/sources/tool-migrations/read-tool-migrations.ts';
import { adminUrlOf, createDatabase, type TestDatabase } from '../support/database.ts';
import { openPreflight } from '../support/open-preflight.ts';
import { onEachMajor } from '../support/servers.ts';

/*
 * What is pending for the application's own migration tool: the folder as the tool writes it, and its table, which each test
 * creates as the tool does. drizzle-kit and node-pg-migrate themselves run in test/workflow/pending-migrations.test.ts.
 */

const ORDERS = {
  name: 'idx_orders_status',
  sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_orders_status ON orders (status)',
};

onEachMajor('what is pending for', (major) => {
  // The versions are tested side by side.
  let folder: string;
  let database: TestDatabase;

  /** Writes files into the folder. @param files the content by path */
  function write(files: Record<string, string>): void {
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), content);
    }
  }

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-pending-'));
    database = await createDatabase({ adminUrl: adminUrlOf(major) });
    await database.query('create table orders (id int primary key, status text)');
    await database.query('create index idx_orders_status on orders (status)');
  });
  afterEach(async () => {
    await database.drop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Every index is valid, so that only migrations are a reason to stop the services. */
  async function decide(tool: MigrationTool, { schema = null as string | null, mode = 'deploy' } = {}) {
    const migrations = readToolMigrations(tool, folder);
    const { preflight } = await openPreflight(database.url, [ORDERS], {
      ...{ tool, schema, table: tableOfTool(tool), migrations },
    });
    const { decision, refusal, warnings, planned } = await preflight({ mode });
    return { decision, refusal, warnings, ...(planned && { planned }) };
  }

  const NOTHING = { decision: 'nothing', refusal: null, warnings: [] };
  const DEPLOY = { decision: 'deploy', refusal: null, warnings: [] };
  const unknown = (reason: unknown) => ({ decision: 'deploy', refusal: null, warnings: [reason] });

  describe('prisma', () => {
    const TABLE = `create table _prisma_migrations (
      id varchar(36) primary key not null, checksum varchar(64) not null, finished_at timestamptz,
      migration_name varchar(255) not null, logs text, rolled_back_at timestamptz,
      started_at timestamptz not null default now(), applied_steps_count integer not null default 0)`;
    const applied = async (name: string, finished = 'now()', rolledBack = 'null') =>
      await database.query(
        `insert into _prisma_migrations (id, checksum, migration_name, finished_at, rolled_back_at, applied_steps_count)
         values (gen_random_uuid(), 'sum', $1, ${finished}, ${rolledBack}, 1)`,
        [name],
      );

    beforeEach(() =>
      write({
        'migration_lock.toml': 'provider = "postgresql"',
        '20240110_users/migration.sql': 'create table users (id int);',
        '20240210_orders/migration.sql': 'create table more (id int);',
      }),
    );

    test('a database without its table has everything to apply', async () => {
      expect(await decide('prisma')).toEqual(DEPLOY);
    });

    test('with all migrations applied nothing is stopped', async () => {
      await database.query(TABLE);
      await applied('20240110_users');
      expect(await decide('prisma')).toEqual(DEPLOY);
      await applied('20240210_orders');
      // Of a newer release.
      await applied('20240310_newer');
      expect(await decide('prisma')).toEqual(NOTHING);
    });

    test('a failed migration is refused, with the way out, and a plan says so', async () => {
      await database.query(TABLE);
      await applied('20240110_users');
      await applied('20240210_orders', 'null');

      const { decision, refusal } = await decide('prisma');
      const plan = await decide('prisma', { mode: 'plan' });

      expect(decision).toBe('refused');
      expect(refusal).toBe(
        'Prisma has a failed migration, 20240210_orders (public._prisma_migrations), so prisma migrate deploy would fail with P3009. If it ' +
          'does not run any more, undo what it has changed and run npx prisma migrate resolve --rolled-back "20240210_orders", or complete it ' +
          'and run npx prisma migrate resolve --applied "20240210_orders".',
      );
      expect(plan.planned?.refusals).toEqual([refusal]);
    });

    test('a failed migration that was rolled back is pending, and applied when it has run again', async () => {
      await database.query(TABLE);
      await applied('20240110_users');
      await applied('20240210_orders', 'null', 'now()');
      expect(await decide('prisma')).toEqual(DEPLOY);
      await applied('20240210_orders');
      expect(await decide('prisma')).toEqual(NOTHING);
    });

    test('its table is found in the schema of the connection string', async () => {
      await database.query('create schema shop');
      await database.query(TABLE.replace('_prisma_migrations', 'shop._prisma_migrations'));
      expect(await decide('prisma')).toEqual(DEPLOY);
      await database.query(
        `insert into shop._prisma_migrations (id, checksum, migration_name, finished_at)
         values ('1', 's', '20240110_users', now()), ('2', 's', '20240210_orders', now())`,
      );
      expect(await decide('prisma')).toEqual(NOTHING);
    });

    test('with its table in several schemas it is unknown, unless the configuration names one', async () => {
      await database.query(TABLE);
      await database.query('create schema shop');
      await database.query(TABLE.replace('_prisma_migrations', 'shop._prisma_migrations'));
      await applied('20240110_users');
      await applied('20240210_orders');

      expect(await decide('prisma')).toEqual(
        unknown(
          'It is unknown which migrations are pending, so every deploy stops the services and runs them: public, shop each have a table _prisma_migrations: name one in migrations.pending.table, as SCHEMA.TABLE.',
        ),
      );
      expect(await decide('prisma', { schema: 'public' })).toEqual(NOTHING);
      expect(await decide('prisma', { schema: 'shop' })).toEqual(DEPLOY);
    });

    test('without the right to read the table it is unknown, with the grants', async () => {
      await database.query(TABLE);
      await database.query('alter table _prisma_migrations owner to current_user');
      await database.query('revoke all on _prisma_migrations from public');

      const { decision, warnings } = await decide('prisma');

      expect(decision).toBe('deploy');
      expect(warnings).toEqual([
        expect.stringMatching(
          /public\._prisma_migrations cannot be read: .*permission denied.* \(GRANT USAGE ON SCHEMA "public" and GRANT SELECT ON "public"\."_prisma_migrations" to the deploy role\)\.$/,
        ),
      ]);
    });

    test('a table of a role that is not trusted decides nothing', async () => {
      await database.query('create view _prisma_migrations as select 1 as migration_name');

      const { decision, warnings } = await decide('prisma');

      expect(decision).toBe('deploy');
      expect(warnings).toEqual([expect.stringContaining('public._prisma_migrations')]);
    });

    test('a table of another tool decides nothing', async () => {
      await database.query('create table _prisma_migrations (version bigint)');

      expect(await decide('prisma')).toEqual(
        unknown(
          expect.stringMatching(/public\._prisma_migrations is not the table of prisma: .*migration_name/),
        ),
      );
    });

    test('a folder without migration.sql is refused at synth', () => {
      mkdirSync(join(folder, '20240310_empty'));
      expect(() => readToolMigrations('prisma', folder)).toThrow(
        /20240310_empty has no migration\.sql, so prisma migrate deploy would fail with P3015/,
      );
    });
  });

  describe('rails', () => {
    beforeEach(async () => {
      write({
        '20240110100000_create_users.rb': '',
        'archive/20230110100000_create_shops.rb': '',
        '001_old.rb': '',
        'concerns.rb': '',
      });
      await database.query('create table schema_migrations (version varchar not null primary key)');
    });

    test('compares versions as numbers, in all folders', async () => {
      await database.query("insert into schema_migrations values ('20240110100000'), ('1')");
      expect(await decide('rails')).toEqual(DEPLOY);
      await database.query("insert into schema_migrations values ('20230110100000')");
      expect(await decide('rails')).toEqual(NOTHING);
    });
  });

  describe('golang-migrate', () => {
    beforeEach(async () => {
      write({ '000001_users.up.sql': '', '000001_users.down.sql': '', '000010_orders.up.sql': '' });
      await database.query(
        'create table schema_migrations (version bigint not null primary key, dirty boolean not null)',
      );
    });

    test('compares the last version', async () => {
      expect(await decide('golang-migrate')).toEqual(DEPLOY);
      await database.query('insert into schema_migrations values (1, false)');
      expect(await decide('golang-migrate')).toEqual(DEPLOY);
      await database.query('update schema_migrations set version = 10');
      expect(await decide('golang-migrate')).toEqual(NOTHING);
    });

    test('refuses a dirty version, with the way out', async () => {
      await database.query('insert into schema_migrations values (10, true)');
      expect((await decide('golang-migrate')).refusal).toBe(
        'golang-migrate has a dirty version, 10 (public.schema_migrations): its migration has failed, so migrate up would fail. If it does not ' +
          'run any more, complete it and run migrate force 10, or undo what it has changed and force the version before it.',
      );
    });
  });

  describe('flyway', () => {
    let rank = 0;
    const row = async (values: {
      version?: string | null;
      description?: string;
      type?: string;
      checksum?: number | null;
      success?: boolean;
    }) => {
      rank += 1;
      const { version = null, description = 'words', type = 'SQL', checksum = 0, success = true } = values;
      await database.query(
        `insert into flyway_schema_history values ($1, $2, $3, $4, $5, $6, 'me', now(), 1, $7)`,
        [rank, version, description, type, `V${version}__${description}.sql`, checksum, success],
      );
    };

    beforeEach(async () => {
      write({
        'V1__users.sql': '',
        'V2_1__orders.sql': '',
        'sub/V10__sums.java': '',
        'beforeMigrate.sql': '',
        'U10__sums.sql': '',
        'R__daily_sums.sql': '\uFEFFcreate view a as\r\nselect 1;\n',
      });
      await database.query(
        `create table flyway_schema_history (
           installed_rank int not null primary key, version varchar(50), description varchar(200) not null,
           type varchar(20) not null, script varchar(1000) not null, checksum int, installed_by varchar(100) not null,
           installed_on timestamp not null default now(), execution_time int not null, success boolean not null)`,
      );
    });

    // CRC-32 of `create view a asselect 1;`, as java.util.zip.CRC32 computes it, as an int.
    const CHECKSUM = -915_100_815;

    test('compares versions as Flyway does, and repeatable migrations by their checksum', async () => {
      for (const version of ['1.0', '2.01']) await row({ version });
      await row({ description: 'daily sums', checksum: CHECKSUM });
      expect(await decide('flyway')).toEqual(DEPLOY);
      await row({ version: '10', type: 'JDBC', checksum: null });
      expect(await decide('flyway')).toEqual(NOTHING);
      write({ 'R__daily_sums.sql': 'create view a as select 2;' });
      expect(await decide('flyway')).toEqual(DEPLOY);
    });

    test('knows baselines, undone and deleted migrations', async () => {
      await row({ version: '2.1', type: 'BASELINE' });
      await row({ version: '10' });
      await row({ description: 'daily sums', checksum: CHECKSUM });
      expect(await decide('flyway')).toEqual(NOTHING);
      await row({ version: '10', type: 'UNDO_SQL' });
      expect(await decide('flyway')).toEqual(DEPLOY);
      await row({ version: '10' });
      expect(await decide('flyway')).toEqual(NOTHING);
      await row({ version: '10', type: 'DELETE' });
      expect(await decide('flyway')).toEqual(DEPLOY);
    });

    test('refuses a failed migration, with the way out', async () => {
      await row({ version: '1' });
      await row({ version: '2.1', description: 'orders', success: false });
      expect((await decide('flyway')).refusal).toBe(
        'Flyway has a failed migration, V2.1__orders.sql (public.flyway_schema_history), so flyway migrate would fail. Undo what it has changed, ' +
          'or complete it, and run flyway repair.',
      );
    });

    test('a repeatable migration with placeholders is unknown', async () => {
      write({ 'R__daily_sums.sql': 'create view a as select $' + '{one};' });
      for (const version of ['1', '2.1', '10']) await row({ version });
      await row({ description: 'daily sums', checksum: 7 });
      expect(await decide('flyway')).toEqual(
        unknown(expect.stringContaining('R__daily_sums.sql has placeholders, whose values decide')),
      );
    });
  });

  describe('alembic', () => {
    const script = (revision: string, before: string, more = '') =>
      `"""words\n\nRevision ID: ${revision}\n"""\nfrom alembic import op\n\n# revision identifiers\nrevision: str = "${revision}"\n` +
      `down_revision: Union[str, Sequence[str], None] = ${before}  # 'comment'\nbranch_labels = None\n${more}\ndef upgrade() -> None:\n    pass\n`;

    beforeEach(async () => {
      write({
        'versions/a1_users.py': script('a1', 'None'),
        'versions/b1_orders.py': script('b1', "'a1'", "depends_on: Union[str, None] = 'c0'"),
        'versions/b2_sums.py': script('b2', '"a1"'),
        'versions/c0_other.py': script('c0', 'None'),
        'versions/d1_merge.py': script('d1', '(\n    "b1",\n    "b2",\n)'),
        'env.py': 'config = context.config\n',
      });
      await database.query('create table alembic_version (version_num varchar(32) not null primary key)');
    });

    test('follows the revisions before the current ones, through merges and dependencies', async () => {
      expect(await decide('alembic')).toEqual(DEPLOY);
      await database.query("insert into alembic_version values ('b1'), ('b2')");
      expect(await decide('alembic')).toEqual(DEPLOY);
      await database.query('delete from alembic_version');
      await database.query("insert into alembic_version values ('d1')");
      expect(await decide('alembic')).toEqual(NOTHING);
    });

    test('a revision of another release is unknown', async () => {
      await database.query("insert into alembic_version values ('e1')");
      expect(await decide('alembic')).toEqual(
        unknown(
          expect.stringContaining('the database is at the revision e1, of which the folder has no script'),
        ),
      );
    });
  });

  describe('django', () => {
    const migration = (more = '') =>
      `from django.db import migrations\n\n\nclass Migration(migrations.Migration):\n${more}    dependencies = []\n    operations = []\n`;
    const applied = async (...names: string[]) => {
      for (const name of names) {
        await database.query('insert into django_migrations (app, name, applied) values ($1, $2, now())', [
          ...name.split('.'),
        ]);
      }
    };

    beforeEach(async () => {
      write({
        'shop/migrations/__init__.py': '',
        'shop/migrations/0001_initial.py': migration(),
        'shop/migrations/0002_orders.py': migration(),
        'apps/people/apps.py':
          "class PeopleConfig(AppConfig):\n    name = 'apps.people'\n    label = 'persons'\n",
        'apps/people/migrations/0001_initial.py': migration(),
        'apps/people/migrations/helpers.py': 'NAMES = []\n',
        'venv/lib/python3.13/site-packages/django/contrib/sites/migrations/0001_initial.py': migration(),
      });
      await database.query(
        `create table django_migrations (
           id bigint generated by default as identity primary key, app varchar(255) not null, name varchar(255) not null,
           applied timestamptz not null)`,
      );
    });

    test('compares the migrations of all apps, by their labels', async () => {
      await applied('auth.0001_initial', 'shop.0001_initial', 'shop.0002_orders', 'people.0001_initial');
      expect(await decide('django')).toEqual(DEPLOY);
      await applied('persons.0001_initial');
      expect(await decide('django')).toEqual(NOTHING);
    });

    test('a squashed migration takes the place of those that it replaces', async () => {
      write({
        'shop/migrations/0001_squashed_0002.py': migration(
          "    replaces = [\n        ('shop', '0001_initial'),\n        ('shop', '0002_orders'),  # words\n    ]\n\n",
        ),
      });
      await applied('persons.0001_initial', 'shop.0001_initial');
      expect(await decide('django')).toEqual(DEPLOY);
      await applied('shop.0002_orders');
      expect(await decide('django')).toEqual(NOTHING);
      await database.query("delete from django_migrations where app = 'shop'");
      expect(await decide('django')).toEqual(DEPLOY);
      // As Django records it on a new database.
      await applied('shop.0001_squashed_0002', 'shop.0001_initial', 'shop.0002_orders');
      rmSync(join(folder, 'shop/migrations/0001_initial.py'));
      rmSync(join(folder, 'shop/migrations/0002_orders.py'));
      expect(await decide('django')).toEqual(NOTHING);
    });
  });

  test('a drizzle migration that is older than the last applied one is never applied, and the report says so', async () => {
    const entries = [100, 200, 150].map((when, idx) => ({ idx, version: '7', when, tag: `000${idx}_step` }));
    write({ 'meta/_journal.json': JSON.stringify({ version: '7', dialect: 'postgresql', entries }) });
    for (const { tag } of entries) write({ [`${tag}.sql`]: `select '${tag}';` });
    await database.query('create schema drizzle');
    await database.query(
      'create table drizzle.__drizzle_migrations (id serial primary key, hash text not null, created_at bigint)',
    );
    await database.query(
      "insert into drizzle.__drizzle_migrations (hash, created_at) values ('of a text with other line ends', 100)",
    );
    expect(await decide('drizzle')).toEqual(DEPLOY);
    await database.query("insert into drizzle.__drizzle_migrations (hash, created_at) values ('x', 200)");

    expect(await decide('drizzle')).toEqual({
      ...{ decision: 'nothing', refusal: null },
      warnings: [
        'Drizzle will never apply 0002_step: a migration with a later "when" in meta/_journal.json is applied already. Generate it again, so that it is the latest.',
      ],
    });
  });
});

test.each([
  ['rails', 'files such as 20240110100000_create_accounts.rb'],
  ['drizzle', 'meta/_journal.json'],
  ['prisma', 'folders such as 20240110100000_accounts/migration.sql'],
] as const)('a folder without migrations of %s is refused at synth', (tool, expected) => {
  const folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-pending-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  expect(() => readToolMigrations(tool, folder)).toThrow(
    `The folder ${folder} has no migrations of ${tool}. Give the folder with ${expected}.`,
  );
  expect(() => readToolMigrations(tool, join(folder, 'nowhere'))).toThrow('does not exist');
});

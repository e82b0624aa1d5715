import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { importSources } from '../../lib/import/import-sources.ts';
import { lintMigrations } from '../../lib/lint/lint-migrations.ts';
import { RegisteredIndexes } from '../../lib/registry/registered-indexes.ts';
import { findSources } from '../../lib/sources/find-sources.ts';
import { RailsReader } from '../../lib/sources/ruby/rails-migration.ts';

let project: string;
beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), 'pg-deploy-step-rails-'));
});
afterEach(() => rmSync(project, { recursive: true, force: true }));

function write(name: string, text: string): void {
  mkdirSync(dirname(join(project, name)), { recursive: true });
  writeFileSync(join(project, name), text);
}

/** A migration whose change method has these lines. */
function migration(lines: string, version = '7.1'): string {
  return `class Change < ActiveRecord::Migration[${version}]\n  def change\n${lines}\n  end\nend\n`;
}

/** The SQL about indexes of a migration. */
async function indexesOf(lines: string, version?: string): Promise<string[]> {
  const { text } = await new RailsReader().read('1_change.rb', migration(lines, version));
  return text
    .split('\n')
    .map((line) => line.replace(/;.*$/, ''))
    .filter((line) => /^(?:create|drop|alter).* index/.test(line));
}

async function lint(...names: string[]) {
  const { findings } = await lintMigrations({
    paths: names.map((name) => join(project, name)),
    registered: new RegisteredIndexes([]),
    startAfter: null,
    onProgress: () => {},
  });
  return findings;
}

describe('the statements of', () => {
  test.each<[string, string[]]>([
    ['add_index :users, :email', ['create index index_users_on_email on users (email)']],
    [
      "add_index :users, [:org_id, 'Name'], unique: true",
      ['create unique index "index_users_on_org_id_and_Name" on users (org_id, "Name")'],
    ],
    [
      'add_index("app.users", :email, name: :by_email, algorithm: :concurrently, if_not_exists: true)',
      ['create index concurrently if not exists by_email on app.users (email)'],
    ],
    [
      'add_index :t, %i[a b], order: { b: :desc }, where: "a > 0 AND b = \'x\'", include: [:c, "d"], nulls_not_distinct: true',
      [
        "create index index_t_on_a_and_b on t (a, b desc) include (c, d) nulls not distinct where a > 0 AND b = 'x'",
      ],
    ],
    ['add_index :t, :a, order: :desc', ['create index index_t_on_a on t (a desc)']],
    [
      'add_index :t, :a, using: :gin, opclass: :gin_trgm_ops',
      ['create index index_t_on_a on t using gin (a gin_trgm_ops)'],
    ],
    [
      'add_index :t, "lower(a), b DESC"',
      [
        'create index index_t_on_lower_a_b_DESC on t (lower(a), b DESC)'.replace(
          'index_t_on_lower_a_b_DESC',
          '"index_t_on_lower_a_b_DESC"',
        ),
      ],
    ],
    ['add_reference :t, :owner', ['create index index_t_on_owner_id on t (owner_id)']],
    ['add_reference :t, :owner, index: false', []],
    [
      'add_belongs_to :t, :owner, polymorphic: true, index: { unique: true, algorithm: :concurrently }',
      ['create unique index concurrently index_t_on_owner on t (owner_type, owner_id)'],
    ],
    [
      'add_reference :t, :owner, index: { name: "mine", where: "x" }, foreign_key: { to_table: :users }',
      ['create index mine on t (owner_id) where x'],
    ],
    ['remove_index :t, :a', ['drop index index_t_on_a']],
    [
      'remove_index :t, column: [:a, :b], algorithm: :concurrently',
      ['drop index concurrently index_t_on_a_and_b'],
    ],
    ['remove_index :t, name: "old"', ['drop index old']],
    ['rename_index :t, "old", "new"', ['alter index old rename to new']],
    [
      'create_table :t do |t|\n t.string :a, index: true\n t.references :b, index: { unique: true }\n t.index [:a, :b_id], name: "x"\nend',
      [
        'create index index_t_on_a on t (a)',
        'create unique index index_t_on_b_id on t (b_id)',
        'create index x on t (a, b_id)',
      ],
    ],
    [
      'change_table :t, bulk: true do |x|\n x.index :a\n x.remove_index :c\nend',
      ['create index index_t_on_a on t (a)', 'drop index index_t_on_c'],
    ],
    [
      '%i[a b].each { |c| add_index :t, c }\n{ x: :y }.each do |table, column| add_index table, column end',
      [
        'create index index_t_on_a on t (a)',
        'create index index_t_on_b on t (b)',
        'create index index_x_on_y on x (y)',
      ],
    ],
    [
      'reversible do |dir|\n dir.up { add_index :t, :a }\n dir.down { remove_index :t, :a }\nend',
      ['create index index_t_on_a on t (a)'],
    ],
    [
      'unless index_exists?(:t, :a)\n safety_assured { add_index :t, :a }\nelse\n add_index :t, :b\nend',
      ['create index index_t_on_a on t (a)', 'create index index_t_on_b on t (b)'],
    ],
    ['execute <<~SQL\n  create index raw on t (a);\nSQL', ['create index raw on t (a)']],
    ['add_concurrent_index :t, :a, name: "gl"', ['create index concurrently gl on t (a)']],
    ['connection.add_index :t, :a', ['create index index_t_on_a on t (a)']],
    [
      'options = { unique: true, where: "a" }\nadd_index :t, :a, **options\nadd_index :t, :b, options',
      [
        'create unique index index_t_on_a on t (a) where a',
        'create unique index index_t_on_b on t (b) where a',
      ],
    ],
    [
      'add_index :t, :a, **opts\nadd_index :t, :a, opts\nadd_index :t, :a, unique: opts',
      [
        `create index index_t_on_a on t (a, \${opts})`,
        `create index index_t_on_a on t (a, \${opts})`,
        `create index index_t_on_a on t (a, \${opts})`,
      ],
    ],
    ['add_index table, :a', [`create index on \${table} (a)`]],
  ])('%s', async (ruby, expected) => {
    expect(await indexesOf(ruby)).toEqual(expected);
  });
});

test.each<[string, string, string[]]>([
  // The digits are the first ones of SHA-256 of index_subscriptions_of_customers_on_organization_id_and_subscription_plan_id.
  [
    '7.1',
    'add_index :subscriptions_of_customers, [:organization_id, :subscription_plan_id]',
    [
      'create index idx_on_organization_id_subscription_plan_id_adfaf801ca on subscriptions_of_customers (organization_id, subscription_plan_id)',
    ],
  ],
  [
    '7.0',
    'add_index :subscriptions_of_customer, [:organisation_id, :plan_id]',
    [
      'create index index_subscriptions_of_customer_on_organisation_id_and_plan_id on subscriptions_of_customer (organisation_id, plan_id)',
    ],
  ],
  [
    '6.0',
    'add_reference :t, :owner, polymorphic: true',
    ['create index index_t_on_owner_type_and_owner_id on t (owner_type, owner_id)'],
  ],
  ['4.2', 'add_reference :t, :owner', []],
])('the default names of version %s: %s', async (version, ruby, expected) => {
  expect(await indexesOf(ruby, version)).toEqual(expected);
});

test('constants, methods of the class and the up method are read; the down method is not', async () => {
  const { text } = await new RailsReader().read(
    '1_a.rb',
    `# frozen_string_literal: true
module Billing
  class AddIndexes < ActiveRecord::Migration[7.2]
    disable_ddl_transaction!
    TABLE = :invoices
    NAME = "idx_#{TABLE}_open".freeze
    def up = nil
    def self.helper; end
    def up
      build(:status, NAME)
    end
    def down
      remove_index TABLE, name: NAME
    end
    private
    def build(column, name)
      add_index TABLE, column, name: name, where: "state = '#{'open'}'"
    end
  end
end
`,
  );
  expect(text).toBe("create index idx_invoices_open on invoices (status) where state = 'open';\n");
});

test('lint refuses each index at its line with the entry to add, and leaves out what a comment allows', async () => {
  write(
    'db/migrate/20240101000000_create_users.rb',
    migration(`    create_table :users do |t|
      t.string :email, null: false
      # Search by name
      t.index :email, unique: true
    end`),
  );
  write(
    'db/migrate/20240102000000_more.rb',
    migration(`    # pg-deploy-step: allow create-index the table has ten rows
    add_index :plans, :name
    # Users of an organisation
    add_index :users, %i[org_id name], algorithm: :concurrently
    remove_index :users, :email`),
  );
  write('db/structure.sql', 'create table users ();\ncreate index dumped on users (a);\n');
  const found = await lint('.');

  expect(
    found.map(
      ({ rule, file, line, column }) => `${basename(file, '.rb').slice(15)}:${line}:${column} ${rule}`,
    ),
  ).toEqual([
    'create_users:6:7 create-index-on-new-table',
    'more:4:5 create-index',
    'more:6:5 create-index',
    'more:7:5 drop-index',
  ]);
  expect(found[0]?.entry).toContain("name: 'index_users_on_email'");
  expect(found[0]?.entry).toContain("description: 'Search by name'");
  expect(found[2]?.entry).toContain('create index concurrently if not exists index_users_on_org_id_and_name');
  expect(found[2]?.message).toContain('Add the entry to the registry and remove the index here');
  expect(found[3]?.message).toContain('index_users_on_email');
});

test('an index whose columns only the code knows is refused, without an entry', async () => {
  write('1_a.rb', migration('    add_index table_name, columns_for(:x), name: "i"'));
  const [finding] = await lint('1_a.rb');

  expect(finding).toMatchObject({ rule: 'create-index', line: 3, entry: undefined });
  expect(finding?.message).toContain('is unknown here: write the entry yourself, and remove this statement');
});

test('import reads schema.rb, and structure.sql where it exists', async () => {
  write(
    'db/schema.rb',
    `ActiveRecord::Schema[7.1].define(version: 2024_01_01_000000) do
  enable_extension "plpgsql"

  create_table "users", force: :cascade do |t|
    t.string "email", null: false
    t.bigint "org_id"
    t.datetime "created_at", null: false
    t.index "lower((email)::text)", name: "index_users_on_lower_email", unique: true
    t.index ["org_id", "created_at"], name: "index_users_on_org", order: { created_at: :desc }, where: "(org_id IS NOT NULL)"
    t.unique_constraint ["email"], name: "users_email"
  end

  add_foreign_key "users", "orgs"
end
`,
  );
  write('db/migrate/20240101000000_a.rb', migration('add_index :users, :gone'));
  const { entries, constraints, notTaken } = await importSources(await findSources(project));

  expect(notTaken).toEqual([]);
  expect(constraints).toBe(2);
  expect(entries.map(({ sql }) => sql.replaceAll(/\s+/g, ' '))).toEqual([
    'create unique index concurrently if not exists index_users_on_lower_email on users (lower((email)::text))',
    'create index concurrently if not exists index_users_on_org on users (org_id, created_at desc) where (org_id IS NOT NULL)',
  ]);
  expect(entries[1]?.description).toContain('db/schema.rb, line 9.');

  write('db/structure.sql', 'create table users (a int);\ncreate index dumped on users (a);\n');
  const dumped = await importSources(await findSources(join(project, 'db')));
  expect(dumped.entries.map(({ name }) => name)).toEqual(['dumped']);
});

test('import reads migrations where nothing else exists, in the order of their versions, with renames and drops', async () => {
  write(
    'db/migrate/20240103000000_c.rb',
    migration('rename_table :users, :people\nremove_index :people, :b'),
  );
  write(
    'db/migrate/20240101000000_a.rb',
    migration(
      'create_table :users do |t|\n t.string :a, :b, :c\n t.index :a\n t.index :b\n t.index :c, name: "own"\nend',
    ),
  );
  const { entries, dropped } = await importSources(await findSources(project));

  expect(dropped).toBe(1);
  expect(entries.map(({ name, sql }) => `${name} ${sql.slice(sql.indexOf(' on ') + 4)}`)).toEqual([
    'index_people_on_a people (a)',
    'own people (c)',
  ]);
});

test('Ruby that is no migration, or no Ruby, is reported, and the others are read', async () => {
  write('db/migrate/1_sequel.rb', 'Sequel.migration do\n  change { add_index :t, :a }\nend\n');
  write('db/migrate/2_broken.rb', 'class A < ActiveRecord::Migration[7.1]\n  def change(\nend\n');
  write('db/migrate/3_deep.rb', `${'['.repeat(100_000)}`);
  write('db/migrate/4_good.rb', migration('add_index :t, :a'));
  const { files, skipped } = await findSources(project);

  expect(files.map(({ text }) => text)).toEqual(['create index index_t_on_a on t (a);\n']);
  expect(skipped.map(({ what }) => what)).toEqual(['file 1_sequel.rb', 'file 2_broken.rb', 'file 3_deep.rb']);
});

test('a schema.rb of thousands of tables is read whole, and a loop without an end is reported', async () => {
  const tables = Array.from(
    { length: 2_000 },
    (_, at) =>
      `  create_table "t${at}" do |t|\n    # why ${at}\n    t.string "a"\n    t.index ["a"], name: "i${at}"\n  end\n`,
  );
  write('db/schema.rb', `ActiveRecord::Schema[7.1].define(version: 1) do\n${tables.join('')}end\n`);
  const { files } = await findSources(project);
  expect(files[0]?.text.match(/create index i\d+ on/g)).toHaveLength(2_000);

  write(
    'endless/1_a.rb',
    'class A < ActiveRecord::Migration[7.1]\n  def up = again\n  def again = again\nend\n',
  );
  const { skipped } = await findSources(join(project, 'endless'));
  expect(skipped[0]?.reason).toContain('cannot be read without running it');
});

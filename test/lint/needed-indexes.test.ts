import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { lintMigrations } from '../../lib/lint/lint-migrations.ts';
import { moveIntoRegistry } from '../../lib/lint/move-into-registry.ts';
import { loadRegistry } from '../../lib/registry/load-registry.ts';
import { RegisteredIndexes } from '../../lib/registry/registered-indexes.ts';
import { onEachMajor, serverOf } from '../support/servers.ts';

const USERS = 'create table users (id int primary key, email text, name text, active bool);';

/** Lints files, given as their texts, and moves what --fix moves. */
async function lint(files: readonly string[], registry = '[]') {
  const folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-needed-'));
  try {
    return await lintIn(folder, files, registry);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function lintIn(folder: string, files: readonly string[], registry: string) {
  for (const [at, text] of files.entries()) writeFileSync(join(folder, `000${at + 1}.sql`), text);
  const file = join(folder, 'indexes.json');
  writeFileSync(file, registry);
  const registered = new RegisteredIndexes(await loadRegistry(file));
  const { findings, moves, whyNotMovable } = await lintMigrations({
    paths: files.map((_text, at) => join(folder, `000${at + 1}.sql`)),
    registered,
    startAfter: null,
    onProgress: () => {},
  });
  const { moved, kept } = await moveIntoRegistry(moves, { file }, registered, whyNotMovable);
  return {
    findings,
    moved: moved.map(({ name }) => name),
    kept: kept.map(({ name, reason }) => `${name}: ${reason.replaceAll(`${folder}/`, '')}`),
    texts: files.map((_text, at) => readFileSync(join(folder, `000${at + 1}.sql`), 'utf8')),
  };
}

describe('a unique index that a later statement needs stays in its migration, and nothing advises to move it', () => {
  test.each<[string, string, string, string]>([
    [
      'a foreign key of a new table',
      'create unique index u on users (email);',
      'create table orders (id int, email text references users (email));',
      'u: 0002.sql, line 1 needs it for FOREIGN KEY … REFERENCES users (email), and would fail on a new database',
    ],
    [
      'a foreign key on several columns, in another order',
      'create unique index "U" on users (id, email) include (name);',
      'select 1;\nalter table orders add constraint fk foreign key (a, b) references public.users (email, id);',
      'U: 0002.sql, line 2 needs it for FOREIGN KEY … REFERENCES users (email, id)',
    ],
    [
      "a foreign key in a DO block, as Drizzle's migrations have it",
      'create unique index u on users (email);',
      'DO $$ BEGIN\n ALTER TABLE "orders" ADD CONSTRAINT "fk" FOREIGN KEY ("email") REFERENCES "public"."users"("email");\nEXCEPTION\n WHEN duplicate_object THEN null;\nEND $$;',
      'u: 0002.sql, line 1 needs it for FOREIGN KEY … REFERENCES users (email)',
    ],
    [
      'ON CONFLICT',
      'create unique index u on users (email, name);',
      'insert into users values (1) on conflict (name, email) do nothing;',
      'u: 0002.sql, line 1 needs it for ON CONFLICT (name, email)',
    ],
    [
      'ON CONFLICT on an expression and a predicate',
      'create unique index u on users (lower(email)) where active;',
      'with x as (insert into users (email) values (1) on conflict (lower(email)) where active do nothing returning 1) select 1;',
      'u: 0002.sql, line 1 needs it for ON CONFLICT ((lower(email)))',
    ],
    [
      'ON CONFLICT in a function',
      'create unique index u on users (email);',
      'create function f() returns int language plpgsql as $$ declare x int; begin insert into users (email) values (1) on conflict (email) do update set name = 1 returning id into x; return x; end $$;',
      'u: function f() (0002.sql, line 1) needs it for ON CONFLICT (email)',
    ],
    [
      'ON CONFLICT in a function in standard SQL',
      'create unique index u on users (email);',
      'create function f() returns void language sql begin atomic; insert into users (email) values (1) on conflict (email) do nothing; end;',
      'u: function f() (0002.sql, line 1) needs it for ON CONFLICT (email)',
    ],
    [
      'ON CONFLICT in a string that a function runs',
      'create unique index u on users (email);',
      "create function f() returns void language plpgsql as $$ begin execute format('insert into %I (email) values (1) on conflict (email) do nothing', 't'); end $$;",
      'u: function f() (0002.sql, line 1) needs it for ON CONFLICT (email)',
    ],
    [
      'REFRESH MATERIALIZED VIEW CONCURRENTLY',
      'create materialized view users_now as select 1 as id; create unique index u on users_now (id);',
      'refresh materialized view concurrently users_now;',
      'u: 0002.sql, line 1 needs it for REFRESH MATERIALIZED VIEW CONCURRENTLY users_now',
    ],
    [
      'a function that names it',
      'create index u on users (email);',
      "create function f() returns void language plpgsql as $$ begin if to_regclass('public.u') is null then return; end if; end $$;",
      'u: function f() (0002.sql, line 1) names it, and a migration that runs the function would fail',
    ],
    [
      'a DO block that names it in a list',
      'create index u on users (email);',
      'do $$ begin drop index if exists a, public.b, u; end $$;',
      'u: 0002.sql, line 1 names it, and would fail on a new database',
    ],
    [
      'a DO block that names it',
      'create index u on users (email);',
      "do $$ begin execute 'alter index u rename to v'; end $$;",
      'u: 0002.sql, line 1 names it, and would fail on a new database',
    ],
  ])('%s', async (_what, create, later, reason) => {
    const { findings, moved, kept, texts } = await lint([`${USERS}\n${create}`, later]);

    expect(moved).toEqual([]);
    expect(kept).toEqual([expect.stringContaining(reason)]);
    expect(texts).toEqual([`${USERS}\n${create}`, later]);
    const [finding] = findings.filter(({ rule }) => rule.startsWith('create-index'));
    expect(finding?.message).toContain('Leave it here');
    expect(finding?.message).not.toMatch(/Move it|lint --fix|remove this statement/);
    expect(finding?.entry).toBeUndefined();
  });

  test('is a warning, because leaving it is right', async () => {
    const { findings } = await lint([
      USERS,
      'create unique index u on users (email);',
      'create table o (email text references users (email));',
    ]);
    expect(findings).toMatchObject([{ rule: 'create-index', severity: 'warning' }]);
    expect(findings[0]?.message).toContain('blocks writes');
  });

  test.each([
    ['create index concurrently u on users (email);', 'with CREATE INDEX CONCURRENTLY, and'],
    ['create unique index concurrently u on users (email);', 'with CREATE UNIQUE INDEX CONCURRENTLY, and'],
  ])(
    'the advice for %s builds the same index, and names the way without the registry',
    async (create, advice) => {
      const { findings } = await lint([USERS, create, 'cluster users using u;']);
      const rules = Object.fromEntries(findings.map(({ rule, message }) => [rule, message]));

      expect(rules['create-index']).toContain(advice);
      expect(rules['outside-transaction']).toContain(
        'If a later migration needs the index, remove CONCURRENTLY instead.',
      );
    },
  );

  test('also if a function that was created earlier needs it', async () => {
    const { kept } = await lint([
      `${USERS} create function f() returns void language sql as 'insert into users (email) values (1) on conflict (email) do nothing';`,
      'create unique index u on users (email);',
    ]);
    expect(kept).toEqual([expect.stringContaining('function f() (0001.sql, line 1) needs it')]);
  });
});

describe('an index that nothing later needs moves', () => {
  test.each([
    [
      'an earlier statement on the same columns',
      'insert into users values (1) on conflict (email) do nothing;',
      'create unique index u on users (email);',
      'select 1;',
    ],
    [
      'another table',
      'select 1;',
      'create unique index u on users (email);',
      'insert into other values (1) on conflict (email) do nothing;',
    ],
    [
      'other columns',
      'select 1;',
      'create unique index u on users (email);',
      'insert into users values (1) on conflict (id) do nothing;',
    ],
    [
      'a foreign key on the primary key',
      'select 1;',
      'create unique index u on users (email);',
      'create table o (u int references users, v int references users (id));',
    ],
    [
      'a constraint on the same columns',
      'alter table users add unique (email);',
      'create unique index u on users (email);',
      'create table o (e text references users (email));',
    ],
    [
      'ON CONFLICT without its predicate',
      'alter table users add unique (name);',
      'create unique index u on users (email) where active;',
      'insert into users values (1) on conflict (email) do nothing;',
    ],
    [
      'a function and a DO block that use a column with its name',
      'select 1;',
      'create index u on users (email);',
      "create function f() returns int language sql as 'select u from x where u > 1'; do $$ declare u int; begin select u into u from x; end $$;",
    ],
    [
      'ON CONFLICT without columns',
      'select 1;',
      'create unique index u on users (email);',
      'insert into users values (1) on conflict do nothing;',
    ],
    [
      'an index that is not unique',
      'select 1;',
      'create index u on users (email);',
      'insert into users values (1) on conflict (email) do nothing;',
    ],
  ])('%s', async (_what, before, create, later) => {
    const { moved, kept } = await lint([`${USERS}\n${before}`, create, later]);
    expect([moved, kept]).toEqual([['u'], []]);
  });
});

test('an index that the registry lists too, written with IF NOT EXISTS, is no finding if a later statement needs it', async () => {
  const registry = JSON.stringify([
    { name: 'u', sql: 'create unique index concurrently if not exists u on users (email)', description: 'd' },
  ]);
  const later = 'create table o (email text references users (email));';
  const both = await lint([USERS, 'create unique index if not exists u on users (email);', later], registry);
  expect([both.findings, both.moved]).toEqual([[], []]);

  const fails = await lint([USERS, 'create unique index u on users (email);', later], registry);
  expect(fails.findings[0]?.message).toContain('The registry lists u too: write IF NOT EXISTS here');
});

test('what is dropped or renamed later is not advised to move either', async () => {
  const { findings } = await lint([USERS, 'create index u on users (email);', 'drop index concurrently u;']);
  const [finding] = findings;
  expect(finding?.message).toContain('line 1 drops it, so the registry does not need it');
  expect(finding?.message).not.toContain('lint --fix');
  expect(finding?.entry).toBeUndefined();
});

onEachMajor('the migrations that --fix leaves', (major) => {
  test('can be applied to a new database', async () => {
    const { moved, kept, texts } = await lint([
      `${USERS}
       create unique index users_email on users (email); create unique index users_name on users (lower(name)) where active;
       create unique index users_both on users (id, email); create unique index users_free on users (name, active);
       create index users_active on users (active);
       create materialized view totals as select 1 as id; create unique index totals_id on totals (id);`,
      `create table orders (id int, email text references users (email));
       insert into users (id, name, active) values (1, 'a', true) on conflict (lower(name)) where active do nothing;
       refresh materialized view concurrently totals;
       create function add_user(new_id int) returns void language plpgsql as $$ begin
         execute 'insert into users (id, email) values ($1, $2) on conflict (email, id) do nothing' using new_id, 'a';
       end $$;
       select add_user(2);`,
    ]);

    expect(moved).toEqual(['users_free', 'users_active']);
    expect(kept).toHaveLength(4);
    const database = await serverOf(major).createDatabase();
    try {
      for (const text of texts) await database.query(text);
    } finally {
      await database.drop();
    }
  });
});

describe('a constraint of an existing table that a later statement needs is not advised to move', () => {
  test.each([
    [
      'a foreign key',
      'alter table users add constraint k unique (email);',
      'create table o (e text references users (email));',
    ],
    [
      'a foreign key on the primary key',
      'alter table other add primary key (id);',
      'create table o (e int references other);',
    ],
    [
      'ON CONFLICT',
      'alter table users add column k text unique;',
      'insert into users values (1) on conflict (k) do nothing;',
    ],
    [
      'ON CONFLICT ON CONSTRAINT',
      'alter table users add constraint k unique (email);',
      'insert into users values (1) on conflict on constraint k do nothing;',
    ],
    [
      'a function',
      'alter table users add constraint k unique (email);',
      "create function f() returns void language sql as 'insert into users values (1) on conflict on constraint k do nothing';",
    ],
    [
      'a statement that drops it',
      'alter table users add constraint k unique (email);',
      'alter table users drop constraint k;',
    ],
  ])('%s', async (_what, add, later) => {
    const { findings } = await lint([`${USERS} create table other (id int);`, add, later]);
    const [finding] = findings.filter(({ rule }) => rule === 'unique-constraint');
    expect(finding).toMatchObject({ severity: 'warning', entry: undefined });
    expect(finding?.message).toMatch(/Leave it here: .*0003.sql, line 1/);
    expect(finding?.message).not.toContain('add this entry');
  });
});

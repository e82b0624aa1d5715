import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type BuildEntries, openBuilds } from '../support/builds.ts';
import type { TestDatabase } from '../support/database.ts';
import { writeMigrations } from '../support/migration-files.ts';
import { openPreflight } from '../support/open-preflight.ts';
import { MAJORS } from '../support/servers.ts';
import { useDatabase } from '../support/suite-database.ts';

const EMAIL = {
  name: 'users_email',
  sql: 'create unique index concurrently if not exists users_email on users (email)',
  constraint: { name: 'users_email_key', type: 'unique' as const },
};
const PRIMARY_KEY = {
  name: 'users_id',
  sql: 'create unique index concurrently if not exists users_id on users (id)',
  constraint: { name: 'users_pkey', type: 'primary key' as const },
};

describe.each(MAJORS)('an entry with a constraint, on PostgreSQL %i', (major) => {
  let database: TestDatabase;
  useDatabase(
    major,
    `create table users (id int not null, email text, tenant int not null, name text);
     insert into users select n, 'p' || n, n % 7, 'name' from generate_series(1, 3000) n;
     create table orders (email text);`,
    (opened) => {
      database = opened;
    },
  );

  /** The constraints of a table with an index, and its other indexes. */
  async function readKeys(table = 'users'): Promise<Record<string, string>> {
    const rows = await database.query<{ name: string; definition: string }>(
      `select c.relname as name, coalesce(pg_get_constraintdef(con.oid), 'index') || case when i.indisvalid then '' else ' invalid' end as definition
         from pg_index i
         join pg_class c on c.oid = i.indexrelid
         left join pg_constraint con on con.conindid = i.indexrelid and con.contype in ('p', 'u', 'x')
        where i.indrelid = $1::regclass order by 1`,
      [table],
    );
    return Object.fromEntries(rows.map(({ name, definition }) => [name, definition]));
  }

  async function oidOf(name: string): Promise<unknown> {
    return (await database.query('select to_regclass($1)::oid as oid', [name]))[0]?.oid;
  }

  /** Deploys the entries with a new deploy. */
  async function deploy(entries: BuildEntries, name = 'one') {
    return await (await openBuilds(database.url, entries)).deploy(name);
  }

  test('becomes the index of the constraint, and the next deploy has nothing to do', async () => {
    const report = await deploy([EMAIL, PRIMARY_KEY]);

    expect(report).toMatchObject({
      users_email: {
        status: 'built',
        attempts: 1,
        error: null,
        constraint: { name: 'users_email_key', type: 'unique', attached: true },
      },
      users_id: { status: 'built', constraint: { name: 'users_pkey', attached: true } },
    });
    expect(report.users_email?.sizeBytes).toBeGreaterThan(0);
    expect(await readKeys()).toEqual({ users_email_key: 'UNIQUE (email)', users_pkey: 'PRIMARY KEY (id)' });
    const oid = await oidOf('users_email_key');
    const { preflight } = await openPreflight(database.url, [EMAIL, PRIMARY_KEY]);
    expect(await preflight({ mode: 'indexes' })).toMatchObject({ decision: 'nothing' });
    expect(await deploy([EMAIL, PRIMARY_KEY], 'two')).toMatchObject({
      users_email: { status: 'present', attempts: 0, constraint: { attached: true } },
      users_id: { status: 'present', attempts: 0 },
    });
    expect(await oidOf('users_email_key')).toEqual(oid);
  });

  test('keeps the name of the entry if the constraint has the same', async () => {
    const same = { ...EMAIL, constraint: { name: 'users_email', type: 'unique' as const } };

    expect(await deploy([same])).toMatchObject({
      users_email: { status: 'built', constraint: { attached: true } },
    });

    expect(await readKeys()).toEqual({ users_email: 'UNIQUE (email)' });
    expect(await deploy([same], 'two')).toMatchObject({ users_email: { status: 'present', attempts: 0 } });
  });

  test('can have INCLUDE columns, storage options and names that need quotes', async () => {
    await database.query(
      'create schema "App"; create table "App"."Users" ("E-Mail" text not null, "Who" int)',
    );
    const sql = `create unique index concurrently if not exists "Idx" on "App"."Users" ("E-Mail") include ("Who") with (fillfactor = 70)`;
    const entry = { name: 'Idx', sql, constraint: { name: 'The "Key"', type: 'primary key' as const } };

    expect(await deploy([entry])).toMatchObject({ Idx: { status: 'built', error: null } });

    expect(await readKeys('"App"."Users"')).toEqual({
      'The "Key"': 'PRIMARY KEY ("E-Mail") INCLUDE ("Who")',
    });
    expect(await database.query(`select reloptions from pg_class where relname = 'The "Key"'`)).toEqual([
      { reloptions: ['fillfactor=70'] },
    ]);
    expect(await deploy([entry], 'two')).toMatchObject({ Idx: { status: 'present', attempts: 0 } });
  });

  test('only adds the constraint to a valid index', async () => {
    await database.query('create unique index users_email on users (email)');
    const oid = await oidOf('users_email');
    const { examine } = await openBuilds(database.url, [EMAIL]);
    expect((await examine()).users_email).toMatchObject({
      state: 'missing',
      detail: null,
      constraint: { attached: false, indexValid: true },
    });

    expect(await deploy([EMAIL])).toMatchObject({
      users_email: { status: 'built', attempts: 1, error: null },
    });

    expect(await oidOf('users_email_key')).toEqual(oid);
    expect(await readKeys()).toEqual({ users_email_key: 'UNIQUE (email)' });
  });

  test('only adds the constraint to an index that has the name of the constraint', async () => {
    await database.query('create unique index users_email_key on users (email)');
    const oid = await oidOf('users_email_key');

    expect(await deploy([EMAIL])).toMatchObject({ users_email: { status: 'built', attempts: 1 } });

    expect(await oidOf('users_email_key')).toEqual(oid);
    expect(await readKeys()).toEqual({ users_email_key: 'UNIQUE (email)' });
  });

  test.each([['users_email'], ['users_email_key']])('replaces an invalid index %s', async (name) => {
    await database.query("insert into users values (4001, 'p1', 1, '')");
    await database
      .query(`create unique index concurrently ${name} on users (email)`)
      .catch(() => 'duplicate');
    expect(await readKeys()).toEqual({ [name]: 'index invalid' });
    await database.query('delete from users where id = 4001');

    expect(await deploy([EMAIL])).toMatchObject({ users_email: { status: 'repaired', attempts: 1 } });

    expect(await readKeys()).toEqual({ users_email_key: 'UNIQUE (email)' });
  });

  test('replaces an invalid index that has a comment, keeps the comment, and then adds the constraint', async () => {
    await database.query("insert into users values (4001, 'p1', 1, '')");
    await database
      .query('create unique index concurrently users_email on users (email)')
      .catch(() => 'duplicate');
    await database.query("comment on index users_email is 'sign in'; delete from users where id = 4001");

    expect(await deploy([EMAIL])).toMatchObject({
      users_email: { error: null, constraint: { attached: true } },
    });

    expect(await readKeys()).toEqual({ users_email_key: 'UNIQUE (email)' });
    expect(await database.query("select obj_description('users_email_key'::regclass) as text")).toEqual([
      { text: 'sign in' },
    ]);
  });

  test('fails on duplicates, without values of rows, and leaves nothing', async () => {
    await database.query("insert into users values (4001, 'p1', 1, '')");

    const { users_email: report } = await deploy([EMAIL]);

    expect(report).toMatchObject({
      status: 'failed',
      error: { sqlstate: '23505' },
      constraint: { attached: false },
    });
    expect(report?.error?.message).toContain('could not create unique index');
    expect(report?.error?.message).not.toContain('p1');
    expect(await readKeys()).toEqual({});
  });

  test('is added again after someone has dropped it', async () => {
    await deploy([EMAIL]);
    await database.query('alter table users drop constraint users_email_key');

    expect(await deploy([EMAIL], 'two')).toMatchObject({ users_email: { status: 'built', attempts: 1 } });
    expect(await readKeys()).toEqual({ users_email_key: 'UNIQUE (email)' });
  });

  test('keeps the foreign keys, the replica identity and the CLUSTER mark of its index', async () => {
    await database.query(
      `alter table users alter column email set not null;
       create unique index users_email on users (email);
       create table logins (email text references users (email));
       alter table users replica identity using index users_email; alter table users cluster on users_email`,
    );

    expect(await deploy([EMAIL])).toMatchObject({ users_email: { status: 'built', error: null } });

    expect(
      await database.query(
        `select indisreplident as replica, indisclustered as clustered, (select conindid::regclass::text from pg_constraint where contype = 'f') as referenced
           from pg_index where indexrelid = 'users_email_key'::regclass`,
      ),
    ).toEqual([{ replica: true, clustered: true, referenced: 'users_email_key' }]);
    await database.query('create table sessions (email text references users (email))');
    expect(await deploy([EMAIL], 'two')).toMatchObject({ users_email: { status: 'present', attempts: 0 } });
  });

  test('is added in every schema that matches, and the others do not wait for one with duplicates', async () => {
    const schemas = Array.from({ length: 12 }, (_none, at) => `tenant_${at + 1}`);
    await database.query(
      schemas.map((name) => `create schema ${name}; create table ${name}.users (email text);`).join(' '),
    );
    await database.query("insert into tenant_3.users values ('a'), ('a')");
    const entry = { ...EMAIL, schemas: ['tenant_*'] };

    const builds = await openBuilds(database.url, [entry]);
    await builds.deploy('one');

    const rows = await database.query<{ schema: string }>(
      "select connamespace::regnamespace::text as schema from pg_constraint where conname = 'users_email_key' and contype = 'u'",
    );
    const wanted = schemas.filter((name) => name !== 'tenant_3');
    expect(rows.map(({ schema }) => schema).toSorted()).toEqual(wanted.toSorted());
    await database.query(
      'delete from tenant_3.users; create schema tenant_13; create table tenant_13.users (email text)',
    );
    await builds.deploy('two');
    const [row] = await database.query<{ count: number }>(
      "select count(*)::int as count from pg_constraint where conname = 'users_email_key'",
    );
    expect(row?.count).toBe(13);
    expect((await (await openPreflight(database.url, [entry])).preflight({ mode: 'indexes' })).decision).toBe(
      'nothing',
    );
  });

  describe('is not added, and nothing is changed,', () => {
    /** The constraint or index that exists already, its report, and what the warning says. */
    const DRIFTED: [what: string, sql: string, detail: RegExp, drift: RegExp][] = [
      [
        'if a constraint of its name has other columns',
        'alter table users add constraint users_email_key unique (email, tenant)',
        /^UNIQUE \(email, tenant\)$/,
        /is the constraint "users_email_key", so it is not replaced: correct the registry, or drop the constraint in a migration/,
      ],
      [
        'if a constraint of its name has INCLUDE columns',
        'alter table users add constraint users_email_key unique (email) include (tenant)',
        /INCLUDE \(tenant\)/,
        /not replaced/,
      ],
      [
        'if a constraint of its name is deferrable',
        'alter table users add constraint users_email_key unique (email) deferrable',
        /^UNIQUE \(email\) DEFERRABLE$/,
        /not replaced/,
      ],
      [
        'if a constraint of its name is a primary key',
        'alter table users alter email set not null; alter table users add constraint users_email_key primary key (email)',
        /^PRIMARY KEY \(email\)$/,
        /not replaced/,
      ],
      [
        'if a constraint of its name is a CHECK',
        "alter table users add constraint users_email_key check (email <> '')",
        /^CHECK$/,
        /not replaced/,
      ],
      [
        'if an index of the name of the entry has other columns',
        'create unique index users_email on users (email, tenant)',
        /^unique USING btree \(email, tenant\)$/,
        /cannot be the index of constraint "users_email_key".*drop the index in a migration/,
      ],
      [
        'if an index of the name of the entry is partial',
        'create unique index users_email on users (email) where id > 0',
        /WHERE/,
        /cannot be the index of constraint/,
      ],
      [
        'if an index of the name of the entry has another operator class',
        'create unique index users_email on users (email text_pattern_ops)',
        /text_pattern_ops/,
        /cannot be the index of constraint/,
      ],
      [
        'if an index of the name of the constraint is not unique',
        'create index users_email_key on users (email)',
        /^USING btree \(email\)$/,
        /cannot be the index of constraint/,
      ],
    ];
    test.each(DRIFTED)('%s: the report shows the drift', async (_what, sql, detail, drift) => {
      await database.query(sql);
      const before = await readKeys();
      const builds = await openBuilds(database.url, [EMAIL]);

      expect(await builds.deploy('one')).toMatchObject({
        users_email: {
          status: 'drifted',
          detail: expect.stringMatching(detail),
          constraint: { attached: false },
        },
      });

      expect(builds.drifted).toEqual([expect.stringMatching(drift)]);
      expect(await readKeys()).toEqual(before);
    });

    test.each([
      ['a unique constraint', 'alter table users add constraint other unique (email)', EMAIL],
      [
        'a primary key',
        'alter table users alter email set not null; alter table users add constraint other primary key (email)',
        EMAIL,
      ],
      ['the primary key', 'alter table users add constraint other primary key (id)', PRIMARY_KEY],
    ])('if %s on the same columns has another name', async (_what, sql, entry) => {
      await database.query(sql);
      expect(await deploy([entry])).toMatchObject({
        [entry.name]: { status: 'equivalent', detail: 'other', attempts: 0, constraint: { attached: false } },
      });
      expect(Object.keys(await readKeys())).toEqual(['other']);
    });

    const REFUSED: [
      what: string,
      sql: string,
      entry: BuildEntries[number],
      sqlstate: string,
      message: RegExp,
    ][] = [
      [
        'if its table is partitioned',
        'drop table users; create table users (email text) partition by list (email); create table users_1 partition of users default',
        EMAIL,
        '0A000',
        /users is a partitioned table.*Remove "constraint" from the entry/,
      ],
      [
        'if its table is a materialized view',
        'alter table users rename to people; create materialized view users as select * from people',
        EMAIL,
        '42809',
        /users is not a table/,
      ],
      [
        'if another relation has its name',
        'create table users_email_key (id int)',
        EMAIL,
        '42P07',
        /already used by a relation that is not an index.*Rename that relation, or choose another name/,
      ],
      [
        'if an index of another table has its name',
        'create index users_email_key on orders (email)',
        EMAIL,
        '42P07',
        /already used by an index of table orders/,
      ],
      [
        'if its table has another primary key',
        'alter table users add constraint old_key primary key (tenant, id)',
        PRIMARY_KEY,
        '42P16',
        /already has the primary key "old_key" \(PRIMARY KEY \(tenant, id\)\)/,
      ],
    ];
    test.each(REFUSED)(
      '%s: no index is built, and a critical one is refused in preflight',
      async (...refused) => {
        const [_what, sql, entry, sqlstate, message] = refused;
        await database.query(sql);
        const before = await readKeys();

        expect(await deploy([entry])).toMatchObject({
          [entry.name]: {
            status: 'failed',
            attempts: 0,
            error: { sqlstate, message: expect.stringMatching(message) },
          },
        });

        expect(await readKeys()).toEqual(before);
        const { preflight } = await openPreflight(database.url, [{ ...entry, critical: true }]);
        expect(await preflight({ mode: 'indexes' })).toMatchObject({
          decision: 'refused',
          refusal: expect.stringMatching(message),
        });
      },
    );

    test('if it is a primary key and NULL is allowed; the statements of the message change that', async () => {
      await database.query('alter table users alter column id drop not null');

      const { users_id: report } = await deploy([PRIMARY_KEY]);

      expect(report).toMatchObject({ status: 'failed', attempts: 0, error: { sqlstate: '23502' } });
      expect(report?.error?.message).toContain('NULL is allowed in "id" of table users');
      expect(await readKeys()).toEqual({});
      await runStatementsOf(report?.error?.message);
      expect(await deploy([PRIMARY_KEY], 'two')).toMatchObject({
        users_id: { status: 'built', error: null },
      });
      expect(await readKeys()).toEqual({ users_pkey: 'PRIMARY KEY (id)' });
      expect(
        await database.query(
          "select from pg_constraint where conrelid = 'users'::regclass and contype = 'c'",
        ),
      ).toEqual([]);
    });

    test('and a critical one is a warning while a migration is pending, which can change that', async () => {
      await database.query('alter table users alter column id drop not null');
      const parent = mkdtempSync(join(tmpdir(), 'constraints-'));
      const folder = writeMigrations(parent, {
        '1_not-null': 'alter table users alter column id set not null',
      });
      try {
        const critical = { ...PRIMARY_KEY, critical: true };
        const { preflight } = await openPreflight(database.url, [critical], folder);

        expect(await preflight()).toMatchObject({
          decision: 'deploy',
          warnings: expect.arrayContaining([
            expect.stringMatching(
              /^Unless a pending migration changes that, the deploy fails: .*NULL is allowed in "id"/,
            ),
          ]),
        });
        expect(await preflight({ mode: 'indexes' })).toMatchObject({ decision: 'refused' });
      } finally {
        rmSync(parent, { recursive: true, force: true });
      }
    });

    // Earlier versions have no such constraint.
    const testFrom18 = major >= 18 ? test : () => {};
    testFrom18('if it is a primary key and NOT NULL is not validated', async () => {
      await database.query(
        `alter table users alter column id drop not null;
         alter table users add constraint id_known not null id not valid`,
      );

      const { users_id: report } = await deploy([PRIMARY_KEY]);

      expect(report).toMatchObject({ status: 'failed', error: { sqlstate: '23502' } });
      await runStatementsOf(report?.error?.message);
      expect(await deploy([PRIMARY_KEY], 'two')).toMatchObject({
        users_id: { status: 'built', error: null },
      });
    });
  });

  /** Runs each statement that a message tells the reader to run. */
  async function runStatementsOf(message: string | undefined): Promise<void> {
    const statements = message?.match(/ALTER TABLE [^;]*;/g) ?? [];
    expect(statements).not.toEqual([]);
    for (const statement of statements) await database.query(statement);
  }
});

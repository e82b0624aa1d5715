import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { describeMigrationFailure } from '../../lambdas/shared/migration-runner.ts';
import type { RunMigrationsResult } from '../../lambdas/shared/payloads.ts';
import { shippedStatements } from '../../lib/functions/ship-migrations.ts';
import { connect, createDatabase, type TestDatabase } from '../support/database.ts';
import { migrate } from '../support/migrate.ts';
import type { Migrations } from '../support/migration-files.ts';
import { onEachMajor, serverOf } from '../support/servers.ts';

/* What run-migrations reports when files were shipped that synth refuses, and what one file leaves to the next. */

const folders: string[] = [];

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-one-'));
  folders.push(folder);
  return folder;
}

function sentence({ failure }: RunMigrationsResult): string {
  return failure === null ? '' : describeMigrationFailure(failure);
}

onEachMajor('migrations in one transaction', (major) => {
  const server = serverOf(major);

  async function inDatabase(use: (database: TestDatabase) => Promise<void>): Promise<void> {
    const database = await server.createDatabase();
    try {
      await use(database);
    } finally {
      await database.drop();
    }
  }

  const run = async (database: TestDatabase, migrations: Migrations, deploy = 'deploy-1') =>
    await migrate({ databaseUrl: database.url, folder: newFolder(), migrations, deploy });

  const tables = async (database: TestDatabase) =>
    (
      await database.query<{ name: string }>(
        "select tablename as name from pg_tables where schemaname = 'public' and tablename <> 'pgmigrations' order by 1",
      )
    ).map(({ name }) => name);

  const recorded = async (database: TestDatabase) =>
    (await database.query<{ name: string }>('select name from pgmigrations order by id')).map(
      ({ name }) => name,
    );

  test.each([
    ['commit;', 'create table b (); commit; create table c ();'],
    ['end', 'create table b ();\nend;\ncreate table c ();'],
    ['commit and chain', 'create table b ();\ncommit and chain;\ncreate table c ();'],
    ['commit, and a new transaction', 'create table b (); commit; begin; create table c ();'],
  ])('a file that commits: the report says that a part was applied (%s)', async (_name, sql) => {
    await inDatabase(async (database) => {
      const result = await run(database, {
        '0001_a': 'create table a ();',
        '0002_b': sql,
        '0003_d': 'select 1;',
      });

      expect(await tables(database)).toEqual(['a', 'b']);
      expect(await recorded(database)).toEqual(['0001_a']);
      expect(result).toMatchObject({ status: 'failed', applied: ['0001_a'], pending: ['0002_b', '0003_d'] });
      expect(result.failure).toMatchObject({ file: '0002_b', changes: 'some' });
      expect(sentence(result)).toContain('failed, and a part of the migrations was applied');
    });
  });

  test.each([
    ['rollback', 'create table b ();\nrollback;\ncreate table c ();'],
    ['abort and chain', 'create table b ();\nabort and chain;\ncreate table c ();'],
    ['rollback, and a new transaction', 'rollback;\nbegin;\ncreate table c ();'],
  ])('a file that rolls back: no migration is recorded, and the report says so (%s)', async (_name, sql) => {
    await inDatabase(async (database) => {
      const result = await run(database, { '0001_a': 'create table a ();', '0002_b': sql });

      expect(await tables(database)).toEqual([]);
      expect(await recorded(database)).toEqual([]);
      expect(result).toMatchObject({ status: 'failed', applied: [], pending: ['0001_a', '0002_b'] });
      expect(sentence(result)).toContain('failed, and no migration was applied');
      expect(result.failure?.message).toContain('ended the transaction');
    });
  });

  test('several statements that are sent at once and end the transaction: the report does not claim to know', async () => {
    await inDatabase(async (database) => {
      const sql = 'rollback; create table b ();';
      const result = await migrate({
        ...{ databaseUrl: database.url, folder: newFolder() },
        migrations: { '0001_a': sql },
        statements: { '0001_a': [{ sql, line: 1, whole: true }] },
      });

      expect(await tables(database)).toEqual(['b']);
      expect(sentence(result)).toContain('failed, and it is unknown whether migrations were applied');
    });
  });

  test('COMMIT in the code of a DO block is refused by PostgreSQL, and the message explains it', async () => {
    await inDatabase(async (database) => {
      const result = await run(database, { '0001_a': 'create table a ();\ndo $$ begin commit; end $$;' });

      expect(await tables(database)).toEqual([]);
      expect(result.failure).toMatchObject({ line: 2, sqlstate: '2D000', changes: 'none' });
      expect(result.failure?.message).toContain('all pending files in one transaction');
    });
  });

  test('a constraint that fails at COMMIT is not blamed on a file', async () => {
    await inDatabase(async (database) => {
      const result = await run(database, {
        '0001_a':
          'create table a (id int primary key); create table b (a int references a deferrable initially deferred);',
        '0002_b': 'insert into b values (1);',
        '0003_c': 'create table c ();',
      });

      expect(await tables(database)).toEqual([]);
      expect(result.failure).toMatchObject({
        file: null,
        statement: 'COMMIT',
        sqlstate: '23503',
        changes: 'none',
      });
    });
  });

  test('settings and roles of a file do not apply to the next one, nor to the records of node-pg-migrate', async () => {
    await inDatabase(async (database) => {
      const role = `nobody_${database.name}`;
      await database.query(`create role ${role}`);
      const settings = `array[current_setting('search_path'), current_setting('statement_timeout'), current_setting('lock_timeout'),
        current_setting('DateStyle'), current_setting('TimeZone'), current_setting('session_replication_role'), current_user, session_user]`;
      const migrations = {
        '0001_a': `create table first as select ${settings} as value;`,
        '0002_b': `set statement_timeout = '1h'; set lock_timeout = 0; set datestyle = 'SQL'; set time zone 'Asia/Tokyo';
          set local session_replication_role = replica; select pg_catalog.set_config('search_path', '', false);
          create table public.b (); set session authorization ${role};`,
        '0003_c': `create table c as select ${settings} as value;`,
        '0004_d': `set role ${role};`,
        '0005_e':
          'reset all; set default_transaction_read_only = on; listen x; select pg_advisory_unlock_all();',
        '0006_f': 'create table f ();',
      };
      // Only a superuser may use SET SESSION AUTHORIZATION and session_replication_role.
      const result = await migrate({
        ...{ databaseUrl: database.url, asSuperuser: true, folder: newFolder(), migrations },
      });

      expect(result).toMatchObject({ status: 'applied', failure: null });
      const [row] = await database.query<{ same: boolean; owner: string }>(
        'select (select value from first) = (select value from c) as same',
      );
      expect(row).toEqual({ same: true });
      expect(await recorded(database)).toHaveLength(6);
      await database.query(`drop role ${role}`);
    });
  });

  test('the initial role of the session is the role of each file', async () => {
    await inDatabase(async (database) => {
      const [login, owner] = [`login_${database.name}`, `owner_${database.name}`];
      await database.query(
        `create role ${owner}; create role ${login} superuser login password 'login'; grant ${owner} to ${login};
         grant create, usage on schema public to ${owner}; grant create on database ${database.name} to ${owner};
         alter role ${login} set role = ${owner}`,
      );
      const url = new URL(database.url);
      url.username = login;
      url.password = 'login';
      const migrations = {
        '0001_a': 'create table a (); reset role; set role none;',
        '0002_b': 'create table b (); set session authorization default;',
        '0003_c': 'create table c ();',
      };
      const { status } = await migrate({ databaseUrl: url.href, folder: newFolder(), migrations });

      expect(status).toBe('applied');
      const owners = await database.query(
        "select distinct tableowner as owner from pg_tables where schemaname = 'public'",
      );
      expect(owners).toEqual([{ owner }]);
      await database.query(`drop owned by ${owner}, ${login}; drop role ${owner}, ${login}`);
    });
  });

  test('a session without the lock of the migrations is impossible, even if a file releases all advisory locks', async () => {
    await inDatabase(async (database) => {
      const other = await connect(database.url);
      const result = await run(database, {
        '0001_a': `select pg_advisory_unlock_all();
          create table held as select exists (
            select from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()
               and (classid::bigint << 32) | objid::bigint = 7241865325823964) as held;`,
      });
      await other.end();

      expect(result.status).toBe('applied');
      expect(await database.query('select held from held')).toEqual([{ held: true }]);
    });
  });

  test('the encoding of the client cannot change in the middle of a file', async () => {
    await inDatabase(async (database) => {
      const result = await run(database, {
        '0001_a':
          "do $$ begin perform set_config('client_encoding', 'LATIN1', false); end $$;\ncreate table a ();",
      });

      expect(result.failure).toMatchObject({ file: '0001_a', line: 1, changes: 'none' });
      expect(result.failure?.message).toContain('client_encoding to LATIN1');
    });
  });

  test('a character that the encoding of the database does not have is reported with its line', async () => {
    const name = `latin_${major}`;
    const admin = await connect(server.adminUrl);
    await admin.query(`create database ${name} encoding 'LATIN1' template template0 locale 'C'`);
    const url = new URL(server.adminUrl);
    url.pathname = `/${name}`;
    try {
      const migrations = {
        '0001_a': "create table a (t text);\ninsert into a\n  values ('é'),\n  ('a → b');",
      };
      const result = await migrate({ databaseUrl: url.href, folder: newFolder(), migrations });

      expect(result.failure).toMatchObject({ file: '0001_a', line: 4, sqlstate: '22P05', changes: 'none' });
      expect(result.failure?.message).toContain('LATIN1');
    } finally {
      await admin.query(`drop database ${name} with (force)`);
      await admin.end();
    }
  });

  test('a file that was not shipped with its statements is not recorded as applied', async () => {
    await inDatabase(async (database) => {
      const migrations = { '0001_a': 'create table a ();', '0002_b': 'create table b ();' };
      const result = await migrate({
        ...{ databaseUrl: database.url, folder: newFolder(), migrations },
        statements: shippedStatements({ '0001_a': migrations['0001_a'] }),
      });

      expect(result).toMatchObject({
        status: 'failed',
        applied: [],
        failure: { file: '0002_b', changes: 'none' },
      });
      expect(await tables(database)).toEqual([]);
    });
  });

  test('a NUL byte is an error of the file, not a lost connection', async () => {
    await inDatabase(async (database) => {
      const result = await run(database, { '0001_a': "create table a ();\nselect 'a\0b';" });

      expect(result.failure).toMatchObject({ file: '0001_a', line: 2, sqlstate: null, changes: 'none' });
      expect(result.failure?.message).toContain('NUL');
    });
  });

  test('a second attempt of a deploy names what the first one applied, another deploy does not', async () => {
    await inDatabase(async (database) => {
      const files = { '0001_a': 'create table a ();', '0002_b': 'create table b ();' };
      await run(database, { '0001_a': files['0001_a'] }, 'deploy-0');
      const first = await run(database, files);
      const second = await run(database, files);
      const other = await run(database, files, 'deploy-2');

      expect(first.applied).toEqual(['0002_b']);
      expect(second).toEqual(first);
      expect(other).toMatchObject({ status: 'applied', applied: [], pending: [] });
    });
  });
});

test('a role that cannot record its deploy applies the migrations all the same', async () => {
  const database = await createDatabase();
  const role = `plain_${database.name}`;
  await database.query(
    `create role ${role} login password 'plain'; grant create, usage on schema public to ${role};
     revoke create on database ${database.name} from public`,
  );
  const url = new URL(database.url);
  url.username = role;
  url.password = 'plain';
  try {
    const migrations = { '0001_a': 'create table a ();' };
    const result = await migrate({ databaseUrl: url.href, folder: newFolder(), migrations });

    expect(result).toMatchObject({ status: 'applied', applied: ['0001_a'] });
  } finally {
    await database.query(`drop owned by ${role} cascade; drop role ${role}`);
    await database.drop();
  }
});

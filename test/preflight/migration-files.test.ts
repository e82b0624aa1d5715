import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { connect, createDatabase, readRelations, type TestDatabase } from '../support/database.ts';
import { type Migrations, writeMigrations } from '../support/migration-files.ts';
import { openPreflight } from '../support/open-preflight.ts';
import { onEachMajor, serverOf } from '../support/servers.ts';

let database: TestDatabase;
let folder: string;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-shipped-'));
  database = await createDatabase();
});
afterEach(async () => {
  await database.drop();
  rmSync(folder, { recursive: true, force: true });
});

/** @param shipped the files that synth has seen @default the same files */
async function refusalOf(files: Migrations, shipped = files, input?: unknown) {
  const { preflight } = await openPreflight(database.url, [], writeMigrations(folder, files), shipped);
  return await preflight(input);
}

test.each([
  [
    'create table a ();\n  commit;',
    '0002_b.sql:2:3: The deploy applies all pending files in one transaction. COMMIT',
  ],
  ['rollback;', '0002_b.sql:1:1: '],
  ['vacuum;', '0002_b.sql:1:1: PostgreSQL refuses VACUUM inside a transaction.'],
  ['\\connect other', '0002_b.sql:1:1: \\connect other is a command of psql.'],
  ["set client_encoding = 'LATIN1';", '0002_b.sql:1:1: SET changes client_encoding'],
])('a shipped file that breaks the transaction is refused with file and line: %j', async (sql, message) => {
  const before = await readRelations(database);
  const { decision, refusal } = await refusalOf({ '0001_a': 'select 1;', '0002_b': sql });

  expect(decision).toBe('refused');
  expect(refusal).toContain(message);
  expect(await readRelations(database)).toEqual(before);
});

test('a file that synth has not seen, or has seen with another content, is refused', async () => {
  const { refusal } = await refusalOf(
    { '0001_a': 'select 1;', '0002_b': 'select 2; commit;', '0003_c': 'select 3;' },
    { '0001_a': 'select 1;', '0002_b': 'select 2;' },
  );

  expect(refusal).toContain('0002_b.sql has changed since synth checked it: run cdk deploy.');
  expect(refusal).toContain('0003_c.sql was not checked by synth');
  expect(refusal).not.toContain('0001_a');
});

test('bytes that are not UTF-8 in a shipped file are refused', async () => {
  const directory = writeMigrations(folder, { '0001_a': '' });
  for (const file of readdirSync(directory))
    writeFileSync(
      join(directory, file),
      Buffer.concat([Buffer.from("select 'caf"), Buffer.from([0xe9]), Buffer.from("';")]),
    );
  const { preflight } = await openPreflight(database.url, [], directory);

  expect((await preflight()).refusal).toContain('0001_a.sql has changed since synth checked it');
});

test('files that are applied already, and the other modes, do not need the check', async () => {
  await database.query(
    "create table pgmigrations (id serial, name text, run_on timestamp); insert into pgmigrations values (1, '0001_a', now())",
  );

  expect(await refusalOf({ '0001_a': 'commit;' })).toMatchObject({ decision: 'nothing', refusal: null });
  expect(
    await refusalOf({ '0001_a': 'commit;', '0002_b': 'commit;' }, undefined, { mode: 'indexes' }),
  ).toMatchObject({
    decision: 'nothing',
  });
});

onEachMajor('a database in another encoding', (major) => {
  test('has no place for some characters: they are refused with their line, and others are not', async () => {
    const server = serverOf(major);
    const admin = await connect(server.adminUrl);
    const own = mkdtempSync(join(tmpdir(), 'pg-deploy-step-encoding-'));
    const decide = async (encoding: string, files: Migrations) => {
      const name = `preflight_${encoding.toLowerCase()}_${major}`;
      await admin.query(`create database ${name} encoding '${encoding}' template template0 locale 'C'`);
      const url = new URL(server.adminUrl);
      url.pathname = `/${name}`;
      const { preflight } = await openPreflight(url.href, [], writeMigrations(own, files));
      const answer = await preflight();
      await admin.query(`drop database ${name} with (force)`);
      return answer;
    };
    try {
      const files = { '0001_a': "select 'é';\n-- →\n\nselect 'a',\n  'b → c';" };

      expect(await decide('LATIN1', files)).toMatchObject({
        decision: 'refused',
        refusal: expect.stringContaining('0001_a.sql, line 5: a character does not exist in LATIN1'),
      });
      expect(await decide('SQL_ASCII', files)).toMatchObject({ decision: 'deploy', refusal: null });
    } finally {
      await admin.end();
      rmSync(own, { recursive: true, force: true });
    }
  });
});

onEachMajor('a statement that PostgreSQL refuses inside a transaction only on some objects', (major) => {
  test('is refused before anything is stopped if the database has such an object, and is no problem otherwise', async () => {
    const own = await serverOf(major).createDatabase();
    const files = mkdtempSync(join(tmpdir(), 'pg-deploy-step-refused-'));
    const decide = async (sql: string) =>
      await (await openPreflight(own.url, [], writeMigrations(files, { '0001_a': sql }))).preflight();
    try {
      await own.query(
        `create table plain (a int); create table parts (a int) partition by list (a);
         create index parts_i on parts (a); create publication pub`,
      );
      await own.query(
        `create subscription without_slot connection 'host=nowhere' publication pub with (connect = false, slot_name = none)`,
      );
      await own.query(
        `create subscription sub connection 'host=nowhere' publication pub with (connect = false, slot_name = 'sub')`,
      );

      for (const sql of [
        'reindex table parts',
        'reindex index parts_i',
        'cluster parts',
        'drop subscription sub',
      ]) {
        const { decision, refusal } = await decide(`select 1;\n  ${sql};`);
        expect([sql, decision]).toEqual([sql, 'refused']);
        expect(refusal).toContain('0001_a.sql:2:3: PostgreSQL refuses');
      }
      for (const sql of ['reindex table plain', 'cluster nowhere', 'drop subscription without_slot']) {
        expect([sql, (await decide(sql)).refusal]).toEqual([sql, null]);
      }
    } finally {
      await own.query('alter subscription sub set (slot_name = none)');
      await own.query('drop subscription sub');
      await own.query('drop subscription without_slot');
      await own.drop();
      rmSync(files, { recursive: true, force: true });
    }
  });
});

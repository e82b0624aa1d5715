import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MigrationLinter } from '../../lib/lint/migrations/migration-linter.ts';
import { RegisteredIndexes } from '../../lib/registry/registered-indexes.ts';
import { readSql } from '../../lib/sql/read-sql.ts';
import type { TestDatabase } from '../support/database.ts';
import { onEachMajor, serverOf } from '../support/servers.ts';

/** The messages about one file after others. */
function messagesOf(text: string, ...before: string[]): string[] {
  const linter = new MigrationLinter(new RegisteredIndexes([]));
  for (const [at, earlier] of before.entries()) {
    linter.lint({ file: `000${at}_a.sql`, text: earlier, hasLines: true });
  }
  return linter.lint({ file: '0009_z.sql', text, hasLines: true }).findings.map(({ message }) => message);
}

/** The statements to run in a message. */
function statementsIn(message: string): string[] {
  const text = /outside of a transaction: (?<sql>.*?;)(?: [A-Z][a-z]|$)/s.exec(message)?.groups?.sql ?? '';
  return readSql(text).statements.map(({ sql }) => sql);
}

describe('the message about DROP INDEX and REINDEX has the statements to run', () => {
  test.each([
    ['one index', 'drop index i;', ['DROP INDEX CONCURRENTLY i']],
    [
      'every index of a list, since PostgreSQL drops only one concurrently',
      'drop index a, s.b, "C"',
      ['DROP INDEX CONCURRENTLY a', 'DROP INDEX CONCURRENTLY s.b', 'DROP INDEX CONCURRENTLY "C"'],
    ],
    ['no IF EXISTS, which would hide a wrong name', 'drop index if exists i', ['DROP INDEX CONCURRENTLY i']],
    [
      'quoted names, keywords and mixed case',
      'drop index "Users_email_key", "select", "a""b", "ü", "my schema"."my index"',
      [
        'DROP INDEX CONCURRENTLY "Users_email_key"',
        'DROP INDEX CONCURRENTLY "select"',
        'DROP INDEX CONCURRENTLY "a""b"',
        'DROP INDEX CONCURRENTLY "ü"',
        'DROP INDEX CONCURRENTLY "my schema"."my index"',
      ],
    ],
    [
      'the schema that the file sets',
      'set search_path = app; drop index i',
      ['DROP INDEX CONCURRENTLY app.i'],
    ],
    ['REINDEX of a table', 'reindex table "Users"', ['REINDEX (CONCURRENTLY) TABLE "Users"']],
    [
      'its options',
      'reindex (verbose, tablespace "T 1") index i',
      ['REINDEX (VERBOSE, TABLESPACE "T 1", CONCURRENTLY) INDEX i'],
    ],
    ['(CONCURRENTLY false)', 'reindex (concurrently false) index i', ['REINDEX (CONCURRENTLY) INDEX i']],
    [
      '(CONCURRENTLY off, VERBOSE off)',
      'reindex (concurrently off, verbose off) index i',
      ['REINDEX (CONCURRENTLY) INDEX i'],
    ],
    [
      'the last of two options',
      'reindex (concurrently, concurrently 0) index i',
      ['REINDEX (CONCURRENTLY) INDEX i'],
    ],
    ['REINDEX SYSTEM, which cannot be concurrent', 'reindex system', ['REINDEX SYSTEM']],
  ])('%s', (_what, sql, expected) => {
    expect(messagesOf(sql)).toHaveLength(1);
    expect(statementsIn(messagesOf(sql).join())).toEqual(expected);
  });

  test('the index of a partitioned table is dropped without CONCURRENTLY, which PostgreSQL does not support there', () => {
    const created = 'create table p (a int) partition by list (a); create index p_i on p (a);';
    expect(statementsIn(messagesOf('drop index p_i', created).join())).toEqual(['DROP INDEX p_i']);
  });

  test('CASCADE is not run concurrently, and the message says what to do', () => {
    const [message = ''] = messagesOf('drop index i cascade');
    expect(statementsIn(message)).toEqual(['DROP INDEX CONCURRENTLY i']);
    expect(message).toContain('drop what depends on it, such as foreign keys, in the migration');
  });
});

onEachMajor('the statements to run', (major) => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await serverOf(major).createDatabase();
  });
  afterAll(async () => await database.drop());

  test('do what the migration would do', async () => {
    const create =
      'create table "Users" (a int); create index "A" on "Users" (a); create index "select" on "Users" (a); create schema "my schema"; ' +
      'create table "my schema".t (a int); create index "my index" on "my schema".t (a); ' +
      'create table p (a int) partition by list (a); create index p_i on p (a);';
    await database.query(create);
    const messages = [
      ...messagesOf('reindex table "Users"', create),
      ...messagesOf('reindex (verbose, tablespace pg_default) index "my schema"."my index"', create),
      ...messagesOf('drop index if exists "A", "select", "my schema"."my index", p_i', create),
    ];
    for (const sql of messages.flatMap(statementsIn)) await database.query(sql);
    expect(
      await database.query("select 1 from pg_class where relkind in ('i', 'I') and relnamespace >= 2200"),
    ).toEqual([]);
  });
});

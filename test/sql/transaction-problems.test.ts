import type { Client } from 'pg';
import { Deparser } from 'pgsql-deparser';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { KnownObjects } from '../../lib/sql/known-objects.ts';
import { readSql } from '../../lib/sql/read-sql.ts';
import { transactionProblems } from '../../lib/sql/transaction/transaction-problems.ts';
import { connect, type TestDatabase } from '../support/database.ts';
import { onEachMajor, serverOf } from '../support/servers.ts';
import { ACCEPTED, EXAMPLE_DATABASE, type Example, REFUSED } from './transaction-examples.ts';

/** The problems of a file after others. */
function problemsOf(text: string, ...before: string[]) {
  const known = new KnownObjects();
  for (const [at, earlier] of before.entries())
    transactionProblems(`000${at + 1}_a.sql`, readSql(earlier), known);
  return transactionProblems('0009_z.sql', readSql(text), known);
}

/** `line:column rule` of each problem. */
function found(text: string, ...before: string[]): string[] {
  return problemsOf(text, ...before).problems.map(({ line, column, rule }) => `${line}:${column} ${rule}`);
}

function messagesOf(text: string, ...before: string[]): string[] {
  return problemsOf(text, ...before).problems.map(({ message }) => message);
}

function sqlOf(example: Example): string {
  return typeof example === 'string' ? example : example.sql;
}

const CONTROL = [
  'begin',
  'BEGIN ISOLATION LEVEL SERIALIZABLE',
  'start transaction read only',
  'commit',
  'commit work',
  'commit and chain',
  'end',
  'END TRANSACTION',
  'rollback',
  'rollback and chain',
  'abort',
  'savepoint a',
  'release a',
  'release savepoint a',
  'rollback to a',
  'rollback work to savepoint a',
  "prepare transaction 'x'",
  "commit prepared 'x'",
  "rollback prepared 'x'",
  'set transaction isolation level serializable',
  'set transaction read only',
  "set transaction snapshot '00000003-1'",
  'set transaction_isolation = serializable',
  'set local transaction_read_only = on',
  "select pg_catalog.set_config('transaction_read_only', 'on', true)",
];

describe('transactionProblems', () => {
  test.each(CONTROL)('finds transaction control: %s', (sql) => {
    expect(found(`select 1;\n  ${sql};\nselect 2;`)).toEqual(['2:3 transaction-control']);
    expect(found(sql.toUpperCase())).toEqual(['1:1 transaction-control']);
  });

  test.each(REFUSED.map(sqlOf))('finds what cannot run in a transaction: %s', (sql) => {
    expect(found(`select 1; ${sql}`, EXAMPLE_DATABASE)).toEqual(['1:11 outside-transaction']);
  });

  test.each([
    "set client_encoding = 'LATIN1'",
    "set names 'windows-1252'",
    "set local client_encoding to 'SQL_ASCII'",
    "select set_config('client_encoding', 'latin1', false)",
    "select 1 from (select pg_catalog.set_config('CLIENT_ENCODING', 'latin1', false)) x",
    'set standard_conforming_strings = off',
    'set standard_conforming_strings to false',
  ])('finds a setting that changes how the file is read: %s', (sql) => {
    expect(found(sql)).toEqual(['1:1 session-setting']);
  });

  test.each([
    ['\\c other\nselect 1;', '1:1 psql-only'],
    ['select 1;\n  \\connect - app', '2:3 psql-only'],
    ['\\restrict abc\nselect 1;', '1:1 psql-only'],
    ['select 1 \\; commit;', '1:10 psql-only'],
    ['copy t from stdin;\n1\n\\.\n', '1:1 psql-only'],
  ])('finds what only psql understands: %j', (sql, expected) => {
    expect(found(sql)).toEqual([expected]);
  });

  test.each(ACCEPTED.map(sqlOf))('accepts %s', (sql) => {
    expect(found(sql, EXAMPLE_DATABASE)).toEqual([]);
  });

  test('finds transaction control by its first words if the statement cannot be parsed', () => {
    expect(found('begin immediate;\nselect 1;\ncommit /* … */ now;\nselec begin;')).toEqual([
      '1:1 transaction-control',
      '3:1 transaction-control',
    ]);
  });

  test('finds all problems of a file in their order', () => {
    expect(found('begin;\n\\x\nvacuum;\ncommit;')).toEqual([
      '1:1 transaction-control',
      '2:1 psql-only',
      '3:1 outside-transaction',
      '4:1 transaction-control',
    ]);
  });
});

describe('code that a migration runs', () => {
  test.each([
    [
      'do $$\nbegin\n  if true then drop index concurrently i; end if;\nend $$;',
      ['3:16 outside-transaction'],
    ],
    ["do $$ begin execute 'vacuum (analyze) t'; end $$", ['1:21 outside-transaction']],
    [
      "do $$ begin execute format('create index concurrently %I on t (a)', 'i'); end $$",
      ['1:28 outside-transaction'],
    ],
    [
      "do $$ declare s text := 'reindex schema public'; begin execute s; end $$",
      ['1:25 outside-transaction'],
    ],
    ['do $$ begin loop commit; end loop; end $$', ['1:18 transaction-control']],
    ['do $$ begin rollback and chain; end $$', ['1:13 transaction-control']],
  ])('in a DO block is found: %s', (sql, expected) => {
    expect(found(sql)).toEqual(expected);
  });

  test.each([
    "do $$ declare s text; begin s := 'commit'; execute s; end $$",
    'do $$ begin update t set a = case when b then cluster else vacuum end; end $$',
    "do $$ begin raise notice 'vacuum full'; end $$",
    "do $$ begin execute 'create index i on t (a)'; end $$",
    'do $$ begin alter table p detach partition p1; end $$',
  ])('is accepted: %s', (sql) => {
    expect(found(sql)).toEqual([]);
  });

  test('in a function is found where an earlier, later or the same file runs it', () => {
    const define =
      "create function f() returns void language plpgsql as $$ begin execute 'vacuum t'; end $$;\n" +
      'create procedure q() language plpgsql as $$ begin perform f(); commit; end $$;';

    expect(found(define)).toEqual([]);
    expect(messagesOf('select 1;\n call q();', define)).toEqual([
      expect.stringContaining(
        'The statement runs q() (0001_a.sql, line 2). The deploy applies all pending files',
      ),
      expect.stringContaining('The statement runs f() (0001_a.sql, line 1). PostgreSQL refuses VACUUM'),
    ]);
    expect(found('select 1;\n call q();', define)).toEqual([
      '2:2 transaction-control',
      '2:2 outside-transaction',
    ]);
  });
});

describe('what depends on an object', () => {
  test('is certain if the migrations create the object, and otherwise left to preflight', () => {
    const created =
      'create table p (a int) partition by range (a); create table t (a int); create index i on p (a);';
    expect(found('reindex table p; reindex table t; reindex index i; cluster p using i', created)).toEqual([
      '1:1 outside-transaction',
      '1:35 outside-transaction',
      '1:52 outside-transaction',
    ]);
    const { problems, conditional } = problemsOf('reindex table app.p;\ndrop subscription s;');
    expect(problems).toEqual([]);
    expect(conditional).toMatchObject([
      { line: 1, condition: { kind: 'partitioned', relation: { schema: 'app', name: 'p' } } },
      { line: 2, condition: { kind: 'replication-slot', subscription: 's' } },
    ]);
  });
});

describe('the message says what to do instead', () => {
  test.each([
    [
      'drop index concurrently if exists "My Index"',
      'yourself after the deploy, outside of a transaction: DROP INDEX CONCURRENTLY "My Index";',
    ],
    ['set search_path = app; drop index concurrently i', ': DROP INDEX CONCURRENTLY app.i;'],
    [
      'reindex (concurrently, tablespace "T") table "Order"',
      ': REINDEX (TABLESPACE "T", CONCURRENTLY) TABLE "Order";',
    ],
    [
      'alter table "P" detach partition "P1" concurrently',
      ': ALTER TABLE "P" DETACH PARTITION "P1" CONCURRENTLY;',
    ],
    ['vacuum full "T"', ': VACUUM (FULL) "T"; ANALYZE without VACUUM can stay.'],
    ['create index concurrently i on t (a)', 'Move it into the registry with lint --fix'],
    ['alter system set work_mem = 1', 'change the parameter group'],
  ])('%s', (sql, expected) => {
    expect(messagesOf(sql).at(-1)).toContain(expected);
  });

  test('and shows no connection string', () => {
    expect(
      messagesOf("create subscription s connection 'password=secret' publication p").join(),
    ).not.toContain('secret');
  });
});

/** Parts of statements, and kinds that the parser does not return. */
const NOT_STATEMENTS = [
  'RawStmt',
  'SetOperationStmt',
  'ReturnStmt',
  'PLAssignStmt',
  'ReplicaIdentityStmt',
  'CreateAggregateStmt',
];

test('there are examples for each kind of statement that the parser knows', () => {
  const kinds = Object.getOwnPropertyNames(Deparser.prototype).filter((name) => name.endsWith('Stmt'));
  const examples = [...CONTROL, ...REFUSED.map(sqlOf), ...ACCEPTED.map(sqlOf)];
  const shown = new Set(
    examples.flatMap((sql) => readSql(sql).statements.flatMap(({ node }) => Object.keys(node ?? {}))),
  );
  expect(kinds.length).toBeGreaterThan(100);
  expect(kinds.filter((kind) => !shown.has(kind) && !NOT_STATEMENTS.includes(kind))).toEqual([]);
});

onEachMajor('the server agrees', (major) => {
  const server = serverOf(major);
  let database: TestDatabase;
  let client: Client;

  beforeAll(async () => {
    database = await server.createDatabase();
    client = await connect(database.url);
    await client.query(EXAMPLE_DATABASE);
    // Only an enabled subscription has publications to refresh. Its worker finds no publisher.
    await client.query('alter subscription sub enable');
  });
  afterAll(async () => {
    // A subscription keeps its database from being dropped.
    await client.query('alter subscription sub disable');
    for (const name of ['sub', 'without_slot']) {
      await client.query(`alter subscription ${name} set (slot_name = none)`);
      await client.query(`drop subscription ${name}`);
    }
    await client.end();
    await database.drop();
  });

  /** Runs a statement in a transaction. @returns its SQLSTATE; null: it succeeded and the transaction is still open */
  async function inTransaction(sql: string): Promise<string | null> {
    await client.query('begin');
    await client.query('select pg_current_xact_id()');
    try {
      await client.query(sql);
      return client.getTransactionStatus() === 'T' ? null : 'the transaction has ended';
    } catch (error) {
      return (error as { code?: string }).code ?? String(error);
    } finally {
      await client.query('rollback');
    }
  }

  /** The statements with another result. */
  async function othersThan(expected: string | null, examples: readonly Example[]) {
    const others: [string, string | null][] = [];
    for (const example of examples) {
      const { sql, since = 0, fails = expected } = typeof example === 'string' ? { sql: example } : example;
      const result = since > major ? fails : await inTransaction(sql);
      if (result !== fails) others.push([sql, result]);
    }
    return others;
  }

  test('it refuses inside a transaction what is found to be impossible there', async () => {
    expect(await othersThan('25001', REFUSED)).toEqual([]);
  });

  test('it accepts inside a transaction what is accepted', async () => {
    expect(await othersThan(null, ACCEPTED)).toEqual([]);
  });
});

import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { transactionProblems } from '../../lib/sql/one-transaction.ts';
import { readSql } from '../../lib/sql/read-sql.ts';
import { connect, type TestDatabase } from '../support/database.ts';
import { onEachMajor, serverOf } from '../support/servers.ts';

/** `line:column rule` of each problem. */
function found(text: string): string[] {
  return transactionProblems(readSql(text)).map(({ line, column, rule }) => `${line}:${column} ${rule}`);
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

/** PostgreSQL refuses each of these inside a transaction: 25001. */
const OUTSIDE = [
  'create database nowhere',
  'drop database nowhere',
  "create tablespace nowhere location '/nowhere'",
  'drop tablespace nowhere',
  'alter database nowhere set tablespace pg_default',
  'alter system set work_mem = 1000',
  'alter system reset all',
  'vacuum',
  'vacuum (analyze) t',
  'cluster',
  'discard all',
  'create index concurrently on t (a)',
  'create unique index concurrently if not exists t_u on only t (a)',
  'drop index concurrently if exists t_i',
  'reindex table concurrently t',
  'reindex (concurrently, verbose) index t_i',
  'reindex (concurrently on) index t_i',
  'reindex schema public',
  'reindex system postgres',
  'reindex database postgres',
  'alter table p detach partition p1 concurrently',
  "create subscription s connection 'host=nowhere' publication p",
];

/** Statements that can run with other files in one transaction. */
const ACCEPTED = [
  'select 1',
  "select 'commit;', $$ rollback; $$, $x$ begin; $x$, e'\\'; commit; --' -- commit;\n/* commit; /* end; */ rollback; */",
  'select 1 as "commit", 2 as "end"',
  "comment on table t is 'begin; commit;'",
  'do $$ begin perform 1; exception when others then null; end $$',
  'create or replace function f() returns int language plpgsql as $$ begin return 1; end; $$',
  'create or replace function g() returns int language sql begin atomic; select 1; select case when true then 2 end; end',
  "create or replace procedure h() language plpgsql as 'begin commit; end'",
  'prepare x as select 1',
  'deallocate all',
  "select pg_catalog.set_config('search_path', '', false)",
  'set statement_timeout = 0',
  'set lock_timeout = 0',
  "set client_encoding = 'UTF8'",
  "set names 'utf-8'",
  'set client_encoding to unicode',
  'set client_encoding to default',
  'reset client_encoding',
  "select set_config('client_encoding', 'UTF8', false)",
  'set standard_conforming_strings = on',
  'set check_function_bodies = false',
  'set xmloption = content',
  'set client_min_messages = warning',
  'set row_security = off',
  "set default_tablespace = ''",
  'set default_table_access_method = heap',
  "set search_path = ''",
  "set schema 'public'",
  "set time zone 'UTC'",
  'set role none',
  'reset role',
  'set session authorization default',
  'set session characteristics as transaction read only',
  'set constraints all deferred',
  'set session_replication_role = replica',
  'reset all',
  'discard plans',
  'discard temp',
  'analyze t',
  'analyze',
  'cluster t using t_i',
  'reindex table t',
  'reindex (concurrently false) index t_i',
  'drop index if exists nowhere',
  'lock table t',
  'listen x',
  'notify x',
  'copy t to stdout',
  'checkpoint',
  "create subscription s connection 'host=nowhere' publication p with (connect = false)",
  'alter table p detach partition p1',
  "alter type e add value if not exists 'b'",
  'refresh materialized view m',
];

describe('transactionProblems', () => {
  test.each(CONTROL)('finds transaction control: %s', (sql) => {
    expect(found(`select 1;\n  ${sql};\nselect 2;`)).toEqual(['2:3 transaction-control']);
    expect(found(sql.toUpperCase())).toEqual(['1:1 transaction-control']);
  });

  test.each(OUTSIDE)('finds what cannot run in a transaction: %s', (sql) => {
    expect(found(`select 1; ${sql}`)).toEqual(['1:11 outside-transaction']);
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

  test.each(ACCEPTED)('accepts %s', (sql) => {
    expect(found(sql)).toEqual([]);
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

onEachMajor('the server agrees', (major) => {
  const server = serverOf(major);
  let database: TestDatabase;
  let client: Client;

  beforeAll(async () => {
    database = await server.createDatabase();
    await database.query(
      `create table t (a int); create index t_i on t (a); create type e as enum ('a');
       create table p (a int) partition by list (a); create table p1 partition of p for values in (1);
       create materialized view m as select 1`,
    );
    client = await connect(database.url);
  });
  afterAll(async () => {
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

  test('it refuses inside a transaction what is found to be impossible there', async () => {
    for (const sql of OUTSIDE) expect([sql, await inTransaction(sql)]).toEqual([sql, '25001']);
  });

  test('it accepts inside a transaction what is accepted', async () => {
    for (const sql of ACCEPTED) expect([sql, await inTransaction(sql)]).toEqual([sql, null]);
  });
});

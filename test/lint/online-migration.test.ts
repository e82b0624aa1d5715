import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { isMarkedOnline } from '../../lambdas/shared/online-migrations.ts';
import { migrationsToShip } from '../../lib/functions/ship-migrations.ts';
import { allowancesIn, withoutAllowed } from '../../lib/lint/allow-comments.ts';
import { MigrationLinter } from '../../lib/lint/migrations/migration-linter.ts';
import { RegisteredIndexes } from '../../lib/registry/registered-indexes.ts';
import { readSql } from '../../lib/sql/read-sql.ts';
import { writeMigrations } from '../support/migration-files.ts';

const EXISTING = `create table orders (id int primary key, status text, total int);
  create table customers (id int primary key); create domain positive as int check (value > 0);
  create table p (a int) partition by list (a); create table d (a int) partition by list (a);
  create table d0 partition of d default; create materialized view m as select 1 as a;
  create function backfill() returns void language plpgsql as $$ begin update orders set total = 1; end $$;`;
const TIMEOUT = "set local lock_timeout = '3s';";
const MARK = '-- pg-deploy-step: online';

/** `line:column message` of the findings of the rule in the second of two files. */
function found(text: string, { inOneTransaction = true, before = EXISTING } = {}): string[] {
  const linter = new MigrationLinter(new RegisteredIndexes([]));
  linter.lint({ file: '0001_a.sql', text: before, hasLines: true }, true);
  const { findings } = linter.lint({ file: '0002_b.sql', text, hasLines: true }, inOneTransaction);
  const left = withoutAllowed(findings, allowancesIn('0002_b.sql', readSql(text)));
  return left
    .filter(({ rule }) => rule === 'online-migration' || rule === 'allow-comment')
    .map(({ line, column, message }) => `${line}:${column} ${message}`);
}

describe('the mark', () => {
  test.each([
    [`${MARK}\nselect 1;`, true],
    [`\uFEFF${MARK}\r\nselect 1;`, true],
    [`-- Adds a column.\n\n/* of the\n licence */\n  --   pg-deploy-step:   online  \nselect 1;`, true],
    [`-- Up Migration\n${MARK}\nselect 1;`, true],
    [`select 1;\n${MARK}\nselect 2;`, false],
    [`/* ${MARK} */ select 1;`, false],
    [`${MARK} because it is quick\nselect 1;`, false],
    ['-- pg-deploy-step: allow online\nselect 1;', false],
    [`${'-- '.repeat(50_000)}\nselect 1;`, false],
    ['', false],
  ])('%#: is a comment of its own before the first statement', (text, expected) => {
    expect(isMarkedOnline(text)).toBe(expected);
  });

  test.each([
    [`select 1;\n${MARK}\nselect 2;`, '2:1'],
    [`${MARK} it is quick\nselect 1;`, '1:1'],
    [`select 1 ${MARK}\n, 2;`, '1:10'],
  ])('%#: one that marks nothing is an error', (text, place) => {
    expect(found(text)).toEqual([expect.stringContaining(`${place} The comment does not mark the file.`)]);
  });

  test('in the files of another tool is an error', () => {
    expect(found(`${MARK}\nselect 1;`, { inOneTransaction: false })).toEqual([
      expect.stringContaining('1:1 The comment has no effect: only the runner sql'),
    ]);
  });
});

describe('a file that is marked as online', () => {
  test.each([
    'alter table orders add column note text;',
    "alter table orders add column note text not null default 'x', drop column status;",
    'alter table orders add constraint positive check (total > 0) not valid;',
    'alter table orders add foreign key (total) references customers not valid;',
    'create table lines (id int primary key, o int references orders); create index on lines (o); alter table lines add unique (o);',
    'create table p2 partition of p for values in (2);',
    'drop table customers; alter table orders rename column total to sum;',
    "set lock_timeout to '500ms'; create policy own on orders;",
    "select set_config('lock_timeout', '2s', true); create policy own on orders;",
  ])('may take a lock for a moment: %s', (sql) => {
    expect(found(`${MARK}\n${TIMEOUT}\n${sql}`)).toEqual([]);
  });

  test.each([
    'alter table orders validate constraint positive;',
    'insert into customers select id from orders;',
    'update orders set total = 0 where total is null;',
    'refresh materialized view concurrently m;',
    'analyze orders;',
    'create function ten() returns int immutable language sql as $$ select 10 $$; update orders set total = ten() where id < 9;',
    "comment on table orders is 'x';",
    'create table copies as select * from orders; update copies set total = 1;',
    'create function f() returns int language sql as $$ select 1 $$;',
    "create type kind as enum ('a'); create view v as select 1;",
    'grant select on orders to public;',
  ])('needs no lock_timeout where nothing waits: %s', (sql) => {
    expect(found(`${MARK}\n${sql}`)).toEqual([]);
  });

  test.each([
    [
      'alter table orders alter column total type bigint;',
      /ACCESS EXCLUSIVE on orders, which blocks reads and writes/,
    ],
    ['alter table orders alter column total set not null;', /CHECK \(column IS NOT NULL\) NOT VALID/],
    ['alter table orders add column note positive;', /domain/],
    [
      'alter table orders add column token uuid default gen_random_uuid();',
      /default may differ from row to row/,
    ],
    ['alter table orders add column nr bigserial;', /rewritten/],
    ['alter table orders add constraint positive check (total > 0);', /NOT VALID, and VALIDATE/],
    [
      'alter table orders add foreign key (total) references customers;',
      /SHARE ROW EXCLUSIVE on orders, which blocks writes/,
    ],
    ['alter table orders add unique (total);', /registry/],
    ['create index on orders (total);', /SHARE on orders, which blocks writes/],
    ['create table d2 partition of d for values in (2);', /default partition/],
    ['update orders set total = 0;', /UPDATE without WHERE on orders locks each of its rows/],
    [
      'with gone as (delete from orders returning id) insert into customers select id from gone;',
      /DELETE without WHERE/,
    ],
    ['refresh materialized view m;', /REFRESH MATERIALIZED VIEW CONCURRENTLY/],
    ['alter domain positive add check (value < 10);', /SHARE/],
    ['cluster orders using orders_pkey;', /ACCESS EXCLUSIVE on orders/],
  ])('must not hold one for longer: %s', (sql, message) => {
    expect(found(`${MARK}\n${TIMEOUT}\n${sql}`)).toEqual([expect.stringMatching(message)]);
    expect(found(`${TIMEOUT}\n${sql}`)).toEqual([]);
  });

  test.each([
    'do $$ begin update orders set total = 1 where id = 1; end $$;',
    'call nothing();',
    'select backfill();',
    'select nobody_knows(id) from orders;',
    'select * from orders for update;',
    'merge into orders using customers on true when matched then delete;',
    'insert into customers select backfill();',
    'drop type kind cascade;',
    'drop schema app cascade;',
    'alter extension citext update;',
    'create table copies as execute prepared;',
    'nonsense;',
  ])('is refused where the locks are not known: %s', (sql) => {
    const [problem] = found(`${MARK}\n${TIMEOUT}\n${sql}`);
    expect(problem).toMatch(/^3:1 .*(not known|not examined)/);
    expect(problem).toContain(MARK);
  });

  test.each([
    ['alter table orders add column note text;', /^2:1 .*Write set local lock_timeout = '3s'; before it/],
    ['set lock_timeout = 0;alter table orders add column note text;', /without limit/],
    ["set lock_timeout = '1min';alter table orders add column note text;", /60 s/],
    ["set lock_timeout = '1s';reset lock_timeout;alter table orders add column note text;", /lock_timeout/],
    ["set lock_timeout = '1s';reset all;alter table orders add column note text;", /lock_timeout/],
    ['create table lines (o int references orders);', /on orders/],
    ['lock table orders;', /LOCK TABLE/],
    ['drop index orders_pkey;', /DROP INDEX/],
  ])('needs a lock_timeout of 10 s at most before the first lock: %s', (sql, message) => {
    expect(found(`${MARK}\n${sql}`)).toEqual([expect.stringMatching(message)]);
  });

  test('must not work on rows while it holds a lock of an earlier statement', () => {
    const sql = `${MARK}\n${TIMEOUT}\nalter table orders add column note text;\nupdate orders set note = 'x' where id < 9;`;
    expect(found(sql)).toEqual([
      expect.stringMatching(/^4:1 .*the lock of ALTER TABLE … ADD COLUMN on orders in line 3 is held until/),
    ]);
    expect(
      found(
        `${MARK}\n${TIMEOUT}\nupdate orders set status = 'x' where id < 9;\nalter table orders add column note text;`,
      ),
    ).toEqual([]);
  });

  test('a comment with a reason allows a statement', () => {
    const sql = 'alter table orders alter column total type bigint;';
    const allow = '-- pg-deploy-step: allow online-migration the table has ten rows';
    expect(found(`${MARK}\n${TIMEOUT}\n${allow}\n${sql}`)).toEqual([]);
    expect(found(`${MARK}\n${TIMEOUT}\n${allow}\nalter table orders add column b int;`)).toEqual([
      expect.stringContaining('nothing here breaks that rule'),
    ]);
  });
});

describe('synth', () => {
  const folders: string[] = [];
  afterAll(() => {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  });
  const ship = (text: string) => {
    const folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-online-'));
    folders.push(folder);
    return migrationsToShip(writeMigrations(folder, { '0001_a': EXISTING, '0002_b': text }));
  };
  const WRONG = `${TIMEOUT}\nalter table orders alter column total type bigint;`;

  test('refuses a marked file that cannot run beside the application, with its place', () => {
    expect(() => ship(`${MARK}\n${WRONG}`)).toThrow(/0002_b\.sql:3:1: The file is marked as online/);
  });

  test('accepts the same file without the mark, and with a comment that allows the statement', () => {
    expect(ship(WRONG).manifest['0002_b']?.problems).toEqual([]);
    const allowed = WRONG.replace('alter', '-- pg-deploy-step: allow online-migration ten rows\nalter');
    expect(ship(`${MARK}\n${allowed}`).manifest['0002_b']?.problems).toEqual([]);
  });
});

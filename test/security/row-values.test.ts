import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { databaseOf, withClient } from '../../lambdas/postgres/client.ts';
import { describeCaught } from '../../lambdas/shared/caught-error.ts';
import { openBuilds } from '../support/builds.ts';
import type { TestDatabase } from '../support/database.ts';
import { migrate } from '../support/migrate.ts';
import { onEachMajor, serverOf } from '../support/servers.ts';

/** The values of the one row of `people`: a text, a text with quotes, and numbers. */
const TEXT = 'zqjane';
const QUOTED = 'zqmarie "zqsecond" it\'s (zqthird)';
const NUMBER = 918_273;
const BIG = 8_172_635_441;

const VALUES = new RegExp(['zq\\w+', String(NUMBER), String(BIG)].join('|'));

const SCHEMA = `
  create table people (name text unique, note text, number int, big bigint, raw bytea, list int[]);
  insert into people values ('${TEXT}', '${QUOTED.replaceAll("'", "''")}', ${NUMBER}, ${BIG}, '\\xff7a71ff', '{918273}');
  create type mood as enum ('glad');
  create domain short as text constraint at_most_3 check (length(value) <= 3);
  create table parted (name text) partition by list (name);
  create table other (name text unique, number int check (number < 3), must text not null);
  create table referring (name text references other (name));
  create function fails(text) returns text immutable language plpgsql as $$
    begin raise exception 'The customer % is not valid', $1; end $$;
  create function fails_in_sql(text) returns int immutable language sql as 'select $1::int';
  create function refuses() returns trigger language plpgsql as $$
    begin raise exception '%', new.name using errcode = 'insufficient_privilege', detail = new.name, hint = new.name,
      column = new.name, constraint = new.name, datatype = new.name, table = new.name, schema = new.name; end $$;
  create table guarded (name text); create trigger refuses before insert on guarded for each row execute function refuses();`;

/** Runs a statement of PL/pgSQL for the row of people, as p. */
const forRow = (statement: string) =>
  `do $do$ declare p people; begin select * into p from people; ${statement} end $do$`;

const raise = (code: string) =>
  forRow(
    `raise exception 'The person % has the number %', p.name, p.number using errcode = '${code}', detail = p.note, hint = p.name, table = p.name;`,
  );

/** Statements whose error contains values of the row, if the server alone decides. */
const STATEMENTS: [name: string, statement: string][] = [
  ['a unique key', 'insert into people select * from people'],
  [
    'a unique index',
    'create unique index on people ((length(name) > 0), name, (note is null)); insert into people select * from people',
  ],
  ['a key that is missing', 'insert into referring select note from people'],
  ['a check', "insert into other select note, number, 'x' from people"],
  ['a missing value', 'insert into other (name, number) select note, 1 from people'],
  ['a missing partition', 'insert into parted select note from people'],
  ['an enum', 'select note::mood from people'],
  ...[
    'int',
    'bigint',
    'numeric',
    'float8',
    'bool',
    'date',
    'timestamptz',
    'time',
    'interval',
    'uuid',
    'inet',
    'macaddr',
  ].map((type): [string, string] => [`a cast to ${type}`, `select note::${type} from people`]),
  ...['json', 'jsonb', 'point', 'int[]', 'int4range', 'tsquery', 'pg_lsn', 'tid', 'money'].map(
    (type): [string, string] => [`a cast to ${type}`, `select ('[' || note)::${type} from people`],
  ),
  ...[
    'regclass',
    'regtype',
    'regrole',
    'regnamespace',
    'regproc',
    'regoper',
    'regconfig',
    'regcollation',
  ].map((type): [string, string] => [`a cast to ${type}`, `select name::${type} from people`]),
  ['a name with quotes as regclass', "select ('\"' || name || '\"')::regclass from people"],
  ['an operator', "select ('@@@' || '(' || name || ',int)')::regoperator from people"],
  ['a date of numbers', 'select make_date(number, number, 1) from people'],
  ['a time of numbers', 'select make_time(number, number, 1) from people'],
  ['a search query', 'select to_tsquery(note) from people'],
  ['a date format', "select to_date(note, 'YYYY') from people"],
  ['a path in JSON', `select jsonb_set('[1]', array[name], '1') from people`],
  ['a path in JSON, strict', `select jsonb_path_query('{}', ('strict $.' || name)::jsonpath) from people`],
  ['an encoding', `select convert_to('x', name) from people`],
  ['a time zone', 'select now() at time zone name from people'],
  ['a unit', 'select date_trunc(name, now()), date_part(name, now()) from people'],
  ['a unit of an interval', "select extract(epoch from now()), date_part(name, interval '1 s') from people"],
  ['a setting', "select set_config('lock_timeout', name, true) from people"],
  ['the name of a setting', 'select current_setting(name) from people'],
  ['a privilege', "select has_table_privilege('people', name) from people"],
  ['a role', "select has_table_privilege(name, 'people', 'select') from people"],
  ['a sequence', 'select nextval(name) from people'],
  ['a character', 'select chr(number * 1000) from people'],
  ['an extension', forRow(`execute 'create extension ' || p.name;`)],
  ['a number that is too large in a text', "select (big || '')::int from people"],
  ['an exception', raise('P0001')],
  ['an exception in a trigger', 'insert into guarded select name from people'],
  ['an exception in a function', 'select fails(name) from people'],
  ['an error in a function', 'select fails_in_sql(note) from people'],
  ['an assertion', forRow(`assert false, 'The person ' || p.name;`)],
  ['an exception with a name of its own', forRow(`raise sqlstate 'ZQ001' using message = p.note;`)],
  ['an exception with its value alone', forRow(`raise exception '%', p.name;`)],
  [
    'an exception with a text that is put together',
    forRow(`raise exception using message = 'The person ' || p.name;`),
  ],
  ...[
    '23505',
    '22P02',
    '42501',
    '42P01',
    '42601',
    '2BP01',
    '53100',
    '57014',
    '0A000',
    '55000',
    '08000',
    '25006',
    'XX000',
    '54000',
    '58000',
  ].map((code): [string, string] => [`an exception with the SQLSTATE ${code}`, raise(code)]),
  [
    'a statement that is put together: syntax',
    forRow(`execute 'create table x (a ' || p.name || p.name || ' ' || p.note || ')';`),
  ],
  ['a statement that is put together: table', forRow(`execute format('select from %I', p.name);`)],
  ['a statement that is put together: table, in English', forRow(`execute 'drop table ' || p.name;`)],
  ['a statement that is put together: column', forRow(`execute 'select ' || p.name || ' from people';`)],
  ['a statement that is put together: function', forRow(`execute 'select ' || p.name || '(1)';`)],
  [
    'a statement that is put together: function that is dropped',
    forRow(`execute 'drop function ' || p.name || '(int)';`),
  ],
  ['a statement that is put together: role', forRow(`execute 'grant select on people to ' || p.name;`)],
  ['a statement that is put together: a literal', forRow(`execute format('select %L::int', p.note);`)],
  ['a changed type', 'alter table people alter note type int using note::int'],
];

onEachMajor('values of rows', (major) => {
  const server = serverOf(major);
  let database: TestDatabase;
  let folder: string;

  // A failed migration is rolled back, so all tests use one database.
  beforeAll(async () => {
    database = await server.createDatabase();
    await database.query(SCHEMA);
  });
  afterAll(async () => {
    await database?.drop();
  });
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-values-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  /** Everything that leaves the database after a failed migration: the answer or the error, and the log. */
  async function fail(statement: string, showRowValues: boolean): Promise<string> {
    const lines: unknown[] = [];
    const run = migrate({
      ...{ databaseUrl: database.url, folder, lines, showRowValues },
      // The second one fails in any case, so that nothing is recorded as applied.
      migrations: { '0001_values': statement, '0002_fails': 'select 1 / 0' },
    });
    const result = await run.catch((error: unknown) => error);
    return inspect([result, lines], { depth: null, showHidden: true, maxStringLength: null });
  }

  test.each(STATEMENTS)('leave the database only on request: %s', async (_name, statement) => {
    expect(await fail(statement, true)).toMatch(VALUES);
    expect(await fail(statement, false)).not.toMatch(VALUES);
  });

  test.each<[name: string, statement: string, shown: string]>([
    [
      'the constant text of an exception, and its format without values',
      forRow(`raise exception 'The person % is ''new'', 100 %%', p.name using hint = 'Ask the team.';`),
      "The person … is 'new', 100 % Hint: Ask the team. (SQLSTATE P0001)",
    ],
    [
      'how to see the text of another exception',
      'insert into guarded select name from people',
      'An error raised by code in the database. Its text is hidden, because it can contain values of rows: read the log of the server, or set database.showRowValues (--show-row-values) (SQLSTATE 42501)',
    ],
    [
      'names that the statement contains',
      `do $$ begin create table "New" (); create table "New" (); end $$`,
      'relation "New" already exists (SQLSTATE 42P07)',
    ],
    [
      'names of tables that do not exist',
      'drop table nowhere',
      'table "nowhere" does not exist (SQLSTATE 42P01)',
    ],
    [
      'names of functions that do not exist',
      'do $$ begin perform nowhere(1); end $$',
      'function nowhere(integer) does not exist Hint: No function matches the given name and argument types. You might need to add explicit type casts. (SQLSTATE 42883)',
    ],
    [
      'what depends on an object',
      'create view on_people as select note from people; do $$ begin drop table people; end $$',
      'cannot drop table people because other objects depend on it Detail: view on_people depends on table people Hint: Use DROP ... CASCADE to drop the dependent objects too. (SQLSTATE 2BP01)',
    ],
    [
      'constraints and tables',
      "insert into other values ('a', 5, 'x')",
      'new row for relation "other" violates check constraint "other_number_check" (SQLSTATE 23514)',
    ],
    [
      'the columns of a key',
      'insert into people select * from people',
      'duplicate key value violates unique constraint "people_name_key" Detail: Key (name)=(…) already exists. (SQLSTATE 23505)',
    ],
    [
      'the literals of the statement',
      "select 'zero'::int",
      'invalid input syntax for type integer: "zero" (SQLSTATE 22P02)',
    ],
    [
      'types',
      'select note::numeric(5,2) from people',
      'invalid input syntax for type numeric: "…" (SQLSTATE 22P02)',
    ],
    [
      'limits of types',
      "insert into people (name) values ('a'); alter table people alter note type varchar(3)",
      'value too long for type character varying(3) (SQLSTATE 22001)',
    ],
  ])('%s stay in the message', async (_name, sql, shown) => {
    const { failure } = await migrate({
      databaseUrl: database.url,
      folder,
      migrations: { '0001_values': sql },
    });

    expect(failure?.message).toBe(shown);
  });

  test('do not leave the database with the failure of an index', async () => {
    const builds = await openBuilds(database.url, [
      {
        name: 'expression',
        sql: 'create index concurrently if not exists expression on people (fails(name))',
      },
      {
        name: 'number',
        sql: 'create index concurrently if not exists number on people (fails_in_sql(note))',
      },
      {
        name: 'twice',
        sql: 'create unique index concurrently if not exists twice on people ((1), (name is null))',
      },
    ]);
    await database.query("insert into people (name) values ('zqtwice')");

    const report = await builds.deploy('values');

    expect(Object.values(report).map(({ status }) => status)).toEqual(['failed', 'failed', 'failed']);
    const ledger = await database.query('select * from deploy_step.index_builds');
    expect(ledger).not.toEqual([]);
    expect(inspect([report, ledger, builds.log, builds.rounds], { depth: null })).not.toMatch(VALUES);
    expect(report.twice?.error?.message).toContain('Detail: Key ((1), (name IS NULL))=(…) is duplicated.');
    await database.query("delete from people where name = 'zqtwice'; drop schema deploy_step cascade");
  });

  test('do not leave the database in the error that Lambda logs when a function fails unexpectedly', async () => {
    const error = await withClient(
      databaseOf({ DATABASE_URL: database.deployUrl }),
      'test',
      async (client) => {
        await client.query("insert into public.other select note, number, 'x' from public.people");
      },
    ).catch((thrown: unknown) => thrown);

    expect(error).toMatchObject({ code: '23514', table: 'other', constraint: 'other_number_check' });
    expect(inspect(error, { depth: null, showHidden: true })).not.toMatch(VALUES);
  });
});

describe('the error of a function or a task of the application', () => {
  test.each([
    ['Key (email)=(zqjane@example.com) already exists.', 'Key (email)=(…) already exists.'],
    ['Failing row contains (1, zqjane (x), null).', 'Failing row contains (…).'],
    ['invalid input syntax for type integer: "zqjane"', 'invalid input syntax for type integer: "…"'],
    [
      'Partition key of the failing row contains (name) = (zqjane).',
      'Partition key of the failing row contains (name) = (…).',
    ],
    ['value "918273" is out of range for type smallint', 'value "…" is out of range for type smallint'],
    ['date/time field value out of range: "zq-1"', 'date/time field value out of range: "…"'],
  ])('is shown without the values that PostgreSQL puts into its messages: %s', (message, shown) => {
    const Cause = JSON.stringify({ errorType: 'error', errorMessage: `It failed. ${message}` });

    expect(describeCaught({ Error: 'error', Cause })).toBe(`error: It failed. ${shown}`);
  });
});

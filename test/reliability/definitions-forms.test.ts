import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Examined } from '../../lambdas/postgres/examined-index.ts';
import { openBuilds } from '../support/builds.ts';
import type { TestDatabase } from '../support/database.ts';
import { expectNoLeftovers } from '../support/leftovers.ts';
import { MAJORS, serverOf } from '../support/servers.ts';

const TABLES = `
  create type mood as enum ('good', 'bad');
  create table people (
    id int, email text, "Name" text, status varchar(20), age bigint, created timestamptz, feeling mood,
    tags text[], facts jsonb, full_name text generated always as (email || '!') stored
  )`;

/** The existing index, the definition in the registry after "on people", and whether both are the same. */
const FORMS: [existing: string, wanted: string, same: boolean][] = [
  ['(email)', '(email)', true],
  ['(email)', 'using   BTREE(  email  )', true],
  ['(email)', '/* why */ (email) -- so', true],
  ['(email)', '(email text_ops)', true],
  ['(email)', '(email asc nulls last)', true],
  ['(email)', '(email collate "default")', true],
  ['(email)', '(email collate "C")', false],
  ['(email)', '(email text_pattern_ops)', false],
  ['(email)', '("email")', true],
  ['("Name")', '("Name")', true],
  ['(email)', '(EMAIL)', true],
  ['(email)', '(email desc)', false],
  ['(email desc)', '(email desc nulls first)', true],
  ['(email desc)', '(email desc nulls last)', false],
  ['(email, age)', '(age, email)', false],
  ['(email)', '(email, age)', false],
  ['(email) include (age)', '(email) include (age)', true],
  ['(email) include (age)', '(email, age)', false],
  ['(email) include (age, id)', '(email) include (id, age)', false],
  ['(email)', 'using hash (email)', false],
  ['using hash (email)', 'using hash (email)', true],
  ['(email) where age > 3', '(email) where (age>3)', true],
  ['(email) where age > 3', '(email) where people.age > 3', true],
  ['(email) where age > 3', '(email) where age > 4', false],
  ['(email) where age > 3', '(email)', false],
  ["(email) where status in ('a', 'b')", "(email) where status in ('a','b')", true],
  ["(email) where status in ('a', 'b')", "(email) where status = 'a' or status = 'b'", false],
  ['(email) where id in (1, 2)', '(email) where id = any (array[1, 2])', true],
  ["(email) where status in ('a', 'b')", "(email) where status in ('b', 'a')", false],
  ["(email) where feeling = 'good'", "(email) where feeling = 'good'::mood", true],
  [
    "(email) where created > '2020-01-01Z'",
    "(email) where created > timestamptz '2020-01-01 00:00:00+00'",
    true,
  ],
  ['(lower(email))', '(lower(email))', true],
  ['(lower(email))', '((lower(email)))', true],
  ['(lower(email))', '(lower(people.email))', true],
  ['(lower(email))', '(upper(email))', false],
  ['((age + 1))', '((age+1::bigint))', false],
  ["((facts ->> 'a'))", "((facts->>'a'::text))", true],
  ['(full_name)', '(full_name)', true],
  ['using gin (tags)', 'using gin (tags array_ops)', true],
  ['using gin (facts)', 'using gin (facts jsonb_path_ops)', false],
  ['using brin (age) with (pages_per_range = 32)', 'using brin (age) with (pages_per_range=32)', true],
  ['using brin (age) with (pages_per_range = 32)', 'using brin (age)', true],
  ['using brin (age)', 'using brin (age) with (pages_per_range = 32)', false],
  ['(email) with (fillfactor = 70)', '(email)', true],
  ['(email) with (fillfactor = 70, deduplicate_items = off)', '(email) with (deduplicate_items = off)', true],
  [
    "(email) with (fillfactor = 70) where email <> ' WITH (x) WHERE '",
    "(email) where email <> ' WITH (x) WHERE '",
    true,
  ],
  ["((email || ' WITH (')) with (fillfactor = 70)", "((email || ' WITH ('))", true],
  ['(email) with (fillfactor = 70)', "(email) with (fillfactor = '70')", true],
  ['(email) with (fillfactor = 70)', '(email) with (fillfactor = 80)', false],
  ['(email) tablespace pg_default', '(email)', true],
  ['(id)', '(no_such_column)', false],
  ['(id)', '(no_such_function(id))', false],
];

const ALL_FORMS: typeof FORMS = [
  ...FORMS,
  ['unique (email)', 'unique (email)', true],
  ['unique (email)', '(email)', false],
  ['(email)', 'unique (email)', false],
];

const NULLS_NOT_DISTINCT: typeof FORMS = [
  ['unique (email) nulls not distinct', 'unique (email) nulls not distinct', true],
  ['unique (email) nulls not distinct', 'unique (email)', false],
  ['unique (email)', 'unique (email) nulls not distinct', false],
];

/** A name that looks like a part of a definition. */
const NAME = 'a ON b USING (c)';

describe.each(MAJORS)('on PostgreSQL %i', (major) => {
  const forms = major >= 15 ? [...ALL_FORMS, ...NULLS_NOT_DISTINCT] : ALL_FORMS;
  const server = serverOf(major);
  let database: TestDatabase;
  let examined: Record<string, Examined>;

  /** Each form has two tables. The existing index has the name of the registry on one, and another name on the other. */
  beforeAll(async () => {
    database = await server.createDatabase();
    await database.query(TABLES);
    const entries: { name: string; sql: string }[] = [];
    const statements: string[] = [];
    for (const [at, [existing, wanted]] of forms.entries()) {
      for (const { table, existingName, name } of [
        { table: `t USING ${at}`, existingName: `${NAME} ${at}`, name: `${NAME} ${at}` },
        { table: `u USING ${at}`, existingName: `other ${at}`, name: `one ${at}` },
      ]) {
        statements.push(`create table "${table}" (like people including generated)`);
        statements.push(statementOf(existingName, table, existing, ''));
        entries.push({ name, sql: statementOf(name, table, wanted, 'concurrently if not exists') });
      }
    }
    await database.query(statements.join(';'));
    const builds = await openBuilds(database.url, entries);
    examined = await builds.examine();
  });

  afterAll(async () => {
    await database.drop();
  });

  test.each(forms.map((form, at) => [at, ...form] as const))(
    '%i: for an existing index %s, the registry definition %s is the same: %s',
    (at, _existing, _wanted, same) => {
      expect(examined[`${NAME} ${at}`]?.state).toBe(same ? 'present' : 'drifted');
      expect(examined[`one ${at}`]).toMatchObject(
        same ? { state: 'equivalent', detail: `other ${at}` } : { state: 'missing' },
      );
    },
  );

  test('examining the indexes leaves no temporary table and no lock', async () => {
    expect(await database.query("select relname from pg_class where relpersistence = 't'")).toEqual([]);
    await expectNoLeftovers(async (sql) => await database.query(sql));
  });
});

function statementOf(name: string, table: string, text: string, how: string): string {
  const unique = text.startsWith('unique ');
  const rest = (unique ? text.slice('unique '.length) : text).replaceAll('people.', `"${table}".`);
  return `create ${unique ? 'unique ' : ''}index ${how} "${name}" on "${table}" ${rest}`;
}

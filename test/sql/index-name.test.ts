import fc from 'fast-check';
import { type IndexStmt, loadModule, parseSync } from 'libpg-query';
import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { constraintName, indexName } from '../../lib/sql/index-name.ts';
import { NamePool } from '../../lib/sql/name-pool.ts';
import { connect, type TestDatabase } from '../support/database.ts';
import { MAJORS, serverOf } from '../support/servers.ts';

function poolOf(names: readonly string[]): NamePool {
  const pool = new NamePool();
  for (const name of names) pool.add(name);
  return pool;
}

await loadModule();

function statementOf(sql: string): IndexStmt {
  const node = parseSync(sql).stmts?.[0]?.stmt;
  if (node === undefined || !('IndexStmt' in node)) throw new Error(`Not an index: ${sql}`);
  return node.IndexStmt;
}

const quote = (name: string) => `"${name.replaceAll('"', '""')}"`;

test.each([
  ['create index on customers (project_id, status)', 'customers_project_id_status_idx'],
  ['create unique index on customers (project_id) include (status)', 'customers_project_id_status_idx'],
  ['create index on shop.customers using gin (tags)', 'customers_tags_idx'],
  ['create index on users (lower(email))', 'users_lower_idx'],
  ['create index on users ((a + 1), (b || c))', 'users_expr_expr1_idx'],
  ['create index idx_own on users (a)', 'idx_own'],
])('%s is named %s', (sql, name) => {
  expect(indexName(statementOf(sql))).toBe(name);
});

/** Expressions over columns `i int`, `s text`, `j jsonb`, `a int[]`, `c comp`, `d timestamp`. */
const EXPRESSIONS = [
  '(i + 1)',
  'lower(s)',
  'pg_catalog.upper(s)',
  '(s::varchar)',
  '((i + 1)::bigint)',
  '(lower(s)::varchar(10))',
  "(j ->> 'k')",
  "((j ->> 'k')::int)",
  '(s collate "C")',
  '(lower(s) collate "C")',
  'coalesce(i, 0)',
  'nullif(i, 0)',
  'greatest(i, 1)',
  'least(i, 1)',
  '(case when i > 0 then 1 end)',
  '(case when i > 0 then 1 else i end)',
  "(case when i > 0 then 'a'::text else 'b'::text end)",
  '(array[i, 1])',
  '(a[1])',
  '((c).x)',
  '(not b)',
  '(i is null)',
  "(d at time zone 'utc')",
  '(extract(year from d))',
  "date_trunc('day', d)",
  "(('x' || s)::text)",
  "(trim(both ' ' from s))",
  '(substring(s from 1 for 2))',
  "(position('a' in s))",
  "(interval '1 day' * i)",
  '(i)',
];

describe.each(MAJORS)('on PostgreSQL %i', (major) => {
  const server = serverOf(major);
  let database: TestDatabase;
  let client: Client;

  beforeAll(async () => {
    database = await server.createDatabase();
    client = await connect(database.url);
    await client.query(`set client_min_messages = error; create type comp as (x int, y text)`);
  });

  afterAll(async () => {
    await client.end();
    await database.drop();
  });

  /** Creates a table and indexes without names in a transaction, and compares their names with those of indexName. */
  async function compareNames(table: string, extra: readonly string[], bodies: readonly string[]) {
    await client.query('begin');
    try {
      const columns = extra.map((column) => `, ${quote(column)} int`).join('');
      await client.query(
        `create table ${quote(table)} (i int, s text, j jsonb, a int[], c comp, d timestamp, b boolean${columns})`,
      );
      const names: string[] = [];
      for (const body of bodies) {
        const sql = `create index on ${quote(table)} ${body}`;
        await client.query('savepoint one');
        // The server rejects some statements for other reasons (a method without INCLUDE, 33 columns).
        if (
          !(await client.query(sql).then(
            () => true,
            () => false,
          ))
        ) {
          await client.query('rollback to savepoint one');
          continue;
        }
        names.push(indexName(statementOf(sql), poolOf(names)));
      }
      const { rows } = await client.query(
        `select c.relname as name from pg_index i join pg_class c on c.oid = i.indexrelid
          where i.indrelid = '${quote(table).replaceAll("'", "''")}'::regclass order by c.oid`,
      );
      expect(names).toEqual(rows.map((row) => row.name));
      return names.length;
    } finally {
      await client.query('rollback');
    }
  }

  test('names are those of the server for any names of tables and columns and any expressions', async () => {
    const unit = fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom(...'abcXY_ 1"é') },
      fc.constantFrom('漢', '🙂'),
    );
    // Names of up to 63 bytes, and short names that often collide.
    const name = fc
      .oneof(
        fc.string({ unit, minLength: 1, maxLength: 64 }),
        fc.constantFrom('k', 'lower', 'expr', 'i1', 'expr1'),
      )
      .filter((text) => Buffer.byteLength(text) <= 63);
    const cases = fc
      .record({ table: name, extra: fc.uniqueArray(name, { minLength: 1, maxLength: 4 }) })
      .chain(({ table, extra }) => {
        const own = [...extra.map(quote), 'i', 's', 'd'];
        const element = fc.constantFrom(...own, ...EXPRESSIONS);
        const body = fc
          .tuple(
            fc.array(element, { minLength: 1, maxLength: 5 }),
            fc.array(fc.constantFrom(...own), { maxLength: 2 }),
          )
          .map(
            ([keys, included]) =>
              `(${keys.join(', ')})${included.length === 0 ? '' : ` include (${included.join(', ')})`}`,
          );
        return fc.record({
          table: fc.constant(table),
          extra: fc.constant(extra.filter((column) => !['i', 's', 'j', 'a', 'c', 'd', 'b'].includes(column))),
          bodies: fc
            .array(body, { minLength: 1, maxLength: 4 })
            .map((list) => [...list, ...list.slice(0, 1)]),
        });
      });
    let compared = 0;
    await fc.assert(
      fc.asyncProperty(cases, async ({ table, extra, bodies }) => {
        compared += await compareNames(table, extra, bodies);
      }),
      { numRuns: 100 },
    );
    expect(compared).toBeGreaterThan(100);
  });

  test('each kind of expression has the name that the server gives it', async () => {
    const bodies = EXPRESSIONS.map((text) => `(${text})`);
    expect(await compareNames('t', [], bodies)).toBe(bodies.length);
  });

  test('constraints and their indexes have the names that the server gives them', async () => {
    const long = 'é'.repeat(31);
    const tables: [table: string, columns: string[]][] = [
      ['t', ['a', 'b']],
      [long, [`${long.slice(1)}x`, long]],
      ['x'.repeat(63), ['a', 'y'.repeat(40)]],
    ];
    for (const [table, [one = '', two = '']] of tables) {
      await client.query('begin');
      const columns = `${quote(one)}, ${quote(two)}`;
      await client.query(`create table ${quote(table)} (${quote(one)} int, ${quote(two)} int, r int4range,
        primary key (${columns}), unique (${quote(two)}, ${quote(one)}),
        unique (${quote(one)}) include (${quote(two)}),
        exclude using gist (r with &&), foreign key (${columns}) references ${quote(table)} (${columns}))`);
      const { rows } = await client.query(
        "select conname as name from pg_constraint where contype in ('p', 'u', 'x', 'f') and oid >= 16384",
      );
      await client.query('rollback');
      const taken: string[] = [];
      const give = (...[kind, names]: [Parameters<typeof constraintName>[0], string[]]) => {
        const given = constraintName(kind, table, names, poolOf(taken));
        taken.push(given);
      };
      give('primary', [one, two]);
      give('unique', [two, one]);
      give('unique', [one, two]);
      give('exclusion', ['r']);
      give('foreign', [one, two]);
      expect(rows.map((row) => row.name).toSorted()).toEqual(taken.toSorted());
    }
  });
});

import fc from 'fast-check';
import type { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { quotedTable, quoteIdentifier } from '../../lambdas/postgres/identifiers.ts';
import { type CompiledIndex, inSchema } from '../../lambdas/shared/registry.ts';
import { importSources } from '../../lib/import/import-sources.ts';
import { compileRegistry } from '../../lib/registry/compile-registry.ts';
import type { IndexEntry } from '../../lib/registry/define-indexes.ts';
import { newRegistryFile } from '../../lib/registry/registry-text.ts';
import { openBuilds } from '../support/builds.ts';
import { connect, createDatabase, type TestDatabase } from '../support/database.ts';

const COLUMNS = `id int, email text, "Full Name" text, "select" varchar(20), age bigint, created timestamptz, tags text[],
  facts jsonb, "é""x" text, span int4range`;

const pick = (...texts: string[]) => fc.constantFrom(...texts);
const maybe = (text: fc.Arbitrary<string>) => fc.oneof(fc.constant(''), text);

const TEXTS = ['email', '"Full Name"', '"select"', 'EMAIL', '"é""x"'] as const;
const textKey = fc
  .tuple(
    pick(...TEXTS, 'lower(email)', '("Full Name" || \'; -- ,(\')', "(facts ->> 'a)b')", 'upper(t."select")'),
    maybe(pick(' collate "C"', ' COLLATE "POSIX"', ' collate pg_catalog."default"')),
    maybe(pick(' text_pattern_ops', ' pg_catalog.text_ops')),
  )
  .map((parts) => parts.join(''));
const plainKey = pick(
  'id',
  'age',
  'created',
  '(age + 1)',
  '((id)::bigint % 7)',
  '/* c */ age',
  'coalesce(age, 0)',
);
const order = fc.tuple(maybe(pick(' desc', ' ASC')), maybe(pick(' nulls first', ' NULLS LAST')));
const orderedKey = fc
  .tuple(fc.oneof(textKey, plainKey), order)
  .map(([key, [direction, nulls]]) => key + direction + nulls);

const include = maybe(
  fc
    .uniqueArray(pick('id', 'age', '"Full Name"', '"é""x"'), { minLength: 1, maxLength: 3 })
    .map((names) => ` include (${names.join(', ')})`),
);
const where = maybe(
  pick(
    " where email <> 'it''s; (CREATE INDEX'",
    ' WHERE age > 3 and "select" is not null',
    ' where t.age between 1 and 9',
    " where \"select\" in ('a', 'b') -- so",
    ' where facts @> \'{"where": 1}\'::jsonb',
    " where created > timestamptz '2024-01-01 00:00:00+00'",
    " where email = e'a\\nb' or email like $$using%$$",
  ),
);

/** A statement from the table's name on. */
const btree = fc
  .tuple(
    maybe(pick(' using btree', ' USING BTREE')),
    fc.array(orderedKey, { minLength: 1, maxLength: 4 }),
    include,
    maybe(pick(' nulls not distinct', ' nulls distinct')),
    maybe(pick(' with (fillfactor = 70)', " with (fillfactor='90', deduplicate_items = off)")),
    maybe(pick(' tablespace pg_default')),
    where,
  )
  .map(([method, keys, ...rest]) => ({
    body: `${method} (${keys.join(', ')})${rest.join('')}`,
    method: 'btree',
  }));
const others = fc
  .tuple(
    pick(
      ' using hash (email)',
      ' using gin (tags)',
      ' using gin (facts jsonb_path_ops) with (fastupdate = off)',
      ' using gist (span)',
      ' using spgist (email)',
      ' using brin (created timestamptz_minmax_multi_ops(values_per_range = 16), age) with (pages_per_range = 32)',
    ),
    where,
  )
  .map(([body, predicate]) => ({ body: body + predicate, method: 'other' }));

const name = maybe(
  pick(
    'idx_plain',
    '"Idx Quoted"',
    '"a ON b USING (c)"',
    'IDX_FOLDED',
    '"é index"',
    '"dou""ble"',
    '"select"',
  ),
);
const table = pick('t', '"T able"', 'shop.t', '"Shop"."on"', 'public."using"');

const statement = fc
  .record({
    unique: fc.boolean(),
    how: pick('', ' concurrently', ' if not exists', ' CONCURRENTLY IF NOT EXISTS'),
    only: fc.boolean(),
    name,
    table,
    definition: fc.oneof({ weight: 4, arbitrary: btree }, others),
  })
  .filter((one) => one.name !== '' || !/not exists/i.test(one.how))
  .map(({ unique, how, only, name: index, table: on, definition: { body, method } }) => {
    const own = body.replaceAll('t.', on === 't' ? 't.' : '');
    const isUnique = unique && method === 'btree';
    return {
      table: on,
      sql: `create ${isUnique ? 'UNIQUE ' : ''}index${how} ${index} on ${only ? 'only ' : ''}${on}${own}`,
    };
  });

let database: TestDatabase;
let client: Client;

beforeAll(async () => {
  database = await createDatabase();
  client = await connect(database.url);
  await client.query('create schema shop; create schema "Shop"');
  for (const on of ['t', '"T able"', 'shop.t', '"Shop"."on"', 'public."using"']) {
    await client.query(`create table ${on} (${COLUMNS})`);
  }
});

afterAll(async () => {
  await client.end();
  await database.drop();
});

interface ServerIndex {
  readonly name: string;
  readonly text: string;
}

/** The indexes that exist, with their text from the server. */
async function indexes(): Promise<ServerIndex[]> {
  const { rows } = await client.query<ServerIndex>(
    `select c.relname as name, pg_get_indexdef(i.indexrelid) as text
       from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
      where n.nspname in ('public', 'shop', 'Shop') order by 1`,
  );
  return rows;
}

/** The indexes that some SQL creates in a transaction that is rolled back. Undefined: the server rejects it. */
async function createdBy(sql: string): Promise<ServerIndex[] | undefined> {
  await client.query('begin');
  try {
    await client.query(sql);
    return await indexes();
  } catch {
    return undefined;
  } finally {
    await client.query('rollback');
  }
}

const withoutConcurrently = (sql: string) => sql.replace(/^(create (?:unique )?index) concurrently/i, '$1');

async function imported(
  sql: string,
): Promise<{ entries: readonly IndexEntry[]; compiled: CompiledIndex | undefined }> {
  const { entries, notTaken } = await importSources({
    files: [{ file: 'a.sql', text: sql, hasLines: true }],
    skipped: [],
  });
  expect(notTaken).toEqual([]);
  // By way of the text of a registry file.
  const [compiled] = await compileRegistry(JSON.parse(newRegistryFile(entries, 'json')), 'a.json');
  return { entries, compiled: compiled && inSchema(compiled, compiled.schema ?? 'public') };
}

/** The statement of buildStatement, for a transaction. */
function buildSql(index: CompiledIndex): string {
  return `create ${index.unique ? 'unique ' : ''}index if not exists ${quoteIdentifier(index.name)} on ${quotedTable(index)} ${index.definition}`;
}

test('an index that is imported, compiled and built is identical to the index of its statement', async () => {
  let compared = 0;
  await fc.assert(
    fc.asyncProperty(statement, async ({ sql }) => {
      const original = await createdBy(withoutConcurrently(sql));
      // The server rejects some combinations of keys, methods and options.
      fc.pre(original !== undefined);
      const { compiled } = await imported(`${sql};\n`);
      expect(compiled).toBeDefined();
      if (compiled === undefined) return;
      expect(await createdBy(buildSql(compiled))).toEqual(original);
      compared += 1;
    }),
    { numRuns: 200 },
  );
  expect(compared).toBe(200);
});

test('an index that the product builds is identical in the catalog, and present in the next plan', async () => {
  const statements = fc.sample(statement, { numRuns: 60, seed: 5 });
  let built = 0;
  for (const { sql } of statements) {
    const original = await createdBy(withoutConcurrently(sql));
    if (original === undefined || built >= 8) continue;
    const { entries } = await imported(sql);
    const builds = await openBuilds(database.url, [...entries]);
    await builds.deploy(`round-trip-${built}`);
    expect(await indexes()).toEqual(original);
    expect(Object.values(await builds.examine()).map(({ state }) => state)).toEqual(['present']);
    expect(await builds.plan('again')).toEqual([]);
    const [entry] = builds.registry;
    if (entry !== undefined)
      await client.query(`drop index ${quoteIdentifier(entry.schema)}.${quoteIdentifier(entry.name)}`);
    built += 1;
  }
  expect(built).toBe(8);
});

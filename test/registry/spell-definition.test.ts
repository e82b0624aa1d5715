import fc from 'fast-check';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readSpellings, type Spelling } from '../../lambdas/postgres/definition-spelling.ts';
import { type ComparedDefinition, readDefinition } from '../../lambdas/postgres/index-definition.ts';
import type { CompiledIndex } from '../../lambdas/shared/registry.ts';
import { compileStatement } from '../../lib/registry/compile-statement.ts';
import type { TestDatabase } from '../support/database.ts';
import { onEachMajor, serverOf } from '../support/servers.ts';

/** Names that are words of SQL in some versions, or that must be quoted. */
const COLUMNS = {
  id: 'int',
  order: 'int',
  json_table: 'text',
  merge_action: 'text',
  system_user: 'varchar(20)',
  left: 'boolean',
  between: 'boolean',
  Active: 'boolean',
  'a "b" * WHERE': 'boolean',
  größe: 'numeric',
  value: 'text collate "C"',
  USING: 'text',
} as const;

const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;
const columns = Object.keys(COLUMNS).map(quoted);
const booleans = Object.entries(COLUMNS).flatMap(([name, type]) => (type === 'boolean' ? quoted(name) : []));

const column = fc.constantFrom(...columns);
const order = fc.constantFrom(
  '',
  ' asc',
  ' DESC',
  ' nulls first',
  ' nulls last',
  ' desc nulls last',
  ' desc nulls first',
  ' asc nulls first',
);
const plainKey = fc
  .tuple(
    fc.oneof(
      column,
      column.map((name) => `(${name})`),
    ),
    order,
  )
  .map((parts) => parts.join(''));
const typedKey = fc.constantFrom(
  'lower("USING")',
  '(id + 1) desc',
  '"USING" text_pattern_ops',
  'value collate "default" desc',
  "(json_table || ', ) INCLUDE (x) WHERE *')",
  '("value" || "USING") collate "C" text_pattern_ops desc nulls last',
);
const plainCondition = fc.letrec<{ condition: string }>((tie) => ({
  condition: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    fc.tuple(column, fc.constantFrom('is null', 'IS NOT NULL', 'isnull')).map((parts) => parts.join(' ')),
    fc.constantFrom(...booleans),
    tie('condition').map((one) => `not (${one})`),
    fc
      .tuple(tie('condition'), fc.constantFrom('is true', 'is not false', 'is unknown', 'is not unknown'))
      .map(([one, what]) => `(${one}) ${what}`),
    fc
      .tuple(tie('condition'), fc.constantFrom('and', 'or'), tie('condition'), fc.boolean())
      .map(([one, what, other, grouped]) =>
        grouped ? `(${one} ${what} ${other})` : `${one} ${what} ${other}`,
      ),
  ),
})).condition;
const typedCondition = fc.constantFrom(
  'id > 3',
  "value in ('a', 'b * WHERE')",
  'größe between 1 and 2',
  '"order" = any (array[1])',
);

interface Parts {
  readonly unique: boolean;
  readonly method: string;
  readonly keys: readonly string[];
  readonly include: readonly string[];
  readonly options: string;
  readonly condition: string | null;
}

const parts = (key: fc.Arbitrary<string>, condition: fc.Arbitrary<string>, options: fc.Arbitrary<string>) =>
  fc.record<Parts>({
    unique: fc.boolean(),
    method: fc.constantFrom('', 'using btree ', 'USING "btree" '),
    keys: fc.array(key, { minLength: 1, maxLength: 3 }),
    include: fc.uniqueArray(column, { maxLength: 2 }),
    options,
    condition: fc.option(condition),
  });

const otherMethods = fc.record<Parts>({
  unique: fc.constant(false),
  method: fc.constantFrom('using brin ', 'using HASH '),
  keys: fc.constantFrom('id', '"USING"').map((key) => [key]),
  include: fc.constant([]),
  options: fc.constant(''),
  condition: fc.option(plainCondition),
});

function statementOf({ unique, method, keys, include, options, condition }: Parts): string {
  return (
    `create ${unique ? 'unique ' : ''}index concurrently if not exists wanted on things ${method}(${keys.join(', ')})` +
    (include.length === 0 ? '' : ` include (${include.join(', ')})`) +
    options +
    (condition === null ? '' : ` where ${condition}`)
  );
}

onEachMajor('the spelling of a definition', (major) => {
  let database: TestDatabase;
  let client: Client;

  beforeAll(async () => {
    database = await serverOf(major).createDatabase();
    const list = Object.entries(COLUMNS).map(([name, type]) => `${quoted(name)} ${type}`);
    await database.query(`create table things (${list.join(', ')})`);
    client = new Client({ connectionString: database.url });
    await client.connect();
  });
  afterAll(async () => {
    await client.end();
    await database.drop();
  });

  /** What the compiler spells, and what the server prints. */
  async function compare(sql: string): Promise<{ spelling: Spelling; printed: ComparedDefinition }> {
    const { index } = await compileStatement(sql, 'wanted');
    if (index === null) throw new Error(`It does not compile: ${sql}`);
    const spelling = (await readSpellings(client, [index as CompiledIndex])).get(index as CompiledIndex);
    await client.query('begin');
    try {
      await client.query(sql.replace('concurrently if not exists', ''));
      const printed = await readDefinition(client, { schema: 'public', name: 'wanted' });
      if (spelling === undefined || printed === undefined) throw new Error(`It is not spelled: ${sql}`);
      return { spelling, printed };
    } finally {
      await client.query('rollback');
    }
  }

  const RUNS = { numRuns: 300, seed: 12 };

  test('is what the server prints, if only columns and tests for null and booleans are in it', async () => {
    const options = major >= 15 ? fc.constantFrom('', ' nulls not distinct') : fc.constant('');
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          { weight: 4, arbitrary: parts(plainKey, plainCondition, options) },
          { weight: 1, arbitrary: otherMethods },
        ),
        async (definition) => {
          const { spelling, printed } = await compare(statementOf(definition));

          expect(spelling.definition).toEqual({
            text: printed.text,
            unique: printed.unique,
            structure: printed.structure,
            predicate: printed.predicate,
            options: [],
          });
          expect(spelling.fits(printed)).toBe(true);
        },
      ),
      RUNS,
    );
  });

  test('fits what the server prints, whatever is in it', async () => {
    const options = fc.constantFrom(
      '',
      ' with (fillfactor = 70)',
      ' with (fillfactor = 70, deduplicate_items = off)',
    );
    await fc.assert(
      fc.asyncProperty(
        parts(fc.oneof(plainKey, typedKey), fc.oneof(plainCondition, typedCondition), options),
        async (definition) => {
          const { spelling, printed } = await compare(statementOf(definition));

          expect(spelling.fits(printed)).toBe(true);
          if (spelling.definition !== null) expect(spelling.definition.text).toBe(printed.text);
        },
      ),
      RUNS,
    );
  });

  test.each([
    ['(id)', 'on things (id desc)'],
    ['(id, value)', 'on things (id)'],
    ['(lower("USING"), id)', 'on things (upper("USING"), "order")'],
    ['(id) where id > 3', 'on things (id)'],
    ['(id)', 'on things (id) where id > 3'],
    ['(value text_pattern_ops)', 'on things ("USING" text_pattern_ops)'],
    ['(value collate "C" desc)', 'on things (value collate "C")'],
    ['(id) include (value)', 'on things (id, value)'],
  ])('of %s does not fit an index %s', async (wanted, existing) => {
    const { spelling } = await compare(`create index concurrently if not exists wanted on things ${wanted}`);
    const { printed } = await compare(`create index concurrently if not exists wanted ${existing}`);

    expect(spelling.fits(printed)).toBe(false);
  });

  test.each([
    '(value text_ops)',
    '(value collate "C")',
    '(value collate "C" desc)',
    '(lower("USING"))',
    '(id) where id > 3',
    '(id) with (fillfactor = 70)',
  ])('of %s is incomplete, because it depends on types or has storage options', async (wanted) => {
    const { spelling } = await compare(`create index concurrently if not exists wanted on things ${wanted}`);

    expect(spelling.definition).toBeNull();
  });
});

import { describe, expect, test } from 'vitest';
import { compileRegistry } from '../../lib/registry/compile-registry.ts';
import { RegistryError } from '../../lib/registry/registry-error.ts';

const START = 'create index concurrently if not exists idx_a on';

async function refusal(entries: unknown): Promise<RegistryError> {
  const error = await compileRegistry(entries, 'my/indexes.ts').then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof RegistryError) return error;
  throw new Error(`Not refused: ${String(error)}`);
}

function entry(sql: string, name = 'idx_a') {
  return { name, sql, description: 'For a test' };
}

describe('a statement is refused', () => {
  test.each([
    ['without CONCURRENTLY', 'create index if not exists idx_a on t (a)', /CONCURRENTLY is missing/],
    ['without IF NOT EXISTS', 'create index concurrently idx_a on t (a)', /IF NOT EXISTS is missing/],
    [
      'without a name',
      'create index concurrently on t (a)',
      /does not name the index.*if not exists idx_a on/,
    ],
    ['that is empty', '  ', /it is empty/],
    ['that is only a comment', '-- idx_a', /it contains 0 statements/],
    [
      'next to another statement',
      `${START} t (a); ${START} t (b)`,
      /it contains 2 statements; write exactly one/,
    ],
    ['that does not create an index', 'drop table t', /not a CREATE INDEX statement \(DropStmt\).*migration/],
    ['on a temporary table', `${START} pg_temp.t (a)`, /the table is temporary/],
    ['on a table of a numbered temporary schema', `${START} pg_temp_3.t (a)`, /the table is temporary/],
    ['with ON ONLY', `${START} only t (a)`, /ON ONLY skips the partitions/],
    ['with a database name', `${START} db.public.t (a)`, /has a database name \("db"\)/],
    ['with text after a NUL', `${START} t (a)\0; drop table t`, /control character/],
  ])('%s', async (_case, sql, message) => {
    const { problems } = await refusal([entry(sql)]);
    expect(problems).toEqual([
      {
        rule: message.source.startsWith('does not name') ? 'index-name' : 'statement',
        file: 'my/indexes.ts',
        line: 1,
        column: 1,
        entry: 'entry 1 "idx_a"',
        field: 'sql',
        message: expect.stringMatching(message),
      },
    ]);
  });

  test("with a syntax error: the parser's message and its place", async () => {
    const { problems } = await refusal([entry(`${START} t (é, "😀"\n  b c)`)]);
    expect(problems[0]?.message).toBe('syntax error at or near "c" (line 2, column 5 of the statement)');
  });

  test('with a missing part: the place is the end of the statement', async () => {
    const { problems } = await refusal([entry('create index concurrently if not exists idx_a on t (a')]);
    expect(problems[0]?.message).toBe('syntax error at end of input (line 1, column 54 of the statement)');
  });
});

describe('a name is refused', () => {
  test('if the statement creates an index with another name', async () => {
    const { problems } = await refusal([entry(`${START} t (a)`, 'idx_b')]);
    expect(problems).toMatchObject([
      {
        rule: 'index-name',
        entry: 'entry 1 "idx_b"',
        field: 'name',
        message: expect.stringContaining('it is "idx_b", but the statement creates "idx_a"'),
      },
    ]);
  });

  test('if it has upper case letters that the statement does not quote', async () => {
    const { message } = await refusal([
      entry('create index concurrently if not exists Idx_A on t (a)', 'Idx_A'),
    ]);
    expect(message).toContain('folds unquoted names to lower case');
  });

  test.each(['a'.repeat(64), 'é'.repeat(32)])('if it has 64 bytes: %s', async (name) => {
    const { problems } = await refusal([
      entry(`create index concurrently if not exists ${name} on t (a)`, name),
    ]);
    expect(problems).toEqual([
      expect.objectContaining({ field: 'name', message: expect.stringContaining('it has 64 bytes') }),
    ]);
  });

  test('if the statement has a longer name that the server would truncate to it', async () => {
    const sql = `create index concurrently if not exists "${'a'.repeat(70)}" on t (a)`;
    const { message } = await refusal([entry(sql, 'a'.repeat(63))]);
    expect(message).toContain('it has 70 bytes');
  });

  test('if an earlier entry has it in the same schema, by default public', async () => {
    const { problems } = await refusal([entry(`${START} t (a)`), entry(`${START} public.u (b)`)]);
    expect(problems).toMatchObject([
      {
        rule: 'duplicate-name',
        entry: 'entry 2 "idx_a"',
        field: 'name',
        message: expect.stringContaining('entry 1 "idx_a" has this name in schema "public" too'),
      },
    ]);
  });

  test('but not if the earlier entry is in another schema', async () => {
    expect(await compileRegistry([entry(`${START} t (a)`), entry(`${START} crm.t (a)`)], 'x')).toHaveLength(
      2,
    );
  });
});

describe('a registry is refused', () => {
  test.each([[{ indexes: [] }], [null], ['sql'], [undefined]])('if it is not a list: %j', async (entries) => {
    const { message, problems } = await refusal(entries);
    expect(problems).toHaveLength(1);
    expect(message).toMatch(
      /^The index registry is wrong\. my\/indexes\.ts:1:1: it must contain a list of entries/,
    );
  });

  test('if an entry has an unknown field; the message lists the valid fields', async () => {
    const { message } = await refusal([{ ...entry(`${START} t (a)`), crticial: true }]);
    expect(message).toBe(
      'The index registry is wrong. my/indexes.ts:1:1: entry 1 "idx_a": crticial: unknown field; ' +
        'valid fields: name, sql, critical, description, serves, onDrift, accept, constraint, retired, schemas',
    );
  });

  test('if an entry has no description', async () => {
    for (const description of [undefined, '', ' ', 3]) {
      const { problems } = await refusal([{ ...entry(`${START} t (a)`), description }]);
      expect(problems).toEqual([expect.objectContaining({ field: 'description' })]);
    }
  });

  test('if a field has an invalid value', async () => {
    const wrong = { critical: 'yes', serves: ['a', 1], onDrift: 'ignore' };
    const { problems } = await refusal([{ ...entry(`${START} t (a)`), ...wrong }]);
    expect(problems.map((problem) => problem.field).sort()).toEqual(['critical', 'onDrift', 'serves.1']);
    expect(problems.find((problem) => problem.field === 'onDrift')?.message).toBe(
      'it must be "report" or "rebuild"',
    );
  });

  test('if an entry accepts an unknown rule or an error, or gives no reason', async () => {
    const accept = { 'redundant-indexes': 'x', 'index-name': 'x', 'foreign-key-without-index': 'x' };
    const { problems } = await refusal([{ ...entry(`${START} t (a)`), accept }]);
    const valid =
      'an entry can accept duplicate-index, redundant-index, constraint-index, tenant-column-first';
    expect(problems.map(({ field, message }) => `${field}: ${message}`)).toEqual([
      `accept.redundant-indexes: unknown rule; ${valid}`,
      `accept.index-name: this rule cannot be accepted; ${valid}`,
      'accept.foreign-key-without-index: this rule applies to a constraint; accept it there: ' +
        `-- pg-deploy-step: allow foreign-key-without-index reason; ${valid}`,
    ]);

    const blank = await refusal([{ ...entry(`${START} t (a)`), accept: { 'redundant-index': ' ' } }]);
    expect(blank.problems).toMatchObject([
      {
        rule: 'entry-form',
        field: 'accept.redundant-index',
        message: expect.stringContaining('must contain a reason'),
      },
    ]);
  });

  test('if an entry is not an object or has no name; the message contains its position', async () => {
    const { problems } = await refusal([7, { sql: `${START} t (a)`, description: 'x' }]);
    expect(problems.map((problem) => [problem.entry, problem.field])).toEqual([
      ['entry 1', ''],
      ['entry 2', 'name'],
    ]);
  });
});

test('all problems of all entries are reported together', async () => {
  const { message, problems } = await refusal([
    { name: 'idx_a', sql: 'create index idx_a on only t (a)' },
    entry('select 1', 'idx_b'),
  ]);
  expect(problems.map((problem) => `${problem.entry} ${problem.field}`)).toEqual([
    'entry 1 "idx_a" description',
    'entry 1 "idx_a" sql',
    'entry 1 "idx_a" sql',
    'entry 1 "idx_a" sql',
    'entry 2 "idx_b" sql',
  ]);
  expect(message.split('\n')).toHaveLength(6);
  expect(message).toContain(
    '\n  - my/indexes.ts:1:1: entry 2 "idx_b": sql: it is not a CREATE INDEX statement',
  );
});

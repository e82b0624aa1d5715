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
    ['without a name', 'create index concurrently on t (a)', /has no name.*if not exists idx_a on/],
    ['that is empty', '  ', /it is empty/],
    ['that is a comment only', '-- idx_a', /it contains 0 statements/],
    ['beside another one', `${START} t (a); ${START} t (b)`, /it contains 2 statements; write exactly one/],
    ['that creates no index', 'drop table t', /not a CREATE INDEX statement \(DropStmt\).*migration/],
    ['on a temporary table', `${START} pg_temp.t (a)`, /the table is temporary/],
    ['on a table of a numbered temporary schema', `${START} pg_temp_3.t (a)`, /the table is temporary/],
    ['with ON ONLY', `${START} only t (a)`, /ON ONLY leaves out the partitions/],
    ['that names a database', `${START} db.public.t (a)`, /names a database \("db"\)/],
    ['with text behind a NUL', `${START} t (a)\0; drop table t`, /control character/],
  ])('%s', async (_case, sql, message) => {
    const { problems } = await refusal([entry(sql)]);
    expect(problems).toEqual([
      {
        rule: message.source.startsWith('has no name') ? 'index-name' : 'statement',
        file: 'my/indexes.ts',
        line: 1,
        column: 1,
        entry: 'entry 1 "idx_a"',
        field: 'sql',
        message: expect.stringMatching(message),
      },
    ]);
  });

  test("with a syntax error, in the parser's words and with its place", async () => {
    const { problems } = await refusal([entry(`${START} t (é, "😀"\n  b c)`)]);
    expect(problems[0]?.message).toBe('syntax error at or near "c" (line 2, column 5 of the statement)');
  });

  test('with a place at its end where something is missing', async () => {
    const { problems } = await refusal([entry('create index concurrently if not exists idx_a on t (a')]);
    expect(problems[0]?.message).toBe('syntax error at end of input (line 1, column 54 of the statement)');
  });
});

describe('a name is refused', () => {
  test('when the statement creates another one', async () => {
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

  test('when it has upper case that the statement does not quote', async () => {
    const { message } = await refusal([
      entry('create index concurrently if not exists Idx_A on t (a)', 'Idx_A'),
    ]);
    expect(message).toContain('folds what is not quoted to lower case');
  });

  test.each(['a'.repeat(64), 'é'.repeat(32)])('when it has 64 bytes: %s', async (name) => {
    const { problems } = await refusal([
      entry(`create index concurrently if not exists ${name} on t (a)`, name),
    ]);
    expect(problems).toEqual([
      expect.objectContaining({ field: 'name', message: expect.stringContaining('it has 64 bytes') }),
    ]);
  });

  test('when the statement has a longer one that the server would cut to it', async () => {
    const sql = `create index concurrently if not exists "${'a'.repeat(70)}" on t (a)`;
    const { message } = await refusal([entry(sql, 'a'.repeat(63))]);
    expect(message).toContain('it has 70 bytes');
  });

  test('when an entry before has it in the same schema, which public is by default', async () => {
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

  test('but not when the other one is in another schema', async () => {
    expect(await compileRegistry([entry(`${START} t (a)`), entry(`${START} crm.t (a)`)], 'x')).toHaveLength(
      2,
    );
  });
});

describe('the shape of a registry is refused', () => {
  test.each([[{ indexes: [] }], [null], ['sql'], [undefined]])('when it is no list: %j', async (entries) => {
    const { message, problems } = await refusal(entries);
    expect(problems).toHaveLength(1);
    expect(message).toMatch(
      /^The index registry is wrong\. my\/indexes\.ts:1:1: it must contain a list of entries/,
    );
  });

  test('when an entry has an unknown field, with the valid ones', async () => {
    const { message } = await refusal([{ ...entry(`${START} t (a)`), crticial: true }]);
    expect(message).toBe(
      'The index registry is wrong. my/indexes.ts:1:1: entry 1 "idx_a": crticial: unknown field; ' +
        'valid fields: name, sql, critical, description, serves, onDrift, accept',
    );
  });

  test('when an entry says not what it is for', async () => {
    for (const description of [undefined, '', ' ', 3]) {
      const { problems } = await refusal([{ ...entry(`${START} t (a)`), description }]);
      expect(problems).toEqual([expect.objectContaining({ field: 'description' })]);
    }
  });

  test('when a field has a value that it cannot have', async () => {
    const wrong = { critical: 'yes', serves: ['a', 1], onDrift: 'ignore' };
    const { problems } = await refusal([{ ...entry(`${START} t (a)`), ...wrong }]);
    expect(problems.map((problem) => problem.field).sort()).toEqual(['critical', 'onDrift', 'serves.1']);
    expect(problems.find((problem) => problem.field === 'onDrift')?.message).toBe(
      'it must be "report" or "rebuild"',
    );
  });

  test('when it accepts what cannot be accepted, or gives no reason', async () => {
    const accept = { 'redundant-indexes': 'x', 'index-name': 'x', 'foreign-key-without-index': 'x' };
    const { problems } = await refusal([{ ...entry(`${START} t (a)`), accept }]);
    const valid = 'an entry can accept duplicate-index, redundant-index, tenant-column-first';
    expect(problems.map(({ field, message }) => `${field}: ${message}`)).toEqual([
      `accept.redundant-indexes: unknown rule; ${valid}`,
      `accept.index-name: this rule cannot be accepted; ${valid}`,
      'accept.foreign-key-without-index: it is about a constraint, and is accepted there: ' +
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

  test('when an entry is no object or has no name, which is told by its position', async () => {
    const { problems } = await refusal([7, { sql: `${START} t (a)`, description: 'x' }]);
    expect(problems.map((problem) => [problem.entry, problem.field])).toEqual([
      ['entry 1', ''],
      ['entry 2', 'name'],
    ]);
  });
});

test('all problems of all entries are told at once', async () => {
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

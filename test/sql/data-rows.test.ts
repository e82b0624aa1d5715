import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { parseSql } from '../../lib/sql/parser.ts';
import { readSql } from '../../lib/sql/read-sql.ts';

const parser = vi.hoisted(() => ({ parsed: [] as string[] }));
vi.mock('libpg-query', async (original) => {
  const real = await original<typeof import('libpg-query')>();
  const parseSync: typeof real.parseSync = (text) => {
    parser.parsed.push(text);
    return real.parseSync(text);
  };
  return { ...real, parseSync };
});

/** What the parser reads of the only statement of a text. */
function parsedText(sql: string): string {
  parser.parsed.length = 0;
  expect(readSql(sql).statements.map(({ node }) => Object.keys(node ?? {}))).toEqual([['InsertStmt']]);
  return parser.parsed.join('').replaceAll(/\s+/g, ' ');
}

describe('of rows of constants, the parser reads the first one only', () => {
  test.each([
    ['in lines', "insert into t values (1, 'a'),\n(2, 'b'),\n(3, 'c')"],
    ['with CRLF', "insert into t values (1, 'a'),\r\n(2, 'b'),\r\n(3, 'c')"],
    ['in one line', "insert into t values (1, 'a'),(2,'b'),( 3 , 'c' )"],
    ['with all constants', "insert into t values (1, 'a'),(-2.5,null),(+3, TRUE),(0,Default)"],
    [
      'with quotes and marks in strings',
      "insert into t values (1, 'a'), (2, 'it''s; -- (no), $$comment$$'), (3, '/*')",
    ],
  ])('%s', (_what, sql) => {
    expect(parsedText(sql).trim()).toBe("insert into t values (1, 'a')");
  });

  test('and what follows them, at its place', () => {
    const sql = 'insert into t values (1),\n(2),\n(3)\non conflict (é, a) do nothing';
    const [statement] = readSql(sql).statements;
    const insert = statement?.node as { InsertStmt: { onConflictClause: { location: number } } };

    expect(statement?.placeAt(insert.InsertStmt.onConflictClause.location)).toEqual({ line: 4, column: 1 });
    expect(parsedText(sql)).toBe('insert into t values (1) on conflict (é, a) do nothing');
  });
});

describe('everything else in rows reaches the parser', () => {
  test.each([
    ['a function', 'insert into t values (1), (build_index())'],
    ['a query', 'insert into t values (1), ((select 1))'],
    ['an operator', "insert into t values (1), (2 + 1), ('a' || 'b')"],
    ['a cast', "insert into t values (1), ('a'::text)"],
    ['a string with escapes', "insert into t values (1), (E'a\\'), (2')"],
    ['a string of Unicode characters', "insert into t values (1), (U&'\\0061')"],
    ['a dollar quote', 'insert into t values (1), ($$), (2$$)'],
    ['a name', 'insert into t values (1), ("a")'],
    ['a string of two parts', "insert into t values ('1'), ('a'\n'b')"],
    ['a word', 'insert into t values (1), (current_date)'],
    ['a list after RETURNING', 'insert into t values (1) returning a, (2)'],
    [
      'a list after ON CONFLICT',
      'insert into t values (1) on conflict (a) do update set b = 1, (c) = row(2)',
    ],
    ['a list in a query', 'insert into t select * from (values (1), (2)) v'],
  ])('%s', (_what, sql) => {
    expect(parsedText(sql)).toBe(sql.replaceAll(/\s+/g, ' '));
  });

  test.each([
    ['no comma', 'insert into t values (1), (2) (3)', 31],
    ['an empty row', 'insert into t values (1), (2), ()', 33],
    ['a number with letters', 'insert into t values (1), (2), (3x)', 33],
    ['no closing parenthesis', "insert into t values (1), (2, 'a'", 34],
    ['no closing quote', "insert into t values (1), (2), ('a)", 33],
    ['a comma at the end', 'insert into t values (1), (2),', 31],
  ])('an error is at its place: %s', (_what, sql, column) => {
    expect(readSql(sql).statements.map(({ error }) => error?.column)).toEqual([column]);
  });
});

test('a comment that allows something is found between rows', () => {
  const sql =
    'insert into t values (1),\n(2),\n-- pg-deploy-step: allow create-index because of a test\n(3), (4)';

  expect(readSql(sql).statements[0]?.comments.map(({ text }) => text)).toEqual([
    'pg-deploy-step: allow create-index because of a test',
  ]);
});

test('the data of COPY reaches no parser, whatever it contains', () => {
  parser.parsed.length = 0;
  const data = "1\t'$$ (\\n;\r\n2\t/* --\n".repeat(1_000);
  const sql = `copy public.t (a, b) from stdin;\r\n${data}\\.\r\n\ncreate index i on t (a);`;

  expect(readSql(sql).statements.map(({ node, line }) => [Object.keys(node ?? {})[0], line])).toEqual([
    ['CopyStmt', 1],
    ['IndexStmt', 2_004],
  ]);
  expect(Math.max(...parser.parsed.map(({ length }) => length))).toBeLessThan(100);
});

test('a statement of megabytes reaches the parser without its data, and a statement is parsed when its tree is needed', () => {
  const row = "(1, 'text with (parentheses), ''quotes'' and a semicolon;', null, 1.5)";
  const sql = `insert into t values ${Array(20_000).fill(row).join(',')};\ncreate index i on t (a);`;
  parser.parsed.length = 0;
  const { statements } = readSql(sql);

  expect(parser.parsed).toEqual([]);
  expect(statements.map(({ node }) => Object.keys(node ?? {})[0])).toEqual(['InsertStmt', 'IndexStmt']);
  expect(parser.parsed.map((text) => text.trim().length)).toEqual([`insert into t values ${row}`.length, 23]);
});

const FIXTURES = join(import.meta.dirname, '../fixtures');
const files = readdirSync(FIXTURES, { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.sql'),
);

test.each(files)('the statements of %s have the trees that the whole statements have', (file) => {
  const text = readFileSync(join(FIXTURES, file), 'utf8');
  for (const { start, end, node, error, placeholders } of readSql(text).statements) {
    if (placeholders.length > 0 || error !== undefined) continue;
    const [whole] = parseSql(text.slice(start, end));
    expect(withoutRows(node)).toEqual(withoutRows(whole?.node));
  }
});

/** A tree without the rows of VALUES after the first one. */
function withoutRows(tree: unknown): unknown {
  return JSON.parse(JSON.stringify(tree ?? null), (key, value) =>
    key === 'valuesLists' && Array.isArray(value) ? value.slice(0, 1) : value,
  );
}

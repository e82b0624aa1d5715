import { describe, expect, test } from 'vitest';
import { upMigration } from '../../lib/sources/migration-files.ts';
import { readSql } from '../../lib/sql/read-sql.ts';

const kinds = (text: string) =>
  readSql(text).statements.map(({ node }) => (node === undefined ? undefined : Object.keys(node)[0]));
const texts = (text: string) =>
  readSql(text).statements.map((statement) => text.slice(statement.start, statement.end));

describe('statements', () => {
  test('have the place of their first word, and no comments and semicolons', () => {
    const { statements } = readSql('-- one\n\n  select 1;\n\tselect é /* x */ ; select 3');

    expect(statements.map(({ line, column, sql }) => [line, column, sql])).toEqual([
      [3, 3, 'select 1'],
      [4, 2, 'select é'],
      [4, 21, 'select 3'],
    ]);
  });

  test.each([
    ['a string', "select ';'; select 2"],
    ['a string with escapes', "select E'\\';'; select 2"],
    ['a quoted name', 'select 1 as ";"; select 2'],
    ['a dollar-quoted string', 'select $a$ ; $$ ; $a$; select 2'],
    ['a comment', 'select 1 -- ;\n; select 2'],
    ['a comment in a comment', 'select 1 /* ; /* ; */ ; */; select 2'],
    ['parentheses', 'create rule r as on insert to t do also (select 1; select 2); select 2'],
    [
      'the body of a function in standard SQL',
      'create or replace function f(a int) returns int language sql begin atomic select case when true then 1 end; select 2; end; select 2',
    ],
  ])('are not split at semicolons in %s', (_where, text) => {
    expect(texts(text)).toHaveLength(2);
    expect(texts(text)[1]).toBe('select 2');
    expect(kinds(text)).not.toContain(undefined);
  });

  test('that cannot be parsed have the place of the error, and do not hide the others', () => {
    const { statements } = readSql('select 1;\nselect é from from t;\ncreate index on t (a);');

    expect(statements[1]).toMatchObject({
      node: undefined,
      error: { line: 2, column: 15, message: 'syntax error at or near "from"' },
    });
    expect(statements[2]?.node).toHaveProperty('IndexStmt');
  });

  test('with an unterminated quote reach to the end of the text', () => {
    const { statements } = readSql("select 1; select 'abc; select 2");

    expect(statements).toHaveLength(2);
    expect(statements[1]?.error?.message).toContain('unterminated quoted string');
  });

  test('have correct places after characters of several bytes or units', () => {
    const text = "select '😀 é'; create index on t (größe);";
    const { statements } = readSql(text);
    const statement = statements[1];
    const location = statement?.node?.IndexStmt?.relation?.location ?? -1;

    expect(statement?.column).toBe(15);
    expect(statement?.placeAt(location)).toEqual({ line: 1, column: text.indexOf('t (größe)') });
  });
});

describe('text that is not SQL', () => {
  test('commands of psql are skipped, and those that send a statement end it', () => {
    const text =
      '\\restrict abc\\\n\\connect "a;b"\nselect 1;\nselect \'create index i on t (a)\' \\gexec\nselect 2;';
    expect(texts(text)).toEqual(['select 1', "select 'create index i on t (a)'", 'select 2']);
  });

  test('the data of COPY is skipped, whatever quotes it contains', () => {
    const text = "COPY public.t (a) FROM stdin;\nit's\ncreate index on x (y);\n\\.\n\nselect 2;\n";
    expect(texts(text)).toEqual(['COPY public.t (a) FROM stdin', 'select 2']);
    expect(readSql(text).statements[1]).toMatchObject({ line: 6, column: 1 });
  });

  test.each([
    ['a comment that ends with a carriage return', '-- a\rcreate index on t (a);', ['create index on t (a)']],
    [
      'a column named stdin in a COPY that reads no data',
      'copy (select 1 as stdin) to stdout;\ncreate index on t (a);\nselect 2',
      ['copy (select 1 as stdin) to stdout', 'create index on t (a)', 'select 2'],
    ],
    [
      'a statement between COPY and its data',
      'copy t from stdin; create index on t (a);\n1;2\n\\.\nselect 2',
      ['copy t from stdin', 'create index on t (a)', 'select 2'],
    ],
    [
      'a space of Unicode, which is a part of a word',
      'select 1 \u00a0$a$; select 2 \u00a0$a$',
      ['select 1 \u00a0$a$', 'select 2 \u00a0$a$'],
    ],
    [
      'an unterminated string with escapes',
      "select 1; select e'\\'; create index on t (a);",
      ['select 1', "select e'\\'; create index on t (a);"],
    ],
  ])('no statement is hidden by %s', (_what, text, expected) => {
    expect(texts(text)).toEqual(expected);
  });

  test('placeholders are parsed as names of the same length, and listed', () => {
    const [prefix, schema] = ['prefix', 'schema'].map((name) => `$\{${name}}`);
    const { statements } = readSql(`create index ${prefix}_i on ${schema}.t (a); select 1;`);

    expect(statements[0]).toMatchObject({
      placeholders: [prefix, schema],
      node: { IndexStmt: { relation: { relname: 't' } } },
    });
    expect(statements[1]).toMatchObject({ column: 46, placeholders: [] });
  });
});

describe('comments', () => {
  const of = (text: string, at = 0) =>
    readSql(text).statements[at]?.comments.map((comment) => [comment.where, comment.text]);

  test('belong to the statement directly after them, around them, or before them on the line', () => {
    const text = '-- before\n/* and\n * again */\nselect -- inside\n 1; -- after\n-- next\nselect 2;';

    expect(of(text)).toEqual([
      ['before', 'before'],
      ['before', 'and\n again'],
      ['inside', 'inside'],
      ['after', 'after'],
    ]);
    expect(of(text, 1)).toEqual([['before', 'next']]);
  });

  test('do not belong to a statement if an empty line is between them', () => {
    expect(of('--\n-- Name: i; Type: INDEX\n--\n\nselect 1;')).toEqual([]);
  });
});

describe('a down migration', () => {
  test.each(['-- Down Migration', '-- migrate:down', '-- +goose Down', '--down migration'])(
    'is removed after %s',
    (mark) => {
      const text = `-- Up Migration\ncreate index on t (a);\n${mark}\ndrop index t_a_idx;\n`;
      expect(kinds(upMigration(text))).toEqual(['IndexStmt']);
      expect(upMigration(text)).toHaveLength(text.length);
    },
  );

  test('is removed before the up migration', () => {
    const text = '-- Down Migration\ndrop table t;\n-- Up Migration\ncreate table t (a int);';
    expect(kinds(upMigration(text))).toEqual(['CreateStmt']);
    expect(readSql(upMigration(text)).statements[0]).toMatchObject({ line: 4 });
  });

  test('is not found in other comments', () => {
    expect(upMigration('-- going down\nselect 1')).toBe('-- going down\nselect 1');
  });
});

import { describe, expect, test, vi } from 'vitest';
import { importSources } from '../../lib/import/import-sources.ts';
import { withoutAllowed } from '../../lib/lint/allow-comments.ts';
import { MigrationLinter } from '../../lib/lint/migrations/migration-linter.ts';
import { foreignKeysWithoutIndex } from '../../lib/lint/registry/foreign-keys.ts';
import { RegisteredIndexes } from '../../lib/registry/registered-indexes.ts';
import { upMigration } from '../../lib/sources/migration-files.ts';
import { parseSql, SqlSyntaxError, scanSql } from '../../lib/sql/parser.ts';
import { splitText } from '../../lib/sql/split-sql.ts';
import { CountingCursor } from '../support/counting-cursor.ts';
import { HOSTILE_SQL } from '../support/hostile-sql.ts';
import { workOf } from '../support/work-meter.ts';

/*
 * Lint reads the pull requests of strangers, so no text may take much longer than another one of its length. These tests count
 * work, not time: four times the text may need about four times the work. Quadratic work would be sixteen times.
 */

const parser = vi.hoisted(() => ({ parsed: [] as string[], scanned: [] as string[], read: 0 }));
vi.mock('libpg-query', async (original) => {
  const real = await original<typeof import('libpg-query')>();
  const counted =
    <Result>(read: (text: string) => Result, texts: string[]) =>
    (text: string) => {
      parser.read += text.length;
      texts.push(text);
      return read(text);
    };
  return {
    ...real,
    parseSync: counted(real.parseSync, parser.parsed),
    scanSync: counted(real.scanSync, parser.scanned),
  };
});

const SHORT = 1_500;
const LONG = 4 * SHORT;
const MOST_GROWTH = 7;

const shapes = Object.entries(HOSTILE_SQL);

describe('the splitter reads each character a limited number of times', () => {
  test.each(shapes)('%s', (_what, textOf) => {
    const text = textOf(100_000);
    const cursor = new CountingCursor(text);
    splitText(cursor);
    expect(cursor.read / text.length).toBeLessThan(16);
  });
});

describe('four times the text needs about four times the work', () => {
  test.each(shapes)('to lint: %s', async (_what, textOf) => {
    expect(await growth((length) => lint(textOf(length)))).toBeLessThan(MOST_GROWTH);
  });

  test.each(shapes)('to import: %s', async (_what, textOf) => {
    expect(await growth((length) => imported(textOf(length)))).toBeLessThan(MOST_GROWTH);
  });

  test('the meter finds quadratic work', async () => {
    const pairs = (length: number) => {
      const list = Array.from({ length: length / 10 }, (_, at) => at);
      for (const one of list) list.includes(-one - 1);
    };
    expect(await growth(pairs)).toBeGreaterThan(12);
  });
});

describe("PostgreSQL's parser and scanner, which are not linear for every text, do not get", () => {
  test.each([
    ['slashes and stars in comments', `select 1 ${'/**/'.repeat(500)}`],
    ['nested comments', `select 1 ${'/*'.repeat(500)} ${'*/'.repeat(500)}`],
    ['unterminated comments', `select 1 ${'/*'.repeat(500)}`],
    ['comments with other characters', `select 1 ${'/*é**//*//**/*/'.repeat(500)}`],
  ])('%s', (_what, text) => {
    parser.parsed.length = 0;
    parser.scanned.length = 0;
    for (const read of [parseSql, scanSql]) {
      try {
        read(text);
      } catch (error) {
        expect(error).toBeInstanceOf(SqlSyntaxError);
      }
    }
    expect([parser.parsed.length, parser.scanned.length]).toEqual([1, 1]);
    for (const given of [...parser.parsed, ...parser.scanned]) {
      expect(Buffer.byteLength(given)).toBe(Buffer.byteLength(text));
      expect(given).not.toMatch(/[*/]{5}/);
    }
  });

  test.each([
    ['a long run of operators', `select ${'+'.repeat(100_000)}1`, 'it has more than 200 operators in a row'],
    ['deep sums', `select 1${'+1'.repeat(100_000)}`, 'it is nested too deeply'],
    ['deep parentheses', `select ${'('.repeat(100_000)}1${')'.repeat(100_000)}`, 'it is nested too deeply'],
    [
      'deep queries',
      `select ${'(select '.repeat(100_000)}1${')'.repeat(100_000)}`,
      'it is nested too deeply',
    ],
    ['deep sets', `select 1, 2${' union select 1, 2'.repeat(100_000)}`, 'it is nested too deeply'],
  ])('%s: lint reports the statement, and checks the others', (_what, sql, reason) => {
    parser.parsed.length = 0;
    parser.scanned.length = 0;
    const findings = lint(`${sql};\ncreate index i on t (a);`);

    expect(findings.map(({ rule, line }) => `${line} ${rule}`)).toEqual(['1 unreadable', '2 create-index']);
    expect(findings[0]?.message).toContain(reason);
    // Only the second statement reaches the parser, and the entry that replaces it.
    expect(Math.max(...parser.parsed.map(({ length }) => length))).toBeLessThan(100);
  });

  test('a long statement that is not deep is checked', () => {
    const rows = Array.from({ length: 20_000 }, (_, at) => `(${at}, 'a')`).join(',\n');
    const sets = `select 1, 'a'${" union all select 2, 'b'".repeat(1_500)}`;
    const columns = Array.from(
      { length: 1_000 },
      (_, at) => `c${at} int not null default 0 check (c${at} > 0)`,
    ).join();
    const texts = [`insert into t values ${rows}`, `insert into t ${sets}`, `create table t (${columns})`];
    expect(lint(texts.join(';'))).toEqual([]);
  });
});

test('of a statement that runs many functions, twenty are checked, and a warning says so', () => {
  const chain = (count: number) =>
    Array.from(
      { length: count },
      (_, at) =>
        `create function f${at}() returns void language sql as $$ create index on t (a); select f${at - 1}() $$;`,
    ).join('\n');
  const rules = (count: number) => lint(`${chain(count)}\nselect f${count - 1}();`).map(({ rule }) => rule);
  expect(rules(20)).toEqual(Array(20).fill('create-index'));
  expect(rules(21)).toEqual(['unreadable', ...Array(20).fill('create-index')]);
});

describe('deep statements do not use up the parser', () => {
  // Without a limit, the parser fails after about forty of them with "memory access out of bounds".
  test('sixty of them hide nothing', () => {
    const deep = `select 1${'+1'.repeat(12_000)};\n`;
    const findings = lint(`${deep.repeat(60)}create index i on t (a);`);
    expect(findings.at(-1)).toMatchObject({ rule: 'create-index', line: 61 });
  });
});

function lint(text: string) {
  const linter = new MigrationLinter(new RegisteredIndexes([]));
  const { findings, allowances, moves } = linter.lint(
    { file: 'a.sql', text: upMigration(text), hasLines: true },
    true,
  );
  for (const move of moves) linter.obstacleOf(move);
  return [
    ...withoutAllowed(findings, allowances),
    ...foreignKeysWithoutIndex(linter.schema, [], { tenantColumn: 'tenant_id' }),
  ];
}

async function imported(text: string): Promise<void> {
  await importSources({ files: [{ file: 'a.sql', text: upMigration(text), hasLines: true }], skipped: [] });
}

async function growth(run: (length: number) => unknown): Promise<number> {
  const [short, long] = [
    await workOf(
      () => run(SHORT),
      () => parser.read,
    ),
    await workOf(
      () => run(LONG),
      () => parser.read,
    ),
  ];
  return long / short;
}

import { existsSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

/*
 * docs/aws-behaviour.md: each fact has a source, and each test that it names exists.
 */

const PAGE = readFileSync('docs/aws-behaviour.md', 'utf8');

/** The cells of the rows: fact, source, tests. */
const ROWS = [...PAGE.matchAll(/^\| (?!Fact \||---)(.+) \|$/gm)].map(([, row = '']) => row.split(' | '));

/** The tests of a cell: `test/FILE`: NAME; `test/FILE`: NAME */
const testsOf = (cell: string) =>
  cell.split(/; (?=`test\/)/).map((test) => /^`(.+?)`: (.+)$/.exec(test) ?? []);

it('each row has a fact, a source and a test', () => {
  expect(ROWS.length).toBeGreaterThan(70);
  expect(ROWS.filter((cells) => cells.length !== 3 || cells.some((cell) => cell.trim() === ''))).toEqual([]);
  expect(ROWS.map(([fact]) => fact).filter((fact, at, all) => all.indexOf(fact) !== at)).toEqual([]);
});

it('each source has an address', () => {
  expect(ROWS.filter(([, source = '']) => !/\(https:\/\/[^)]+\)/.test(source)).map(([fact]) => fact)).toEqual(
    [],
  );
});

it('each test exists, with its name', () => {
  const missing = ROWS.flatMap(([, , cell = '']) => testsOf(cell)).filter(([, path = '', name = '']) => {
    const file = `${path}.test.ts`;
    return !existsSync(file) || !hasTest(readFileSync(file, 'utf8'), name);
  });
  expect(missing.map(([test]) => test)).toEqual([]);
});

/** Whether a file has a test, a group of tests or a case with this name, which is a whole text and more than one word. */
function hasTest(source: string, name: string): boolean {
  return name.includes(' ') && ["'", '"', '`'].some((quote) => source.includes(`${quote}${name}${quote}`));
}

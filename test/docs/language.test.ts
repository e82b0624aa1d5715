import { globSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

/*
 * The table of preferred words in CONTRIBUTING.md is the only list: this test searches the repository for its right
 * column.
 */

const FILES = globSync(
  [
    '*.md',
    '*.json',
    '*.ts',
    '.ci/run',
    ...['bin', 'lib', 'lambdas', 'database', 'docs', 'bench', 'examples', 'integ', 'test'].map(
      (folder) => `${folder}/**/*.{ts,md,sql,json}`,
    ),
  ],
  { exclude: (name) => name.includes('node_modules') || name.includes('cdk.out') },
)
  .filter((file) => !file.startsWith('test/fixtures/') && file !== 'package-lock.json')
  .toSorted();

const [, TABLE = ''] = readFileSync('CONTRIBUTING.md', 'utf8').split('| Write | Not |\n| --- | --- |\n');

/** The words of the right column of the table, "| Write | Not |". */
const AVOIDED = [...TABLE.matchAll(/^\| [^|]+ \| ([^|]+) \|$/gm)].flatMap(([, cell = '']) =>
  cell.split(',').map((words) => words.trim()),
);

it('has a table of preferred words', () => {
  expect(AVOIDED.length).toBeGreaterThan(20);
});

it('uses the preferred words', () => {
  const found = FILES.flatMap((file) =>
    avoidedIn(proseOf(readFileSync(file, 'utf8'), file)).map((excerpt) => `${file}: ${excerpt}`),
  );
  expect(found).toEqual([]);
});

/** Names in camel case count as words, and a sentence may continue in the next line of a comment. */
function proseOf(text: string, file: string): string {
  const prose = file === 'CONTRIBUTING.md' ? text.replaceAll(/^\|.*\|$/gm, '') : text;
  return prose.replaceAll(/\n\s*(?:\*|\/\/|--|#+|>)?\s*/g, ' ').replaceAll(/(?<=[a-z])(?=[A-Z])/g, ' ');
}

const ANY_AVOIDED = new RegExp(`\\b(?:${AVOIDED.join('|').replaceAll(' ', '\\s+')})\\b`, 'gi');

function avoidedIn(prose: string): string[] {
  return [...prose.matchAll(ANY_AVOIDED)].map(
    ({ 0: words, index }) => `"${words}" in: ${prose.slice(Math.max(0, index - 40), index + 40)}`,
  );
}

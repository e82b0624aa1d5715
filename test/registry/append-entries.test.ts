import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import indexes from '../../database/indexes.ts';
import { appendEntries, NoListError } from '../../lib/registry/append-entries.ts';
import type { IndexEntry } from '../../lib/registry/define-indexes.ts';
import { newRegistryFile } from '../../lib/registry/registry-text.ts';

const ENTRY: IndexEntry = {
  name: 'idx_a',
  sql: 'create index concurrently if not exists idx_a on t (a)',
  description: "A tenant's rows",
};

/** The entry as it stands behind four spaces and in a file that is indented by two. */
const WRITTEN = `{
    name: 'idx_a',
    sql: 'create index concurrently if not exists idx_a on t (a)',
    description: "A tenant's rows",
  }`;

describe('an entry is written', () => {
  test('into a new module, as it is formatted here', () => {
    expect(newRegistryFile([ENTRY, ENTRY], 'ts')).toBe(
      `import { defineIndexes } from 'pg-deploy-step/define-indexes';

export default defineIndexes([
  ${WRITTEN},
  ${WRITTEN},
]);
`,
    );
  });

  test('into a new JSON file', () => {
    const entry = { ...ENTRY, critical: true, serves: ['a', 'b'], accept: { 'redundant-index': 'small' } };
    expect(newRegistryFile([entry], 'json')).toBe(`[
  {
    "name": "idx_a",
    "sql": "create index concurrently if not exists idx_a on t (a)",
    "critical": true,
    "description": "A tenant's rows",
    "serves": ["a", "b"],
    "accept": { "redundant-index": "small" }
  }
]
`);
  });

  test('without what goes without saying', () => {
    const entry = { ...ENTRY, critical: false, serves: [], accept: {} };
    expect(newRegistryFile([entry], 'ts')).toBe(newRegistryFile([ENTRY], 'ts'));
  });

  test('for the whole demo as its authors formatted it, but for their comments', () => {
    const file = readFileSync(new URL('../../database/indexes.ts', import.meta.url), 'utf8');
    const list = file.slice(file.indexOf('defineIndexes(['));
    const bare = list.replaceAll(/^ +\/\/.*\n/gm, '').replaceAll(/\n\n/g, '\n');
    const written = newRegistryFile(indexes, 'ts');
    expect(written.slice(written.indexOf('defineIndexes(['))).toBe(bare);
  });

  test('as the formatter leaves it, however long its texts are', () => {
    const long = 'word '.repeat(40).trim();
    const texts = [
      '',
      "'",
      '"',
      `'"`,
      '`',
      '\\',
      '$' + '{a}',
      'two\nlines of `$' + '{b}\\`',
      long,
      `${long} isn't "it"`,
    ];
    const entries = texts.flatMap((text) => [
      { ...ENTRY, sql: `${ENTRY.sql} where b = '${text}'`, description: text, critical: true },
      {
        ...ENTRY,
        serves: [text, text, text],
        onDrift: 'rebuild' as const,
        accept: { 'a-b': text, ab: text },
      },
    ]);
    const written = newRegistryFile(entries, 'ts');
    const biome = new URL('../../node_modules/.bin/biome', import.meta.url).pathname;
    expect(
      execFileSync(biome, ['format', '--stdin-file-path=indexes.ts'], { input: written }).toString(),
    ).toBe(written);
  });
});

describe('an entry is added at the end of a list', () => {
  const start = `// 'kept' [\nexport default defineIndexes([`;
  test.each([
    ['that is empty', `${start}]);\n`, `${start}\n  ${WRITTEN},\n]);\n`],
    ['that holds a comment only', `${start}\n  // none\n]);\n`, `${start}\n  // none\n  ${WRITTEN},\n]);\n`],
    [
      'behind a comma',
      `${start}\n  { name: 'b' }, // last\n\n]);\n`,
      `${start}\n  { name: 'b' }, // last\n  ${WRITTEN},\n\n]);\n`,
    ],
    [
      'without a comma behind the last',
      `${start}\n  ...others,\n  { name: ']' } // last\n]);`,
      `${start}\n  ...others,\n  { name: ']' }, // last\n  ${WRITTEN},\n]);`,
    ],
    ['on one line', `${start}{ name: 'b' }]);`, `${start}{ name: 'b' },\n  ${WRITTEN},\n]);`],
    [
      'of a variable, with types',
      "const list: readonly IndexEntry[] = [\n] as const;\nconst other = ['a'];\nexport { list as default };",
      `const list: readonly IndexEntry[] = [\n  ${WRITTEN},\n] as const;\nconst other = ['a'];\nexport { list as default };`,
    ],
    [
      'of a variable that is given to defineIndexes',
      'const list = [];\nexport default defineIndexes(list);',
      `const list = [\n  ${WRITTEN},\n];\nexport default defineIndexes(list);`,
    ],
  ])('%s', (_case, text, expected) => {
    expect(appendEntries(text, 'ts', [ENTRY])).toBe(expected);
  });

  test('with the indentation and the line ends of the file', () => {
    const text = 'export default [\r\n\t{\r\n\t\tname: "b",\r\n\t},\r\n];\r\n';
    expect(appendEntries(text, 'ts', [ENTRY])).toBe(
      text.replace(
        '];',
        `\t${WRITTEN.replaceAll('    ', '\t\t').replaceAll('  }', '\t}').replaceAll('\n', '\r\n')},\r\n];`,
      ),
    );
  });

  test('of JSON, where the last has no comma', () => {
    const text = '[\n    {\n        "name": "b"\n    }\n]\n';
    const added = appendEntries(text, 'json', [ENTRY]);
    expect(added.startsWith('[\n    {\n        "name": "b"\n    },\n    {\n        "name": "idx_a",\n')).toBe(
      true,
    );
    expect(JSON.parse(added)).toEqual([{ name: 'b' }, ENTRY]);
  });

  test('and the file stays as it is where there is nothing to add', () => {
    expect(appendEntries(`${start}]);`, 'ts', [])).toBe(`${start}]);`);
  });
});

test.each([
  ['ts', "export default ['a'].map((table) => entry(table));"],
  ['ts', "export default tables(['a']);"],
  ['ts', 'export const indexes = [];'],
  ['ts', 'export default [`'],
  ['json', '{"indexes": []}'],
  ['json', ''],
] as const)('a list that is made by code is refused: %s %s', (kind, text) => {
  expect(() => appendEntries(text, kind, [ENTRY])).toThrow(NoListError);
});

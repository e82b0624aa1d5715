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

/** The entry in a file that is indented by two spaces. */
const WRITTEN = `{
    name: 'idx_a',
    sql: 'create index concurrently if not exists idx_a on t (a)',
    description: "A tenant's rows",
  }`;

describe('an entry is written', () => {
  test('to a new module, in the format of this repository', () => {
    expect(newRegistryFile([ENTRY, ENTRY], 'ts')).toBe(
      `import { defineIndexes } from 'pg-deploy-step/define-indexes';

export default defineIndexes([
  ${WRITTEN},
  ${WRITTEN},
]);
`,
    );
  });

  test('to a new JSON file', () => {
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

  test('without fields that have their default', () => {
    const entry = { ...ENTRY, critical: false, serves: [], accept: {} };
    expect(newRegistryFile([entry], 'ts')).toBe(newRegistryFile([ENTRY], 'ts'));
  });

  test('for the whole demo registry as its authors formatted it, without their comments', () => {
    const file = readFileSync(new URL('../../database/indexes.ts', import.meta.url), 'utf8');
    const list = file.slice(file.indexOf('defineIndexes(['));
    const bare = list.replaceAll(/^ +\/\/.*\n/gm, '').replaceAll(/\n\n/g, '\n');
    const written = newRegistryFile(indexes, 'ts');
    expect(written.slice(written.indexOf('defineIndexes(['))).toBe(bare);
  });

  test('in the style of the formatter, with texts of any length', () => {
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
    [
      'that contains only a comment',
      `${start}\n  // none\n]);\n`,
      `${start}\n  // none\n  ${WRITTEN},\n]);\n`,
    ],
    [
      'with a comma after the last entry',
      `${start}\n  { name: 'b' }, // last\n\n]);\n`,
      `${start}\n  { name: 'b' }, // last\n  ${WRITTEN},\n\n]);\n`,
    ],
    [
      'without a comma after the last entry',
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
      'of a variable that is passed to defineIndexes',
      'const list = [];\nexport default defineIndexes(list);',
      `const list = [\n  ${WRITTEN},\n];\nexport default defineIndexes(list);`,
    ],
  ])('%s', (_case, text, expected) => {
    expect(appendEntries(text, 'ts', [ENTRY])).toBe(expected);
  });

  test('with the indentation and the line endings of the file', () => {
    const text = 'export default [\r\n\t{\r\n\t\tname: "b",\r\n\t},\r\n];\r\n';
    expect(appendEntries(text, 'ts', [ENTRY])).toBe(
      text.replace(
        '];',
        `\t${WRITTEN.replaceAll('    ', '\t\t').replaceAll('  }', '\t}').replaceAll('\n', '\r\n')},\r\n];`,
      ),
    );
  });

  test('of JSON, which allows no comma after the last entry', () => {
    const text = '[\n    {\n        "name": "b"\n    }\n]\n';
    const added = appendEntries(text, 'json', [ENTRY]);
    expect(added.startsWith('[\n    {\n        "name": "b"\n    },\n    {\n        "name": "idx_a",\n')).toBe(
      true,
    );
    expect(JSON.parse(added)).toEqual([{ name: 'b' }, ENTRY]);
  });

  test('and without entries the file does not change', () => {
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
] as const)('a list that code computes is refused: %s %s', (kind, text) => {
  expect(() => appendEntries(text, kind, [ENTRY])).toThrow(NoListError);
});

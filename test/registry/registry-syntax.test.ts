import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { appendEntries } from '../../lib/registry/append-entries.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'registry-syntax-'));
});
afterAll(() => rm(folder, { recursive: true }));

const DEFINE = new URL('../../lib/registry/define-indexes.ts', import.meta.url).pathname;
/** A valid entry, and the same entry with a problem at the word `only`. */
const VALID = `{ name: 'idx_a', sql: 'create index concurrently if not exists idx_a on t (a)', description: 'x' }`;
const WRONG = VALID.replace('on t', 'on only t');
const ADDED = {
  name: 'idx_b',
  sql: 'create index concurrently if not exists idx_b on t (b)',
  description: 'y',
};

/** Files that write out their list, by what is special about them; ENTRY and DEFINE are replaced. */
const FORMS: readonly (readonly [what: string, extension: string, text: string])[] = [
  [
    'an alias of defineIndexes',
    '.ts',
    "import { defineIndexes as d } from 'DEFINE';\nexport default d([ENTRY]);",
  ],
  ['a module namespace', '.ts', "import * as p from 'DEFINE';\nexport default p.defineIndexes([ENTRY]);"],
  [
    'a variable for defineIndexes',
    '.mjs',
    "import * as p from 'DEFINE';\nconst define = p.defineIndexes;\nexport default define([ENTRY]);",
  ],
  [
    'destructured defineIndexes',
    '.mjs',
    "const { defineIndexes: d } = await import('DEFINE');\nexport default d([ENTRY]);",
  ],
  [
    'type arguments',
    '.ts',
    "import { defineIndexes } from 'DEFINE';\nconst d = <T extends object>(list: readonly T[]) => list;\nexport default (defineIndexes as typeof d)<{ name: string }>([ENTRY]);",
  ],
  [
    'satisfies and as',
    '.ts',
    "import type { IndexEntry } from 'DEFINE';\nexport default ([ENTRY satisfies IndexEntry] as const) satisfies readonly IndexEntry[];",
  ],
  ['non-null assertions and parentheses', '.ts', 'export default (((([ENTRY])!)));'],
  [
    'a variable that is exported by name as well',
    '.ts',
    "import { defineIndexes } from 'DEFINE';\nexport const list = [ENTRY];\nexport default defineIndexes(list);",
  ],
  ['an export by a string', '.mjs', "const list = [ENTRY];\nexport { list as 'default' };"],
  ['an export before the variable', '.mjs', 'export { list as default };\nvar list = [ENTRY];'],
  [
    'a variable of a variable',
    '.ts',
    'const one: object[] = [ENTRY];\nconst two = one;\nexport default two;',
  ],
  [
    'a variable whose type contains = and ;',
    '.ts',
    'const list: { name: string; check?: (a: string) => boolean }[] = [ENTRY];\nexport default list;',
  ],
  ['no semicolons', '.ts', 'const list = [ENTRY]\nconst other = [1]\nexport default list'],
  ['a frozen list', '.mjs', 'export default Object.freeze([ENTRY]);'],
  [
    'a frozen result of defineIndexes',
    '.ts',
    "import { defineIndexes as d } from 'DEFINE';\nexport default Object.freeze(d([ENTRY]));",
  ],
  ['a spread of other lists before', '.mjs', 'const none = [];\nexport default [...none, ENTRY];'],
  ['a spread of a list that is written out', '.mjs', 'const base = [ENTRY];\nexport default [...base];'],
  [
    'a regular expression after a parenthesis',
    '.mjs',
    "const text = 'a';\nif (text) /['\"`[({]/.test(text);\nexport default [ENTRY];",
  ],
  ['a regular expression after a block', '.mjs', "{ }\n/'/.test('a');\nexport default [ENTRY];"],
  [
    'a division',
    '.mjs',
    "const half = (4) / 2; const q = '/'; const third = [9][0] / 3;\nexport default [ENTRY];",
  ],
  [
    'nested template literals',
    '.mjs',
    ['const t = `[ $', "{['`', `}$", "{'$", "{'}`].join(`]`)} {`;\nexport default [ENTRY];"].join(''),
  ],
  [
    'angle brackets',
    '.ts',
    'const f = <T,>(x: T): x is T & {} => 1 < 2 === (2 > 1);\nvoid f;\nexport default [ENTRY];',
  ],
  [
    'HTML in a text and in comments',
    '.mjs',
    "// <Index name='a\nconst html = '<b>' + `</b>`; /* don't [ */\nexport default [ENTRY];",
  ],
  [
    'comments in every gap',
    '.ts',
    'export /* a */ default /* [ */ [ /* { */\n  // }\n  ENTRY /* , */ // ]\n  /* last */\n];',
  ],
  ['a comment before the comma', '.mjs', 'export default [\n  ENTRY // one\n  , // two\n];'],
  ['Windows line endings', '.ts', 'export default [\r\n  // a\r\n  ENTRY,\r\n];\r\n'],
  ['old Macintosh line endings in a comment', '.mjs', '// a\rexport default [ENTRY];'],
  ['a byte order mark', '.ts', '\ufeffexport default [ENTRY];'],
  ['a shebang', '.mjs', "#!/usr/bin/env node ['\nexport default [ENTRY];"],
  [
    'a class and a function with the same variable',
    '.ts',
    'function f() {\n  const list = [1];\n  return list;\n}\nclass A { list = f; }\nvoid A;\nconst list = [ENTRY];\nexport default list;',
  ],
  ['top-level await', '.mjs', 'await Promise.resolve();\nexport default [ENTRY];'],
  [
    'another object of the same name',
    '.mjs',
    "export const table = { name: 'idx_a', sql: 1 };\nexport default [ENTRY];",
  ],
  ['a CommonJS module', '.cjs', 'module.exports = [ENTRY];'],
  [
    'a CommonJS module with require',
    '.cjs',
    "'use strict';\nconst { defineIndexes: d } = require('DEFINE');\nmodule.exports = d([ENTRY]);",
  ],
  ['a CommonJS module with an octal literal', '.cjs', 'var old = 010;\nmodule . exports = [ENTRY];'],
];

/** Loads and extends each file as the commands do: Vitest would transform the modules before Node.js reads them. */
const SCRIPT = `
import { readFileSync, writeFileSync } from 'node:fs';
import { loadRegistry } from './lib/registry/load-registry.ts';
import { writeRegistry } from './lib/registry/write-registry.ts';
const { forms, added } = JSON.parse(readFileSync(0, 'utf8'));
const check = async ({ file, wrong, valid }) => {
  writeFileSync(file, wrong);
  const problems = await loadRegistry(file).then(() => 'not refused', (error) => error.problems ?? error.stack);
  writeFileSync(file, valid);
  const written = await writeRegistry(file, [added]).catch((error) => error.message);
  const entries = await loadRegistry(file).catch((error) => error.message);
  return { problems, written, entries, text: readFileSync(file, 'utf8') };
};
// Each module is imported in a process of its own, so some are checked at the same time.
const results = [];
while (forms.length > 0) results.push(...(await Promise.all(forms.splice(0, 4).map(check))));
console.log(JSON.stringify(results));
`;

interface Result {
  problems: unknown;
  written: unknown;
  entries: unknown;
  text: string;
}

describe('the list of a module is found and extended if the file has', () => {
  const results = new Map<string, Result>();
  const fill = (form: string, entry: string) => form.replace('DEFINE', DEFINE).replace('ENTRY', () => entry);
  beforeAll(() => {
    const forms = FORMS.map(([, extension, form], position) => ({
      file: join(folder, `form-${position}${extension}`),
      wrong: fill(form, WRONG),
      valid: fill(form, VALID),
    }));
    const output = execFileSync(process.execPath, ['--input-type=module', '--eval', SCRIPT], {
      cwd: fileURLToPath(new URL('../..', import.meta.url)),
      input: JSON.stringify({ forms, added: ADDED }),
    });
    for (const [position, result] of (JSON.parse(output.toString()) as Result[]).entries()) {
      results.set(FORMS[position]?.[0] ?? '', result);
    }
  });

  test.each(FORMS)('%s (%s)', (what, _extension, form) => {
    const { problems, written, entries, text } = results.get(what) ?? { text: '' };
    const place = placeOf(fill(form, WRONG), 'only t');
    expect(problems).toMatchObject([{ ...place, rule: 'statement', field: 'sql' }]);
    expect(written).toEqual({ added: [ADDED], kept: [] });
    expect(entries).toMatchObject([{ name: 'idx_a' }, { name: 'idx_b' }]);
    const valid = fill(form, VALID);
    expect(text.startsWith(valid.slice(0, valid.indexOf(VALID) + VALID.length))).toBe(true);
    expect(text.split('\r\n').length === text.split('\n').length).toBe(valid.includes('\r\n'));
  });

  // Node.js does not run it, but a loader that compiles TypeScript does.
  test('a type assertion in angle brackets', () => {
    const text = 'export default <readonly object[]>[<object>{}];';
    expect(appendEntries(text, 'ts', [ADDED])).toContain("[<object>{},\n  {\n    name: 'idx_b'");
  });
});

function placeOf(text: string, word: string): { line: number; column: number } {
  const lines = text
    .replace(/^\ufeff/, '')
    .slice(0, text.replace(/^\ufeff/, '').indexOf(word))
    .split('\n');
  return { line: lines.length, column: (lines.at(-1) ?? '').length + 1 };
}

describe('a list that cannot be extended is refused with its place and the reason', () => {
  test.each([
    ['no default export', 'export const list = [];', '1:1', 'it has no default export'],
    ['a call', '\nexport default tables([1]);', '2:16', 'code computes its default export'],
    ['a method of the list', "export default ['a'].map(entry);", '1:16', 'code computes its default export'],
    ['a variable that a call returns', 'const list = make();\nexport default list;', '1:14', 'code computes'],
    ['a variable without a value', 'let list;\nlist = [];\nexport default list;', '3:16', 'code computes'],
    ['a variable in a block', '{ const list = []; }\nexport default list;', '2:16', 'code computes'],
    ['a variable that contains itself', 'var list = list;\nexport default list;', '1:12', 'code computes'],
    ['a function', 'export default function indexes() { return []; }', '1:16', 'code computes'],
    ['a conditional', 'export default prod ? [] : [1];', '1:16', 'code computes its default export'],
    [
      'an import',
      "import list from './l.ts';\nexport default list;",
      '2:16',
      'its list comes from another module (./l.ts)',
    ],
    [
      'a re-export',
      "export { default } from './l.ts';",
      '1:10',
      'its list comes from another module (./l.ts)',
    ],
    [
      'a re-exported namespace',
      "export * as default from './l.ts';",
      '1:8',
      'code computes its default export',
    ],
    ['a syntax error', 'export default [\n  {,\n];', '2:4', 'it has a syntax error: Unexpected token'],
    [
      'a file that ends too early',
      'export default [`',
      '1:18',
      'it has a syntax error: Unterminated template',
    ],
  ])('%s', (_what, text, place, reason) => {
    const message = messageOf(() => appendEntries(text, 'ts', [ADDED], 'db/indexes.ts'));
    expect(message).toContain(
      `db/indexes.ts:${place}: entries cannot be added to this registry, because ${reason}`,
    );
    expect(message).toContain('Write the list in this file: export default defineIndexes([…])');
  });

  test.each([
    ['an object', '{ "indexes": [] }', '1:1', 'it is not a list'],
    [
      'a comment',
      '[\n  {} // one\n]',
      '2:6',
      'it has a syntax error: JSON allows no comments; remove this one',
    ],
    ['a comma too many', '[\n  {},\n]', '3:1', 'it has a syntax error: Unexpected token'],
    ['an empty file', '', '1:1', 'it has a syntax error: Unexpected end of JSON input'],
  ])('JSON: %s', (_what, text, place, reason) => {
    const message = messageOf(() => appendEntries(text, 'json', [ADDED], 'db/indexes.json'));
    expect(message).toContain(
      `db/indexes.json:${place}: entries cannot be added to this registry, because ${reason}`,
    );
  });
});

function messageOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof Error && error.name === 'NoListError') return error.message;
    throw error;
  }
  throw new Error('Not refused.');
}

describe('entries are added to JSON in the style of the file', () => {
  const entry = `{"name": "idx_a", "sql": "x", "description": "y"}`;
  const added = JSON.stringify(ADDED, null, 2);
  test.each([
    ['an empty list', '[]', `[\n  ${added.replaceAll('\n', '\n  ')}\n]`],
    ['an empty list with space', '[\n\n]\n', `[\n  ${added.replaceAll('\n', '\n  ')}\n\n]\n`],
    ['a list on one line', `[${entry}]`, `[${entry},\n  ${added.replaceAll('\n', '\n  ')}\n]`],
    [
      'tabs, Windows line endings and a byte order mark',
      `\ufeff[\r\n\t${entry}\r\n]\r\n`,
      `\ufeff[\r\n\t${entry},\r\n\t${added.replaceAll('\n  ', '\n\t\t').replaceAll('\n}', '\n\t}').replaceAll('\n', '\r\n')}\r\n]\r\n`,
    ],
    [
      'four spaces',
      `[\n    ${entry}\n]`,
      `[\n    ${entry},\n    ${added.replaceAll('\n  ', '\n        ').replaceAll('\n}', '\n    }')}\n]`,
    ],
  ])('%s', (_what, text, expected) => {
    expect(appendEntries(text, 'json', [ADDED])).toBe(expected);
  });
});

// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the strings are the source of modules.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { refusedEntries } from '../../lib/registry/compile-registry.ts';
import { readJson } from '../../lib/registry/json-source.ts';
import { loadRegistry, readRegistryFile } from '../../lib/registry/load-registry.ts';
import { parseModule, readModule } from '../../lib/registry/module-source.ts';
import { RegistryError } from '../../lib/registry/registry-error.ts';
import { workOf } from '../support/work-meter.ts';

const DEFINE = new URL('../../lib/registry/define-indexes.ts', import.meta.url).pathname;
const DEFINED = `import { defineIndexes } from '${DEFINE}';\n`;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'module-value-'));
  await writeFile(join(folder, 'others.ts'), "export const others = [{ name: 'b' }];");
  await writeFile(join(folder, 'tag.ts'), 'export default String.raw;');
});
afterAll(() => rm(folder, { recursive: true }));

let count = 0;
async function written(text: string, extension: string): Promise<string> {
  count += 1;
  const file = join(folder, `registry-${count}${extension}`);
  await writeFile(file, text);
  return file;
}

describe('without running a module, its value is the one that it has when it runs', () => {
  test.each<[what: string, text: string, extension?: string]>([
    [
      'a list',
      "export default [{ name: 'a', critical: true, serves: ['x', `y`], accept: { 'a-b': \"c\" } }];",
    ],
    ['defineIndexes', `${DEFINED}export default defineIndexes([{ name: 'a' }]);`],
    ['an alias of it', `import { defineIndexes as d } from '${DEFINE}';\nexport default d([{ name: 'a' }]);`],
    [
      'a namespace',
      `import * as p from '${DEFINE}';\nconst d = p.defineIndexes;\nexport default d([{ name: 'a' }]);`,
    ],
    [
      'types',
      "const list = [{ name: 'a' as const }] satisfies { name: string }[];\nexport default list as unknown;",
    ],
    [
      'constants',
      "const T = 't';\nconst base = { sql: `on ${T}` };\nexport default [{ name: 'a' + '_' + T, ...base }];",
    ],
    [
      'spread lists',
      "const a = [{ name: 'a' }];\nconst b = [...a, { name: 'b' }];\nexport default [...b, ...a];",
    ],
    ['exported constants', "export const a = [{ name: 'a' }];\nexport { a as default };"],
    ['escapes', "export default [{ name: '\\u0041\\x42\\n\\'', sql: String.raw`\\d${1}` }];"],
    ['a tag for editors', "import sql from './tag.ts';\nexport default [{ sql: sql`a ${'b'} c` }];"],
    ['frozen lists', 'export default Object.freeze([{ critical: false, sql: null, onDrift: undefined }]);'],
    [
      'functions that are not called',
      "const f = () => { throw new Error(); };\nfunction g() {}\nexport default [{ name: 'a' }];",
    ],
    ['a field named __proto__', "export default [{ accept: { ['__proto__']: 'x', b: 'y' } }];"],
    [
      'fields that are set twice',
      "export default [{ name: 'a', name: 'b', ...{ name: 'c' }, sql: 'x' }];",
      '.mjs',
    ],
    [
      'CommonJS',
      "const { join } = require('node:path');\nconst a = 'a';\nmodule.exports = [{ name: a }];",
      '.cjs',
    ],
    ['an unused import', "import { others } from './others.ts';\nexport default [{ name: 'a' }];"],
  ])('%s', async (_what, text, extension = '.ts') => {
    const file = await written(text, extension);
    const { entries } = await readRegistryFile(file, { runCode: false });
    expect(entries).toEqual((await readRegistryFile(file)).entries);
  });
});

describe('what only the code knows is refused with its place', () => {
  test.each<[text: string, at: string, reason: string]>([
    ['export default [{ name: process.env.NAME }];', '1:25', '"process.env.NAME" is computed by code'],
    ["export default ['a'].map((name) => ({ name }));", '1:16', 'is computed by code'],
    [
      "import { others } from './others.ts';\nexport default [...others];",
      '2:20',
      '"others" comes from another module ("./others.ts")',
    ],
    ["export { others as default } from './others.ts';", '1:1', 'its list comes from another module'],
    [
      'const list = [];\nlist.push({});\nexport default list;',
      '2:1',
      'it has code that runs when the module is loaded',
    ],
    ['let list = [];\nexport default list;', '1:1', 'it declares a variable with let'],
    ['const list = [];\nconst size = list.push({});\nexport default list;', '2:14', 'is computed by code'],
    [
      'const defineIndexes = (list) => list.slice(1);\nexport default defineIndexes([{}]);',
      '2:16',
      'is computed by code',
    ],
    [
      "import { defineIndexes } from './others.ts';\nexport default defineIndexes([{}]);",
      '2:16',
      'is computed by code',
    ],
    ['const sql = (parts) => parts[0];\nexport default [{ sql: sql`a` }];', '2:24', 'the tag "sql" is code'],
    ["export default [{ get name() { return 'a'; } }];", '1:19', 'a method is code'],
    ["export default [{ __proto__: { name: 'a' } }];", '1:19', '__proto__ sets the prototype'],
    ["export default [, { name: 'a' }];", '1:16', 'an empty place'],
    ['const a = [...a];\nexport default a;', '1:15', '"a" is not a constant of this file'],
    ['if (true) { globalThis.x = 1; }\nexport default [];', '1:1', 'it has code that runs'],
    ['class A { static { globalThis.x = 1; } }\nexport default [];', '1:1', 'it has code that runs'],
    ['export default [];\nexport default [{}];', '2:1', 'it exports its list twice'],
    ['export const a = 1;', '1:1', 'it has no default export'],
    ["enum A { B = 'c' }\nexport default [{ name: A.B }];", '1:1', 'it has code that runs'],
  ])('%s', async (text, at, reason) => {
    const file = await written(text, '.ts');
    const error: unknown = await readRegistryFile(file, { runCode: false }).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(RegistryError);
    expect((error as RegistryError).message).toContain(`${file}:${at}: `);
    expect((error as RegistryError).message).toContain(reason);
  });

  test('each entry that is unknown is reported', async () => {
    const file = await written(
      'export default [{ name: a }, { name: "b" }, { name: c() }, { sql: `${d}` }];',
      '.ts',
    );
    const error: unknown = await loadRegistry(file, { runCode: false }).catch((thrown: unknown) => thrown);
    expect((error as RegistryError).problems.map(({ column }) => column)).toEqual([25, 53, 70]);
  });
});

describe('a text that is made to harm its reader', () => {
  test.each([
    ['deep lists', 'export default '.concat('['.repeat(200_000))],
    ['deep parentheses', `export default ${'('.repeat(100_000)}1${')'.repeat(100_000)}`],
  ])('is a syntax error: %s', (_what, text) => {
    expect(() => readModule(text)).toThrow(SyntaxError);
  });

  test('is a syntax error: a module for which the parser would need years', () => {
    const text = `export default ${'async<a>('.repeat(60)}`;
    expect(() => parseModule(text, 300)).toThrow('it cannot be parsed within 0.3 s: look for deep nesting');
  });

  test('is a syntax error: deep JSON', () => {
    expect(() => readJson('['.repeat(200_000))).toThrow(SyntaxError);
    expect(() => readJson('['.repeat(100_000) + ']'.repeat(100_000))).toThrow('it is nested too deeply');
  });

  test('is refused: a list that doubles itself', async () => {
    const doubled = Array.from({ length: 60 }, (_, at) => `const a${at + 1} = [...a${at}, ...a${at}];`).join(
      '\n',
    );
    const file = await written(`const a0 = [1];\n${doubled}\nexport default a60;`, '.ts');
    await expect(readRegistryFile(file, { runCode: false })).rejects.toThrow(
      'it has more than 1000000 values',
    );
  });

  test('is refused: a text that doubles itself', async () => {
    const doubled = Array.from(
      { length: 60 },
      (_, at) => `const a${at + 1} = \`$\{a${at}}$\{a${at}}\`;`,
    ).join('\n');
    const file = await written(`const a0 = 'abcdefgh';\n${doubled}\nexport default [{ name: a60 }];`, '.ts');
    await expect(readRegistryFile(file, { runCode: false })).rejects.toThrow('its texts have more than');
  });

  test('the work for ambiguous names does not grow with their square', async () => {
    const entries = (pairs: number) =>
      Array.from({ length: pairs }, (_, at) => [`"s.i${at}" on t`, `i${at} on s.t`]).flatMap((pair) =>
        pair.map((on) => ({
          name: on.startsWith('"') ? on.slice(1, on.indexOf('"', 1)) : (on.split(' ')[0] ?? ''),
          sql: `create index concurrently if not exists ${on} (a)`,
          description: 'x',
        })),
      );
    const refused = await refusedEntries(entries(20));
    expect([...refused.keys()]).toEqual(Array.from({ length: 20 }, (_, at) => 2 * at + 1));
    expect(refused.get(1)).toContain('executions and reports cannot distinguish "s.i0" from "s.i0"');
    const growth =
      (await workOf(() => refusedEntries(entries(80)))) / (await workOf(() => refusedEntries(entries(20))));
    expect(growth).toBeLessThan(7);
  });
});

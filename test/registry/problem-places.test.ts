import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compileRegistry } from '../../lib/registry/compile-registry.ts';
import { NO_PLACES, type RegistryPlaces } from '../../lib/registry/entry-places.ts';
import { loadRegistry } from '../../lib/registry/load-registry.ts';
import { RegistryError } from '../../lib/registry/registry-error.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'places-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** The problems of a registry, as `LINE:COLUMN RULE FIELD` in the order of the file. */
async function problemsIn(text: string, name = 'indexes.ts'): Promise<string[]> {
  const file = join(folder, name);
  await writeFile(file, text);
  const error: unknown = await loadRegistry(file).catch((thrown: unknown) => thrown);
  if (!(error instanceof RegistryError)) throw new Error(`Not refused: ${String(error)}`);
  return error.problems.map(({ line, column, rule, field }) => `${line}:${column} ${rule} ${field}`);
}

describe('a problem is reported at its place', () => {
  test('in a statement: at the wrong word', async () => {
    const text = `import type { IndexEntry } from 'x';
const typed: readonly IndexEntry[] = [
  {
    name: 'idx_é',
    sql: \`-- 'é' 😀
      create index concurrently if not exists idx_é
        on only db.public.t (a)\`,
    description: 'x',
  },
  { name: 'b', sql: 'create  unique index if not exists b on pg_temp.t (a)', description: 'x' },
  { name: 'c', sql: "select '\\"'; select", description: 'x' },
  { name: 'd', sql: 'create index concurrently on t (a)', description: 'x' },
  { name: 'e', sql: 'create index concurrently e on t\\n (a b c)', description: '/' }, // sql: '
];
export default typed satisfies readonly IndexEntry[];
`;
    expect(await problemsIn(text)).toEqual([
      '7:12 statement sql',
      '7:17 statement sql',
      '10:37 statement sql',
      '10:62 statement sql',
      '11:35 statement sql',
      '12:48 index-name sql',
      '13:62 statement sql',
    ]);
  });

  test('in a field: at its name, or at the key inside it', async () => {
    const text = `export default [
  {
    name: 'b',
    'sql': 'create index concurrently if not exists a on t (a)',
    description: '', serves: [1],
    accept: {
      'redundant-indexes': 'x',
    },
    crticial: true,
  },
  {},
  7,
  {
    name: 'x',
    sql: 'create index concurrently if not exists x on t (a)',
    description: 'x',
  },
  {
    sql: 'create index concurrently if not exists x on u (a)',
    description: 'x', accept: { 'index-name': 'x' },
    name: 'x',
  },
];`;
    expect(await problemsIn(text)).toEqual([
      '5:5 entry-form description',
      '5:22 entry-form serves.0',
      '9:5 entry-form crticial',
      '3:5 index-name name',
      '11:3 entry-form name',
      '11:3 entry-form sql',
      '11:3 entry-form description',
      '12:3 entry-form ',
      '20:33 entry-form accept.index-name',
    ]);
  });

  test('in JSON: after escapes in the statement', async () => {
    const text = `[
  {
    "name": "a",
    "sql": "create index concurrently if not exists \\"a\\"\\n on pg_temp.t (\\u00e9)",
    "description": "x",
    "critical": 1
  }
]`;
    expect(await problemsIn(text, 'indexes.json')).toEqual(['6:5 entry-form critical', '4:64 statement sql']);
  });

  test('after each kind of escape and line break in the statement', async () => {
    const statement = 'create index concurrently if not exists \\x61 on \\u{70}g_temp.t /* \\u{1F600} */ (a)';
    const text = `export default [
  { name: 'a', sql: '${statement}', description: 'x' },
  { name: 'b', sql: 'create index concurrently \\\r\n if not exists b on pg_temp.t (a)', description: 'x' },
  { name: 'c', sql: \`create index concurrently\r\n  if not exists c on pg_temp.t (a)\`, description: 'x' },
  { name: 'd', sql: String.raw\`create index concurrently if not exists d on pg_temp.t (a)\`, description: 'x' },
  { name: 'e', sql: '/* \\u{1F600} \\0 \\' */ select', description: 'x' },
  { name: 'f', sql: '/* \\u{1F600} \\' */ select', description: 'x' },
];
`;
    expect(await problemsIn(text, 'escapes.mjs')).toEqual([
      '2:70 statement sql',
      '4:21 statement sql',
      '6:22 statement sql',
      '7:16 statement sql',
      '8:35 statement sql',
      '9:41 statement sql',
    ]);
  });

  test('in a file without a list: at its beginning', async () => {
    expect(await problemsIn('{}', 'none.json')).toEqual(['1:1 registry-file ']);
  });
});

describe('a problem of an entry that code computes is reported', () => {
  test('at the object with its name', async () => {
    const text = `const sign = { name: 'a', sql: 'select 1', description: 'x' };
const others = [
  { name: 'b', sql: 'select ' + '1', description: 'x' },
  { name: 'b', sql: \`select \${1}\`, description: 'x' },
];
export default [sign, ...others].filter(() => true);
`;
    expect(await problemsIn(text, 'named.ts')).toEqual([
      '1:33 statement sql',
      '3:16 statement sql',
      '4:16 statement sql',
    ]);
  });

  test('at its element of the list, or at the list', async () => {
    const text = `const entry = (name: string) => ({ name, sql: 'select 1', description: 'x' });
export default [
  { name: 'a', sql: 'select 1', description: 'x' },
  entry('b'),
  ...['c', 'd'].map(entry),
  { name: 'e', sql: 'select 1', description: 'x' },
];
`;
    expect(await problemsIn(text, 'made.ts')).toEqual([
      '3:22 statement sql',
      '4:3 statement sql',
      '2:16 statement sql',
      '2:16 statement sql',
      '6:22 statement sql',
    ]);
  });

  test('at the beginning of the file if code computes the whole list', async () => {
    const text =
      "\nconst names = ['a'];\nexport default names.map((name) => ({ name, sql: '', description: 'x' }));";
    expect(await problemsIn(text, 'all.ts')).toEqual(['1:1 statement sql']);
  });
});

describe('the entries of a registry with problems', () => {
  /** How often the statement of a valid entry is read. @param problems the number of wrong entries after it */
  async function readsOfValid(problems: number, locate: () => Promise<RegistryPlaces>): Promise<number> {
    let reads = 0;
    const valid = {
      name: 'idx_a',
      description: 'x',
      get sql() {
        reads += 1;
        return 'create index concurrently if not exists idx_a on t (a)';
      },
    };
    const wrong = Array.from({ length: problems }, (_, at) => ({
      name: `idx_wrong_${at}`,
      sql: '',
      description: 'x',
    }));
    const compiled = compileRegistry([valid, ...wrong], 'indexes.json', locate);
    if (problems === 0) await compiled;
    else await expect(compiled).rejects.toMatchObject({ problems: { length: problems } });
    return reads;
  }

  test('are examined once, and located once', async () => {
    let located = 0;
    const locate = async () => {
      located += 1;
      return NO_PLACES;
    };
    const reads = await readsOfValid(0, locate);
    expect({ reads: reads > 0, located }).toEqual({ reads: true, located: 0 });
    expect(await readsOfValid(1, locate)).toBe(reads);
    expect(located).toBe(1);
    expect(await readsOfValid(20, locate)).toBe(reads);
    expect(located).toBe(2);
  });
});

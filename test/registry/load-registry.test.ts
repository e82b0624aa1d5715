import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { jsonSyntaxError } from '../../lib/registry/json-source.ts';
import { loadRegistry } from '../../lib/registry/load-registry.ts';
import { RegistryError } from '../../lib/registry/registry-error.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'registry-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function written(name: string, text: string): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, text);
  return file;
}

function listOf(name: string): string {
  const sql = `create index concurrently if not exists ${name} on t (a)`;
  return JSON.stringify([{ name, sql, description: 'For a test' }]);
}

async function refusalOf(file: string): Promise<string> {
  const error: unknown = await loadRegistry(file).catch((thrown: unknown) => thrown);
  if (!(error instanceof RegistryError)) throw new Error(`Not refused: ${String(error)}`);
  expect(error.message).toContain(file);
  return error.message;
}

test('a registry is read from JSON, with or without a byte order mark', async () => {
  expect(await loadRegistry(await written('a.json', listOf('idx_a')))).toMatchObject([{ name: 'idx_a' }]);
  const marked = await written('b.json', `\ufeff${listOf('idx_b')}`);
  expect(await loadRegistry(marked)).toMatchObject([{ name: 'idx_b' }]);
});

test.each(['.ts', '.js', '.mjs'])('a registry is read from the default export of a %s file', async (end) => {
  const types = end === '.ts' ? ' as readonly object[]' : '';
  const file = await written(`registry${end}`, `export default ${listOf('idx_a')}${types};`);
  expect(await loadRegistry(file)).toMatchObject([{ name: 'idx_a', table: 't' }]);
});

test.each(['pg-deploy-step', 'pg-deploy-step/define-indexes'])(
  'a TypeScript module of a CommonJS package may import %s, also outside of the project',
  async (name) => {
    await mkdir(join(folder, 'commonjs'), { recursive: true });
    await written('commonjs/package.json', '{ "type": "commonjs" }');
    const module = `import { defineIndexes } from '${name}';\nexport default defineIndexes(${listOf('idx_a')});`;
    const file = await written('commonjs/indexes.ts', module);

    expect(await loadRegistry(file)).toMatchObject([{ name: 'idx_a' }]);
    expect(await loadRegistry(await written('alone.ts', module))).toMatchObject([{ name: 'idx_a' }]);
  },
);

test('a changed module is read again', async () => {
  const file = await written('changing.ts', `export default ${listOf('idx_a')};`);
  await loadRegistry(file);
  await written('changing.ts', `export default ${listOf('idx_b')};`);
  expect(await loadRegistry(file)).toMatchObject([{ name: 'idx_b' }]);
});

test('a missing file is refused, with its full path', async () => {
  expect(await refusalOf(join(folder, 'none.json'))).toMatch(/the file does not exist \(.*none\.json/);
  expect(await refusalOf(join(folder, 'none.ts'))).toContain('the file does not exist');
});

test('a folder is refused with the reason', async () => {
  const path = join(folder, 'folder.json');
  await mkdir(path);
  expect(await refusalOf(path)).toContain('the file cannot be read: EISDIR');
});

test('another extension is refused; the message lists the valid extensions', async () => {
  expect(await refusalOf(await written('a.yaml', ''))).toContain(
    '.ts, .js, .mjs, .cjs or .json; this one has .yaml',
  );
  expect(await refusalOf(await written('plain', ''))).toContain('or .json; this file has none');
});

test('invalid JSON is refused with line and column', async () => {
  const file = await written('bad.json', '[\n  { "name": "idx_a", }\n]');
  expect(await refusalOf(file)).toContain(`${file}:2:22: it is not valid JSON`);
});

test('a module that cannot be imported is refused with the reason', async () => {
  expect(await refusalOf(await written('throws.ts', 'throw new Error("no such luck");'))).toContain(
    'it cannot be imported: no such luck',
  );
  expect(await refusalOf(await written('syntax.ts', 'export default ['))).toContain('it cannot be imported');
});

test('a module that throws is refused with the line that threw', async () => {
  const file = await written('line.ts', '// no such luck\n  throw new Error("no such luck");');
  expect(await refusalOf(file)).toContain(`${file}:2:9: it cannot be imported`);
});

test('a module without a default export is refused', async () => {
  const file = await written('named.ts', `export const indexes = ${listOf('idx_a')};`);
  expect(await refusalOf(file)).toContain('it has no default export; write export default defineIndexes');
});

test('a wrong entry is reported with the file', async () => {
  const file = await written('wrong.json', '[{"name": "idx_a"}]');
  expect(await refusalOf(file)).toContain(`${file}:1:2: entry 1 "idx_a": sql: it must be one CREATE INDEX`);
});

test('a valid registry is loaded without a parser, which only places need', () => {
  const script = `
    import { registerHooks } from 'node:module';
    const packages = [];
    registerHooks({
      resolve(specifier, context, next) {
        packages.push(specifier);
        return next(specifier, context);
      },
    });
    const { readRegistryFile, loadRegistry } = await import('./lib/registry/load-registry.ts');
    const parsers = () => packages.filter((name) => ['@babel/parser', 'jsonc-parser'].includes(name));
    await loadRegistry('database/indexes.ts');
    const before = parsers();
    await (await readRegistryFile('database/indexes.ts')).locate();
    console.log(JSON.stringify([before, parsers()]));`;
  const output = execFileSync(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
  });
  expect(JSON.parse(output.toString())).toEqual([[], ['@babel/parser']]);
});

test('a syntax error is found in exactly the texts that JSON.parse refuses', () => {
  const damaged = fc
    .tuple(
      fc.json(),
      fc.nat(),
      fc.constantFrom('', ',', '}', ']', '"', '\\', '\n', '0', '-', 'e', 'tru', '\0'),
    )
    .map(([text, at, insert]) => {
      const place = at % (text.length + 1);
      return text.slice(0, place) + insert + text.slice(place + (insert === '' ? 1 : 0));
    });
  fc.assert(
    fc.property(damaged, (text) => {
      let refused = false;
      try {
        JSON.parse(text);
      } catch {
        refused = true;
      }
      expect(jsonSyntaxError(text) !== null).toBe(refused);
    }),
    { numRuns: 2000 },
  );
});

test.each([
  ['latin.json', '[\n{ "name": "caf', [0xe9], '" }]'],
  ['latin.ts', 'export default [\n{ name: "caf', [0xe9], '" }];'],
])(
  'a registry that is not UTF-8 is refused with its line and byte: %s',
  async (name, before, byte, after) => {
    const file = join(folder, name);
    await writeFile(file, Buffer.concat([Buffer.from(before), Buffer.from(byte), Buffer.from(after)]));

    const column = (before.split('\n')[1]?.length ?? 0) + 1;
    expect(await refusalOf(file)).toContain(
      `${file}:2:${column}: Byte 0xE9 at offset ${before.length} is not valid UTF-8`,
    );
  },
);

test('a registry in UTF-16 is refused, and the message names the encoding', async () => {
  const file = join(folder, 'utf16.json');
  await writeFile(file, Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from('[]', 'utf16le')]));

  expect(await refusalOf(file)).toContain('The file is UTF-16 (little-endian)');
});

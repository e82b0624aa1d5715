import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { IndexEntry } from '../../lib/registry/define-indexes.ts';
import { loadRegistry } from '../../lib/registry/load-registry.ts';
import { registryText, writeRegistry } from '../../lib/registry/write-registry.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'registry-'));
});
afterAll(() => rm(root, { recursive: true }));

function entryOf(name: string): IndexEntry {
  return { name, sql: `create index concurrently if not exists ${name} on t (a)`, description: 'For a test' };
}

const MANIFESTS = { 'no package.json': null, 'type module': 'module', 'type commonjs': 'commonjs' };

describe.each(Object.entries(MANIFESTS))('outside of a project that has this package, %s', (name, type) => {
  test.each(['.ts', '.js', '.mjs', '.cjs', '.json'])(
    'a new registry %s loads, and takes more entries',
    async (extension) => {
      const folder = join(root, name.replaceAll(' ', '-'), extension.slice(1));
      await mkdir(folder, { recursive: true });
      if (type !== null) await writeFile(join(folder, 'package.json'), JSON.stringify({ type }));
      const file = join(folder, `indexes${extension}`);

      await writeRegistry(file, [entryOf('idx_a')]);
      await writeRegistry(file, [entryOf('idx_b')]);

      for (const runCode of [true, false]) {
        const names = (await loadRegistry(file, { runCode })).map((entry) => entry.name);
        expect(names, `runCode ${runCode}`).toEqual(['idx_a', 'idx_b']);
      }
      expect(await readFile(file, 'utf8')).not.toContain('import');
    },
  );
});

test('in a project that has this package, a new registry has the types of defineIndexes', async () => {
  const file = join(import.meta.dirname, `new-registry-${process.pid}.ts`);
  try {
    await writeRegistry(file, [entryOf('idx_a')]);
    expect(await readFile(file, 'utf8')).toContain(
      "import { defineIndexes } from 'pg-deploy-step/define-indexes'",
    );
    expect(await loadRegistry(file)).toMatchObject([{ name: 'idx_a' }]);
  } finally {
    await rm(file, { force: true });
  }
});

test('a printed registry loads wherever it is saved, also if that folder does not have this package', async () => {
  const file = join(root, 'printed.ts');
  await writeFile(file, registryText([entryOf('idx_a')], 'ts'));
  expect(await loadRegistry(file)).toMatchObject([{ name: 'idx_a' }]);
});

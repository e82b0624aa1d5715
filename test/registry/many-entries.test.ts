import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bundleFunctions } from '../../lib/functions/bundle-functions.ts';
import { loadRegistry } from '../../lib/registry/load-registry.ts';
import { RegistryError } from '../../lib/registry/registry-error.ts';
import { manyEntries } from '../support/many-entries.ts';
import { workOf } from '../support/work-meter.ts';

/*
 * The small version of bench/synthesis.ts. The work is counted, not timed: four times the entries may need about four times the
 * work. Quadratic work would be sixteen times.
 */

const FEW = 100;
const MANY = 4 * FEW;
const MOST_GROWTH = 6;
/** One entry in so many is wrong. */
const WRONG = 5;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'many-entries-'));
});
afterAll(() => rm(folder, { recursive: true }));

const KINDS = ['json', 'ts'] as const;

/** A registry with an entry a line, below its first line. */
async function registryFile(kind: (typeof KINDS)[number], count: number, wrong: number): Promise<string> {
  const file = join(folder, `${count}-${wrong}.${kind}`);
  const lines = manyEntries(count, wrong).map((entry) => JSON.stringify(entry));
  await writeFile(file, `${kind === 'json' ? '' : 'export default '}[\n${lines.join(',\n')}\n]`);
  return file;
}

async function problemsIn(file: string): Promise<RegistryError['problems']> {
  const error: unknown = await loadRegistry(file, { runCode: false }).catch((thrown: unknown) => thrown);
  if (!(error instanceof RegistryError)) throw new Error(`Not refused: ${String(error)}`);
  return error.problems;
}

describe.each(KINDS)('a registry of many entries in %s', (kind) => {
  test('has the place of each problem', async () => {
    const lines = (await problemsIn(await registryFile(kind, MANY, WRONG))).map(({ line }) => line);

    expect(lines).toEqual(Array.from({ length: MANY / WRONG }, (_, at) => 2 + at * WRONG));
  });

  test.each([
    ['without problems', 0],
    ['with a problem in one of five entries', WRONG],
  ])('is compiled with work that grows with their number: %s', async (_what, wrong) => {
    const workFor = async (count: number) => {
      const file = await registryFile(kind, count, wrong);
      const run = wrong === 0 ? () => loadRegistry(file, { runCode: false }) : () => problemsIn(file);
      // The first run loads the parsers.
      await run();
      return await workOf(run);
    };

    expect((await workFor(MANY)) / (await workFor(FEW))).toBeLessThan(MOST_GROWTH);
  });
});

test('each function gets the whole registry', async () => {
  const registry = await loadRegistry(await registryFile('json', MANY, 0));
  const folders = bundleFunctions({
    outdir: join(folder, 'bundles'),
    registry,
    migrations: null,
    certificates: '',
  });

  for (const path of Object.values(folders)) {
    expect(JSON.parse(await readFile(join(path, 'registry.json'), 'utf8'))).toEqual(registry);
  }
});

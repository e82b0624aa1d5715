/*
 * Measures the synthesis with registries of 100, 1,000 and 10,000 entries: reading and compiling the registry as JSON and as a
 * module, finding the lines of its problems where a fifth of the entries is wrong, and synthesising the stack with its assets.
 * Prints the time of the processor, which does not count other processes, and the ratio to the size before: 10 means that the
 * time grows with the number of entries. The arguments are other numbers of entries.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { EnvironmentStack } from '../lib/constructs/environment-stack.ts';
import { localEnvironment } from '../lib/local/local-environment.ts';
import { loadRegistry } from '../lib/registry/load-registry.ts';
import { RegistryError } from '../lib/registry/registry-error.ts';
import { manyEntries } from '../test/support/many-entries.ts';

const COUNTS = process.argv.length > 2 ? process.argv.slice(2).map(Number) : [100, 1_000, 10_000];
const ROUNDS = 3;
/** One entry in so many is wrong. */
const WRONG = 5;

const folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-bench-'));
let files = 0;

const steps: readonly (readonly [string, (count: number) => Promise<void>])[] = [
  ['compile JSON', async (count) => void (await loadRegistry(registryFile(count, 'json')))],
  ['compile a module', async (count) => void (await loadRegistry(registryFile(count, 'ts')))],
  ['refuse JSON', async (count) => await refused(registryFile(count, 'json', WRONG), count)],
  ['refuse a module', async (count) => await refused(registryFile(count, 'ts', WRONG), count)],
  ['compile JSON and synthesise', synthesise],
];

try {
  // The first run loads the parsers, bundles the functions and validates the definitions.
  for (const [, step] of steps) await step(10);
  for (const [name, step] of steps) {
    const fastest = COUNTS.map(() => Number.POSITIVE_INFINITY);
    // In alternating rounds, so that a change of the machine's speed concerns all. The fastest round is the least disturbed.
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const [at, count] of COUNTS.entries()) {
        fastest[at] = Math.min(fastest[at] ?? 0, await processorTime(() => step(count)));
      }
    }
    const shown = COUNTS.map((count, at) => {
      const before = fastest[at - 1];
      const ratio = before === undefined ? '' : ` (${((fastest[at] ?? 0) / before).toFixed(1)} ×)`;
      return `${count} entries ${((fastest[at] ?? 0) / 1_000).toFixed(2)} s${ratio}`;
    });
    console.log(`${name}: ${shown.join(', ')}`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** A new file each time: modules are imported once. */
function registryFile(count: number, kind: 'json' | 'ts', wrong = 0): string {
  files += 1;
  const file = join(folder, `indexes-${files}.${kind}`);
  const entries = JSON.stringify(manyEntries(count, wrong), null, 2);
  writeFileSync(file, kind === 'json' ? entries : `export default ${entries};\n`);
  return file;
}

async function refused(file: string, count: number): Promise<void> {
  const error: unknown = await loadRegistry(file).catch((thrown: unknown) => thrown);
  if (!(error instanceof RegistryError)) throw new Error('The registry was not refused.');
  const places = new Set(error.problems.map(({ line }) => line));
  if (places.size !== count / WRONG) throw new Error(`${places.size} places of ${count / WRONG} problems.`);
}

async function synthesise(count: number): Promise<void> {
  files += 1;
  const app = new App({ outdir: join(folder, `cdk-${files}.out`) });
  new EnvironmentStack(app, 'bench', {
    environmentName: 'bench',
    environment: localEnvironment({ migrations: 'none', services: [] }),
    files: {
      registry: await loadRegistry(registryFile(count, 'json')),
      ...{ migrations: null, notes: [], findings: [] },
    },
    projectRoot: folder,
  });
  app.synth();
}

/** Milliseconds of the processor, of all threads. */
async function processorTime(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}

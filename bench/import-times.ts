/*
 * Measures how long the code of each function takes to load when Lambda starts it: the import of its bundle in a fresh process.
 * With the folder of another version of the project (a git worktree with its node_modules) as the first argument, it measures
 * both versions in alternating rounds and prints their ratio.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { FUNCTIONS, type FunctionName } from '../lib/functions/function-names.ts';
import { median } from './measure.ts';

const ROUNDS = 15;

/** Variables with which each function starts. It connects to nothing before it is invoked. */
const VARIABLES = {
  DATABASE_URL: 'postgres://localhost/bench',
  ...{ MIGRATIONS: 'none', MIGRATION_ATTEMPTS: '1', LOCK_TIMEOUT_SECONDS: '1', BUILDS_PER_ROUND: '1' },
  ...{ BUILD_WAIT_SECONDS: '1', LONG_WAIT_SECONDS: '1', BUILD_ATTEMPTS: '1', DRAIN_ROLES: '[]' },
  ...{ DRAIN_APPLICATION_NAMES: '[]', DEPLOY_MACHINE_ARN: '', ENVIRONMENT_NAME: '', SERVICES: '' },
  ...{ START_SERVICES_MACHINE: '', BUILD_INDEXES_MACHINE: '' },
};

const IMPORT =
  'const started = performance.now(); await import(process.argv[1]); process.stdout.write(String(performance.now() - started))';

type Folders = Record<FunctionName, string>;

const folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-bench-'));
try {
  // The runtime of Lambda contains the clients of the AWS SDK.
  symlinkSync(join(import.meta.dirname, '../node_modules'), join(folder, 'node_modules'));
  const [other] = process.argv.slice(2);
  const here = await bundlesOf(join(import.meta.dirname, '..'), 'here');
  const before = other === undefined ? undefined : await bundlesOf(resolve(other), 'other');
  for (const name of FUNCTIONS) compare(name, here, before);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** Bundles the functions of one version of the project. */
async function bundlesOf(root: string, name: string): Promise<Folders> {
  const module = pathToFileURL(join(root, 'lib/functions/bundle-functions.ts')).href;
  const { bundleFunctions } = (await import(module)) as typeof import('../lib/functions/bundle-functions.ts');
  return bundleFunctions({ outdir: join(folder, name), registry: [], migrations: null, certificates: '' });
}

function compare(name: FunctionName, here: Folders, before: Folders | undefined): void {
  const times: Record<'here' | 'before', number[]> = { here: [], before: [] };
  for (let round = 0; round < ROUNDS; round += 1) {
    times.here.push(importMs(here[name]));
    if (before !== undefined) times.before.push(importMs(before[name]));
  }
  const now = median(times.here);
  const line = `${name}: ${kilobytes(here[name])} KB, imported in ${now.toFixed(0)} ms`;
  const earlier = median(times.before);
  const compared =
    before &&
    `; before: ${kilobytes(before[name])} KB, ${earlier.toFixed(0)} ms (ratio ${(now / earlier).toFixed(2)})`;
  console.log(`${line}${compared ?? ''}`);
}

/** Imports a bundle in a process of its own. @returns milliseconds */
function importMs(bundle: string): number {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module', '--eval', IMPORT, join(bundle, 'index.mjs')],
    { env: { PATH: process.env.PATH, ...VARIABLES }, encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`The bundle ${bundle} cannot be imported: ${stderr}`);
  return Number(stdout);
}

function kilobytes(bundle: string): string {
  return (statSync(join(bundle, 'index.mjs')).size / 1_000).toFixed(0);
}

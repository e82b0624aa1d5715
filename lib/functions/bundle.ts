import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { type CompiledRegistry, MIGRATIONS_FOLDER, REGISTRY_FILE } from '../../lambdas/shared/registry.ts';
import { readMigrations, shipMigrations, shipStatements } from './ship-migrations.ts';

/** The tasks of the workflow: a folder each below lambdas/. */
export const TASKS = [
  'preflight',
  'check-sessions',
  'run-migrations',
  'plan-builds',
  'build-index',
  'check-index',
  'settle-index',
  'report',
] as const;
export type Task = (typeof TASKS)[number];

/** Tasks that look into the folder of migrations. */
const WITH_MIGRATIONS: readonly Task[] = ['preflight', 'run-migrations', 'report'];

const LAMBDAS = join(import.meta.dirname, '../../lambdas');

/** Some dependencies are CommonJS and call `require`, which an ES module does not have. */
const REQUIRE_BANNER =
  "import { createRequire as pgDeployStepRequire } from 'node:module'; const require = pgDeployStepRequire(import.meta.url);";

export interface BundleProps {
  /** Folder that the bundles are written to; what is in it is replaced. */
  outdir: string;
  registry: CompiledRegistry;
  /** Folder with SQL files. Null: no migrations are shipped. */
  migrations: string | null;
}

/**
 * Bundles every function in one run of esbuild and puts the compiled registry and the migrations beside the code.
 * @returns the folder of each task, ready to be a Lambda asset with the handler `index.handler`.
 */
export function bundleFunctions(props: BundleProps): Record<Task, string> {
  rmSync(props.outdir, { recursive: true, force: true });
  buildSync({
    entryPoints: TASKS.map((task) => ({ in: join(LAMBDAS, task, 'handler.ts'), out: join(task, 'index') })),
    outdir: props.outdir,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    minify: true,
    keepNames: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    banner: { js: REQUIRE_BANNER },
    // The runtime brings the SDK; pg-native is an option of pg that nobody installs.
    external: ['@aws-sdk/*', 'pg-native'],
    logLevel: 'warning',
  });
  const folders = Object.fromEntries(TASKS.map((task) => [task, join(props.outdir, task)])) as Record<
    Task,
    string
  >;
  for (const task of TASKS) writeFileSync(join(folders[task], REGISTRY_FILE), JSON.stringify(props.registry));
  const migrations = props.migrations === null ? {} : readMigrations(props.migrations);
  for (const task of WITH_MIGRATIONS) shipMigrations(migrations, join(folders[task], MIGRATIONS_FOLDER));
  shipStatements(migrations, folders['run-migrations']);
  return folders;
}

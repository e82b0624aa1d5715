import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { type CompiledRegistry, MIGRATIONS_FOLDER, REGISTRY_FILE } from '../../lambdas/shared/registry.ts';
import { readMigrations, shipMigrations, shipStatements } from './ship-migrations.ts';

/** The Lambda functions of the workflow. Each has a folder of this name in `lambdas/`. */
export const FUNCTIONS = [
  'preflight',
  'check-sessions',
  'run-migrations',
  'plan-builds',
  'build-index',
  'check-index',
  'settle-index',
  'report',
] as const;
export type FunctionName = (typeof FUNCTIONS)[number];

/** Functions that read the migration files. */
const WITH_MIGRATIONS: readonly FunctionName[] = ['preflight', 'run-migrations', 'report'];

const LAMBDAS = join(import.meta.dirname, '../../lambdas');

/** Some dependencies are CommonJS and call `require`, which does not exist in an ES module. */
const REQUIRE_BANNER =
  "import { createRequire as pgDeployStepRequire } from 'node:module'; const require = pgDeployStepRequire(import.meta.url);";

export interface BundleProps {
  /** Folder for the bundles. Its content is deleted first. */
  outdir: string;
  registry: CompiledRegistry;
  /** Folder with the SQL files. Null: the bundles contain no migrations. */
  migrations: string | null;
}

/**
 * Bundles all functions in one run of esbuild, then copies the compiled registry and the migrations next to the code.
 * @returns the folder of each function: a Lambda asset with the handler `index.handler`
 */
export function bundleFunctions(props: BundleProps): Record<FunctionName, string> {
  rmSync(props.outdir, { recursive: true, force: true });
  buildSync({
    entryPoints: FUNCTIONS.map((name) => ({
      in: join(LAMBDAS, name, 'handler.ts'),
      out: join(name, 'index'),
    })),
    outdir: props.outdir,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    minify: true,
    keepNames: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    banner: { js: REQUIRE_BANNER },
    // The Lambda runtime contains the SDK. pg-native is an optional dependency of pg that is not installed.
    external: ['@aws-sdk/*', 'pg-native'],
    logLevel: 'warning',
  });
  const folders = Object.fromEntries(FUNCTIONS.map((name) => [name, join(props.outdir, name)])) as Record<
    FunctionName,
    string
  >;
  for (const name of FUNCTIONS)
    writeFileSync(join(folders[name], REGISTRY_FILE), JSON.stringify(props.registry));
  const migrations = props.migrations === null ? {} : readMigrations(props.migrations);
  for (const name of WITH_MIGRATIONS) shipMigrations(migrations, join(folders[name], MIGRATIONS_FOLDER));
  shipStatements(migrations, folders['run-migrations']);
  return folders;
}

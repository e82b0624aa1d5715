import { basename, join, resolve } from 'node:path';

/** The folder of package.json: of the repository, or of the package that npm has installed. The build keeps this depth. */
export const PACKAGE_ROOT = resolve(import.meta.dirname, '../..');

/** False in the package that npm installs: it contains JavaScript in `dist`, because Node.js runs no TypeScript below node_modules. */
export const RUNS_FROM_SOURCE = import.meta.filename.endsWith('.ts');

/**
 * The file of a program that a process of this package starts.
 * @param module its path in the repository without extension: `lib/registry/module-process`
 */
export function programFile(module: string): string {
  return RUNS_FROM_SOURCE
    ? join(PACKAGE_ROOT, `${module}.ts`)
    : join(PACKAGE_ROOT, 'dist/esm', `${basename(module)}.js`);
}

/** The demo: its migrations, registry, queries and rows. */
export const DEMO_DATABASE = join(PACKAGE_ROOT, RUNS_FROM_SOURCE ? 'database' : 'assets/database');

/** The registry of the demo. */
export const DEMO_REGISTRY = join(DEMO_DATABASE, RUNS_FROM_SOURCE ? 'indexes.ts' : 'indexes.js');

/** The files of a new project that `init` copies. */
export const NEW_PROJECT = join(
  PACKAGE_ROOT,
  RUNS_FROM_SOURCE ? 'examples/new-project' : 'assets/new-project',
);

/** The bundled code of the functions, only in the package that npm installs. */
export const SHIPPED_FUNCTIONS = join(PACKAGE_ROOT, 'assets/functions');

/** Below node_modules: a user who can write there can change the code itself. */
export const CACHE_FOLDER = RUNS_FROM_SOURCE
  ? join(PACKAGE_ROOT, 'node_modules/.cache/pg-deploy-step')
  : join(PACKAGE_ROOT, '../.cache/pg-deploy-step');

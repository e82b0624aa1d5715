import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { buildSync } from 'esbuild';
import { type CompiledRegistry, MIGRATIONS_FOLDER, REGISTRY_FILE } from '../../lambdas/shared/registry.ts';
import { type BundledPackage, bundledPackages, licenceFile } from './bundled-licences.ts';
import { CERTIFICATES_FILE } from './ship-certificates.ts';
import { readMigrations, shipManifest, shipMigrations, shipStatements } from './ship-migrations.ts';

/** The Lambda functions of the workflow. Each has a folder of this name in `lambdas/`. */
export const FUNCTIONS = [
  'preflight',
  'check-sessions',
  'run-migrations',
  'check-migrations',
  'plan-builds',
  'build-index',
  'check-index',
  'settle-index',
  'report',
] as const;
export type FunctionName = (typeof FUNCTIONS)[number];

/** Functions that read the migration files. */
const WITH_MIGRATIONS: readonly FunctionName[] = ['preflight', 'run-migrations', 'report'];

const ROOT = join(import.meta.dirname, '../..');
const LAMBDAS = join(ROOT, 'lambdas');

/** File beside the code of each function: the licences of the packages in it. */
export const LICENCES_FILE = 'THIRD-PARTY-LICENCES.txt';

/** Some dependencies are CommonJS and call `require`, which does not exist in an ES module. */
const REQUIRE_BANNER =
  "import { createRequire as pgDeployStepRequire } from 'node:module'; const require = pgDeployStepRequire(import.meta.url);";

/** Takes the place of the packages in `NOT_BUNDLED`. */
const REPLACEMENT = join(import.meta.dirname, 'not-bundled.cjs');

/**
 * Packages that bundled packages import, and whose code the functions never reach. Each function has one connection, to an
 * address that lambdas/postgres/connect.ts has read, with a password that is given. Migrations are SQL files of one folder.
 */
const NOT_BUNDLED = ['pg-pool', 'pg-connection-string', 'pgpass', 'jiti', 'glob'];

/**
 * Not part of the bundles: the clients of the SDK, which the Lambda runtime contains; and the native client of pg, which pg
 * loads only if a program asks for it (`./native` is a file of pg).
 */
const EXTERNAL = ['@aws-sdk/client-*', 'pg-native', './native'];

interface BundleProps {
  /** Folder for the bundles. Its content is deleted first. */
  outdir: string;
  registry: CompiledRegistry;
  /** Folder with the SQL files. Null: the bundles contain no migrations. */
  migrations: string | null;
  /** In which migrations look up names without a schema. @default public */
  searchPath?: readonly string[] | undefined;
  /** The certificates of the database's authorities, in PEM format. */
  certificates: string;
}

interface Bundle {
  /** The code of each function by its name. */
  code: ReadonlyMap<string, Uint8Array>;
  /** The packages whose code is in one of the functions. */
  packages: BundledPackage[];
}

/** The code is the same for every environment, and one app often has several environments. */
let bundled: Bundle | undefined;

/** Bundles all functions in one run of esbuild, once in this process. */
export function bundleCode(): Bundle {
  if (bundled !== undefined) return bundled;
  const { outputFiles, metafile } = buildSync({
    absWorkingDir: ROOT,
    metafile: true,
    entryPoints: FUNCTIONS.map((name) => ({
      in: join(LAMBDAS, name, 'handler.ts'),
      out: join(name, 'index'),
    })),
    outdir: LAMBDAS,
    write: false,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    minify: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    banner: { js: REQUIRE_BANNER },
    external: EXTERNAL,
    alias: Object.fromEntries(NOT_BUNDLED.map((name) => [name, REPLACEMENT])),
    logLevel: 'warning',
  });
  bundled = {
    code: new Map(outputFiles.map(({ path, text }) => [basename(dirname(path)), withoutIndentation(text)])),
    packages: bundledPackages(metafile, ROOT),
  };
  return bundled;
}

/**
 * Only template literals of minified code have line breaks, and those of the functions are SQL, in which the white space at the
 * beginning of a line means nothing.
 */
function withoutIndentation(code: string): Uint8Array {
  return Buffer.from(code.replaceAll(/\n +/g, '\n'));
}

/**
 * Writes the folder of each function: its bundled code with the licences of the packages in it, the compiled registry, and
 * the migrations if it reads them.
 * @returns the folder of each function: a Lambda asset with the handler `index.handler`
 */
export function bundleFunctions(props: BundleProps): Record<FunctionName, string> {
  rmSync(props.outdir, { recursive: true, force: true });
  const folders = Object.fromEntries(FUNCTIONS.map((name) => [name, join(props.outdir, name)])) as Record<
    FunctionName,
    string
  >;
  const { code, packages } = bundleCode();
  const licences = licenceFile(packages);
  const registry = JSON.stringify(props.registry);
  for (const name of FUNCTIONS) {
    mkdirSync(folders[name], { recursive: true });
    const contents = code.get(name);
    if (contents === undefined) throw new Error(`esbuild has written no code for the function ${name}.`);
    writeFileSync(join(folders[name], 'index.mjs'), contents);
    writeFileSync(join(folders[name], LICENCES_FILE), licences);
    writeFileSync(join(folders[name], REGISTRY_FILE), registry);
    writeFileSync(join(folders[name], CERTIFICATES_FILE), props.certificates);
  }
  const migrations = props.migrations === null ? {} : readMigrations(props.migrations, props.searchPath);
  for (const name of WITH_MIGRATIONS) shipMigrations(migrations, join(folders[name], MIGRATIONS_FOLDER));
  for (const name of ['run-migrations', 'preflight'] as const) shipStatements(migrations, folders[name]);
  shipManifest(migrations, folders.preflight, props.searchPath);
  return folders;
}

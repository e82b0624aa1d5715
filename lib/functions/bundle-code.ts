import { basename, dirname, join } from 'node:path';
import { buildSync } from 'esbuild';
import { PACKAGE_ROOT } from '../files/package-files.ts';
import { type BundledPackage, bundledPackages } from './bundled-licences.ts';
import { FUNCTIONS } from './function-names.ts';

const LAMBDAS = join(PACKAGE_ROOT, 'lambdas');

/** Some dependencies are CommonJS and call `require`, which does not exist in an ES module. */
const REQUIRE_BANNER =
  "import { createRequire as pgDeployStepRequire } from 'node:module'; const require = pgDeployStepRequire(import.meta.url);";

/** Takes the place of the packages in `NOT_BUNDLED`. */
const REPLACEMENT = join(PACKAGE_ROOT, 'lib/functions/not-bundled.cjs');

/**
 * Packages that bundled packages import, and whose code the functions never reach. Each function has one connection, to an
 * address that lambdas/postgres/connect.ts has read, with a password that is given. Migrations are SQL files of one folder.
 */
const NOT_BUNDLED = ['pg-pool', 'pg-connection-string', 'pgpass', 'jiti', 'glob'];

/** Takes the place of the packages in `TEXT_VALUES`. */
const TEXT_VALUE = join(PACKAGE_ROOT, 'lib/functions/text-value.cjs');

/** Packages that convert an interval, and an int8 in binary format, which pg does not request. */
const TEXT_VALUES = ['postgres-interval', 'pg-int8'];

/** Takes the place of pg-types, of whose code the functions use a third. */
const PG_TYPES = join(PACKAGE_ROOT, 'lib/functions/pg-types.cjs');

/**
 * Not part of the bundles: the clients of the SDK, which the Lambda runtime contains; and the native client of pg, which pg
 * loads only if a program asks for it (`./native` is a file of pg).
 */
const EXTERNAL = ['@aws-sdk/client-*', 'pg-native', './native'];

export interface Bundle {
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
    absWorkingDir: PACKAGE_ROOT,
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
    alias: Object.fromEntries([
      ['pg-types', PG_TYPES],
      ...NOT_BUNDLED.map((name) => [name, REPLACEMENT]),
      ...TEXT_VALUES.map((name) => [name, TEXT_VALUE]),
    ]),
    logLevel: 'warning',
  });
  bundled = {
    code: new Map(outputFiles.map(({ path, text }) => [basename(dirname(path)), withoutIndentation(text)])),
    packages: bundledPackages(metafile, PACKAGE_ROOT),
  };
  return bundled;
}

/**
 * Only template literals of minified code have line breaks, and those of the functions are SQL, in which the white space at the
 * beginning of a line means nothing, and a line that begins with two hyphens is a comment.
 */
function withoutIndentation(code: string): Uint8Array {
  return Buffer.from(code.replaceAll(/\n +/g, '\n').replaceAll(/\n--[^\n`$]*(?=\n)/g, ''));
}

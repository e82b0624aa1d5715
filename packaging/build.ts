/*
 * Makes what the package contains beside its documents: `dist` (JavaScript as ES modules and as CommonJS, and the types of both)
 * and `assets` (the bundled functions and the demo). npm runs it before it packs. The repository itself needs no build.
 */
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BuildOptions, build, type Plugin, transformSync } from 'esbuild';
import { functionCode } from '../lib/functions/function-code.ts';
import { CODE_FILE, LICENCES_FILE } from '../lib/functions/function-names.ts';
import { writeDeclarations } from './declarations.ts';

const ROOT = join(import.meta.dirname, '..');
const DIST = join(ROOT, 'dist');
const ASSETS = join(ROOT, 'assets');

/** What other packages import. */
const EXPORTED = ['lib/index.ts', 'lib/registry/define-indexes.ts'];

/** The command line, and the programs that processes of the package start: see lib/files/package-files.ts. */
const PROGRAMS = [
  'bin/pg-deploy-step.ts',
  'lib/cli/main.ts',
  'lib/cli/compile-process.ts',
  'lib/registry/module-process.ts',
  'lib/local/lambda-process.ts',
  'lib/local/demo-service-process.ts',
];

/** The functions are bundled ahead, so that synth needs no esbuild. */
const shippedFunctions: Plugin = {
  name: 'shipped-functions',
  setup: ({ onResolve }) =>
    onResolve({ filter: /\/function-code\.ts$/ }, () => ({
      path: join(ROOT, 'lib/functions/shipped-function-code.ts'),
    })),
};

const SHARED: BuildOptions = {
  absWorkingDir: ROOT,
  bundle: true,
  platform: 'node',
  // The oldest version in `engines`.
  target: 'node20.19',
  // npm installs the dependencies, so that each of them can be updated.
  packages: 'external',
  sourcemap: true,
  // All files are in one folder: each finds the others, and package.json, relative to itself.
  entryNames: '[name]',
  chunkNames: '[name]-[hash]',
  plugins: [shippedFunctions],
  logLevel: 'warning',
};

for (const folder of [DIST, ASSETS]) rmSync(folder, { recursive: true, force: true });
await build({
  ...SHARED,
  entryPoints: [...EXPORTED, ...PROGRAMS],
  outdir: join(DIST, 'esm'),
  format: 'esm',
  splitting: true,
  inject: [join(import.meta.dirname, 'older-node.ts')],
});
await buildCommonJs(join(DIST, 'cjs'));
writeDeclarations(ROOT, join(DIST, 'types'));
writeFunctions(join(ASSETS, 'functions'));
writeDemo(join(ASSETS, 'database'));
cpSync(join(ROOT, 'examples/new-project'), join(ASSETS, 'new-project'), { recursive: true });

async function buildCommonJs(outdir: string): Promise<void> {
  await build({
    ...SHARED,
    entryPoints: EXPORTED,
    outdir,
    format: 'cjs',
    define: { 'import.meta.dirname': '__dirname', 'import.meta.filename': '__filename' },
    inject: [join(import.meta.dirname, 'older-node.ts')],
  });
  // The command line has dependencies that are ES modules only.
  writeFileSync(
    join(outdir, 'cli.js'),
    "exports.main = async (args) => (await import('../esm/main.js')).main(args);\n",
  );
  writeFileSync(join(outdir, 'package.json'), `${JSON.stringify({ type: 'commonjs' })}\n`);
}

/** The code of the functions. Synth adds the registry, the migrations and the certificates. */
function writeFunctions(folder: string): void {
  const { code, licences } = functionCode();
  for (const [name, content] of code) {
    mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(join(folder, name, CODE_FILE), content);
  }
  writeFileSync(join(folder, LICENCES_FILE), licences);
}

/** Node.js does not run TypeScript below node_modules, so the registry of the demo is JavaScript. */
function writeDemo(folder: string): void {
  const demo = join(ROOT, 'database');
  for (const part of ['migrations', 'queries', 'seed.sql'])
    cpSync(join(demo, part), join(folder, part), { recursive: true });
  const { code } = transformSync(readFileSync(join(demo, 'indexes.ts'), 'utf8'), {
    loader: 'ts',
    format: 'esm',
  });
  writeFileSync(join(folder, 'indexes.js'), code);
}

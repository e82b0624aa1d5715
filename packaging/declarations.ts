import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** What other packages import, without its extension. */
const EXPORTED = ['lib/index', 'lib/registry/define-indexes', 'lib/cli/main'];

const RELATIVE_IMPORT = /(\bfrom\s+|\bimport\(|\bimport\s+)(['"])(\.{1,2}\/[^'"]+)\.ts\2/g;

/**
 * Writes the types of the package: those that the exported modules need, and no others. TypeScript reads them as types of an ES
 * module or of a CommonJS module, as the package.json above them says, so there are two copies.
 * @param folder gets the folders esm and cjs
 */
export function writeDeclarations(root: string, folder: string): void {
  const all = mkdtempSync(join(tmpdir(), 'pg-deploy-step-types-'));
  try {
    execFileSync(
      process.execPath,
      [
        join(root, 'node_modules/typescript/bin/tsc'),
        '-p',
        join(root, 'packaging/tsconfig.json'),
        '--outDir',
        all,
      ],
      { stdio: 'inherit' },
    );
    const written = new Set<string>();
    for (const module of EXPORTED) copy(module, { from: all, to: join(folder, 'esm'), written });
  } finally {
    rmSync(all, { recursive: true, force: true });
  }
  cpSync(join(folder, 'esm'), join(folder, 'cjs'), { recursive: true });
  writeFileSync(join(folder, 'cjs/package.json'), `${JSON.stringify({ type: 'commonjs' })}\n`);
}

interface Copying {
  readonly from: string;
  readonly to: string;
  readonly written: Set<string>;
}

/** Copies the types of a module and of those that it imports. */
function copy(module: string, copying: Copying): void {
  if (copying.written.has(module)) return;
  copying.written.add(module);
  const text = readFileSync(join(copying.from, `${module}.d.ts`), 'utf8');
  const target = join(copying.to, `${module}.d.ts`);
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, text.replaceAll(RELATIVE_IMPORT, '$1$2$3.js$2'));
  for (const [, , , path = ''] of text.matchAll(RELATIVE_IMPORT)) copy(join(dirname(module), path), copying);
}

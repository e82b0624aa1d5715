import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, extname, join, resolve } from 'node:path';
import { IMPORT_PATH, type ModuleForm } from './registry-text.ts';

/** How a new registry at a path must export its list, so that Node.js can load it there. */
export function moduleFormOf(file: string): ModuleForm {
  const path = resolve(file);
  if (extname(path) === '.cjs' || (/\.[jt]s$/.test(path) && typeOf(path) === 'commonjs'))
    return 'module.exports';
  return canImport(path) ? 'defineIndexes' : 'export default';
}

/** Whether a module at the path finds this package: outside of a project that has it, only the list itself can be exported. */
function canImport(path: string): boolean {
  try {
    createRequire(path).resolve(IMPORT_PATH);
    return true;
  } catch {
    return false;
  }
}

/** The type of modules that the nearest package.json sets. Undefined: none, so that Node.js detects it from the text. */
function typeOf(path: string): unknown {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const manifest = join(folder, 'package.json');
    if (existsSync(manifest)) return readType(manifest);
    if (folder === dirname(folder)) return undefined;
  }
}

function readType(manifest: string): unknown {
  try {
    return JSON.parse(readFileSync(manifest, 'utf8'))?.type;
  } catch {
    return undefined;
  }
}

import { existsSync, writeFileSync } from 'node:fs';
import nodeModule from 'node:module';
import path from 'node:path';
import { ensureOwnFolder } from './own-folder.ts';
import { CACHE_FOLDER } from './package-files.ts';

/*
 * Caches of code are run, so nobody else may write to them. The temporary folder is no place for one: another user of the
 * machine could create its folder first.
 */

/**
 * Variables that keep jiti, with which node-pg-migrate loads migrations, from its cache of code: the folder `jiti` in the
 * temporary folder.
 */
export const NO_CODE_CACHE = { JITI_FS_CACHE: 'false' } as const;

const FOLDER = CACHE_FOLDER;

/**
 * Keeps the compiled modules of this process for the next one, which needs about half the time to start. Call it before the
 * modules are loaded. Nothing is kept if the folder cannot be written, or belongs to another user.
 */
export function keepCompiledModules(): void {
  // Node.js 20 has no such cache.
  if (ownFolder()) nodeModule.enableCompileCache?.(FOLDER);
}

/** Variables with which a process of this package does the same. */
export function compiledModules(): NodeJS.ProcessEnv {
  return ownFolder() ? { NODE_COMPILE_CACHE: FOLDER } : {};
}

const VALID_DEFINITIONS = path.join(FOLDER, 'valid-definitions');

/** Whether an earlier process of this package has recorded that a definition is valid. @param digest of the definition and of its validator */
export function isValidDefinition(digest: string): boolean {
  return ownFolder(VALID_DEFINITIONS) && existsSync(path.join(VALID_DEFINITIONS, digest));
}

/** Records a valid definition for later processes, unless the folder cannot be written. */
export function recordValidDefinition(digest: string): void {
  if (!ownFolder(VALID_DEFINITIONS)) return;
  try {
    writeFileSync(path.join(VALID_DEFINITIONS, digest), '');
  } catch {
    // The next process validates the definition again.
  }
}

function ownFolder(folder = FOLDER): boolean {
  try {
    ensureOwnFolder(folder);
    return true;
  } catch {
    return false;
  }
}

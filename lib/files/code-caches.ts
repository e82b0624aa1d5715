import { enableCompileCache } from 'node:module';
import path from 'node:path';
import { ensureOwnFolder } from './own-folder.ts';

/*
 * Caches of code are run, so nobody else may write to them. The temporary folder is no place for one: another user of the
 * machine could create its folder first.
 */

/**
 * Variables that keep jiti, with which node-pg-migrate loads migrations, from its cache of code: the folder `jiti` in the
 * temporary folder.
 */
export const NO_CODE_CACHE = { JITI_FS_CACHE: 'false' } as const;

/** In node_modules: a user who can write there can change the code itself. */
const FOLDER = path.join(import.meta.dirname, '../../node_modules/.cache/pg-deploy-step');

/**
 * Keeps the compiled modules of this process for the next one, which needs about half the time to start. Call it before the
 * modules are loaded. Nothing is kept if the folder cannot be written, or belongs to another user.
 */
export function keepCompiledModules(): void {
  if (ownFolder()) enableCompileCache(FOLDER);
}

/** Variables with which a process of this package does the same. */
export function compiledModules(): NodeJS.ProcessEnv {
  return ownFolder() ? { NODE_COMPILE_CACHE: FOLDER } : {};
}

function ownFolder(): boolean {
  try {
    ensureOwnFolder(FOLDER);
    return true;
  } catch {
    return false;
  }
}

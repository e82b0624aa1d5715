import { resolve } from 'node:path';
import type { CompiledRegistry } from '../../lambdas/shared/registry.ts';
import { compileFiles } from './compile-files.ts';

/**
 * Reads and compiles a registry.
 * @param file a module (.ts, .js, .mjs, .cjs) whose default export is the list of entries, or a .json file with the same list;
 *   relative to the working directory
 * @throws RegistryError if the file does not exist, cannot be read, or contains a wrong entry
 */
export async function loadRegistry(file: string): Promise<CompiledRegistry> {
  return compileFiles({
    ...{ indexes: resolve(file), migrations: null, searchPath: null, lint: false },
    projectRoot: process.cwd(),
  }).registry;
}

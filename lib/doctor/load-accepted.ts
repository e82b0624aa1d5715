import { type CompiledRegistry, entryId } from '../../lambdas/shared/registry.ts';
import { compileRegistry, examineRegistry } from '../registry/compile-registry.ts';
import { NO_PLACES } from '../registry/entry-places.ts';
import { readRegistryFile } from '../registry/load-registry.ts';

/** A registry with the warnings of lint that its entries accept. */
export interface LoadedRegistry {
  readonly compiled: CompiledRegistry;
  /** By id of the entry. */
  readonly accepted: ReadonlyMap<string, Readonly<Record<string, string>>>;
}

/**
 * Reads and compiles a registry.
 * @param runCode false: the code of a module is not run
 * @throws RegistryError
 */
export async function loadRegistryWithAccepted(file: string, runCode: boolean): Promise<LoadedRegistry> {
  const { entries, locate } = await readRegistryFile(file, { runCode });
  const compiled = await compileRegistry(entries, file, locate);
  const { examined } = await examineRegistry(entries, file, NO_PLACES);
  return { compiled, accepted: new Map(examined.map(({ index, accept }) => [entryId(index), accept])) };
}

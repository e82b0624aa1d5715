import { type CompiledRegistry, compiledRegistrySchema } from '../../lambdas/shared/registry.ts';
import { NO_PLACES, type RegistryPlaces } from './entry-places.ts';
import { examineRegistry } from './examine-registry.ts';
import { RegistryError } from './registry-error.ts';

/**
 * Compiles a registry: the form that is shipped with the functions, in the order of the entries.
 * @param entries what the registry's file holds: anything.
 * @param source the file's name, for messages.
 * @param places where the entries stand in the file. @default line 1, column 1
 * @throws RegistryError with every problem of every entry.
 */
export async function compileRegistry(
  entries: unknown,
  source: string,
  places: RegistryPlaces = NO_PLACES,
): Promise<CompiledRegistry> {
  const { examined, problems } = await examineRegistry(entries, source, places);
  if (problems.length > 0) throw new RegistryError(problems);
  return compiledRegistrySchema.parse(examined.map(({ index }) => index));
}

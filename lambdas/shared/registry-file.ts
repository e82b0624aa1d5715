import { readFileSync } from 'node:fs';
import { type CompiledRegistry, compiledRegistrySchema, REGISTRY_FILE } from './registry.ts';

/** Reads the compiled registry that was shipped beside the function's code. */
export function readRegistry(functionDirectory: string): CompiledRegistry {
  return compiledRegistrySchema.parse(
    JSON.parse(readFileSync(`${functionDirectory}/${REGISTRY_FILE}`, 'utf8')),
  );
}

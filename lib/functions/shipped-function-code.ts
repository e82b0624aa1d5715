import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SHIPPED_FUNCTIONS } from '../files/package-files.ts';
import type { FunctionCode } from './function-code.ts';
import { CODE_FILE, FUNCTIONS, LICENCES_FILE } from './function-names.ts';

/** Reads the code that was bundled when the package was made, so that synth needs no esbuild and every machine gets the same hash. */
export function functionCode(): FunctionCode {
  const file = (name: string) => join(SHIPPED_FUNCTIONS, name);
  return {
    code: new Map(FUNCTIONS.map((name) => [name, readFileSync(file(join(name, CODE_FILE)))])),
    licences: readFileSync(file(LICENCES_FILE), 'utf8'),
  };
}

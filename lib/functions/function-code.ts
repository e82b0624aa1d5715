import { bundleCode } from './bundle-code.ts';
import { licenceFile } from './bundled-licences.ts';

/** The bundled code of all functions. */
export interface FunctionCode {
  /** The code of each function by its name. */
  readonly code: ReadonlyMap<string, Uint8Array>;
  /** Text of the licences of the packages in the code. */
  readonly licences: string;
}

/**
 * The code of the functions. In the repository esbuild bundles it, so that no build is needed. In the package that npm installs,
 * shipped-function-code.ts takes the place of this module: see package/build.ts.
 */
export function functionCode(): FunctionCode {
  const { code, packages } = bundleCode();
  return { code, licences: licenceFile(packages) };
}

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { messageOf } from '../../lambdas/shared/errors.ts';
import type { CompiledRegistry } from '../../lambdas/shared/registry.ts';
import { compileRegistry } from './compile-registry.ts';
import { jsonErrorPosition } from './json-error-position.ts';
import { RegistryError } from './registry-error.ts';

const MODULES = ['.ts', '.js', '.mjs'];

/**
 * Reads and compiles a registry.
 * @param file a module (.ts, .js, .mjs) whose default export is the list of entries, or a .json file with the same
 *   list; relative to the working directory.
 * @throws RegistryError when the file is not there, cannot be read, or holds a registry that cannot be used.
 */
export async function loadRegistry(file: string): Promise<CompiledRegistry> {
  const extension = extname(file);
  if (extension !== '.json' && !MODULES.includes(extension)) {
    throw failure(
      file,
      `a registry is a file with the extension ${MODULES.join(', ')} or .json, not ` +
        (extension === '' ? 'one without any' : extension),
    );
  }
  const text = await readText(file);
  const entries = extension === '.json' ? parseJson(file, text) : await importDefault(file, text);
  return await compileRegistry(entries, file);
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    const message =
      code === 'ENOENT'
        ? `there is no such file (looked for ${resolve(file)}); check the path`
        : `it cannot be read: ${messageOf(error)}`;
    throw failure(file, message, error);
  }
}

function parseJson(file: string, text: string): unknown {
  const json = text.replace(/^\ufeff/, '');
  try {
    return JSON.parse(json);
  } catch (error) {
    const place = jsonErrorPosition(json);
    const where = place === null ? '' : ` at line ${place.line}, column ${place.column}`;
    throw failure(file, `it is not valid JSON${where}: ${messageOf(error)}`, error);
  }
}

async function importDefault(file: string, text: string): Promise<unknown> {
  const url = pathToFileURL(resolve(file));
  // Node keeps a module for as long as it runs; a file that has changed since needs another address.
  url.searchParams.set('content', createHash('sha256').update(text).digest('hex').slice(0, 16));
  let module: Record<string, unknown>;
  try {
    module = await import(url.href);
  } catch (error) {
    throw failure(file, `it cannot be imported: ${messageOf(error)}`, error);
  }
  if (!('default' in module)) {
    throw failure(file, 'it has no default export; write export default defineIndexes([…])');
  }
  return module.default;
}

function failure(file: string, message: string, cause?: unknown): RegistryError {
  return new RegistryError(file, [{ entry: '', field: '', message }], cause);
}

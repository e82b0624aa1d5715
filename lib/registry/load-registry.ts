import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { messageOf } from '../../lambdas/shared/errors.ts';
import type { CompiledRegistry } from '../../lambdas/shared/registry.ts';
import type { Place } from '../sql/places.ts';
import { compileRegistry } from './compile-registry.ts';
import { locateEntries, NO_PLACES, type RegistryPlaces } from './entry-places.ts';
import type { RegistryKind } from './entry-text.ts';
import { jsonErrorPosition } from './json-error-position.ts';
import { RegistryError } from './registry-error.ts';

const MODULES = ['.ts', '.js', '.mjs'];

/** What a registry's file holds: anything, and where its entries stand. */
export interface RegistryFile {
  readonly entries: unknown;
  readonly places: RegistryPlaces;
}

/**
 * Reads and compiles a registry.
 * @param file a module (.ts, .js, .mjs) whose default export is the list of entries, or a .json file with the same
 *   list; relative to the working directory.
 * @throws RegistryError when the file is not there, cannot be read, or holds a registry that cannot be used.
 */
export async function loadRegistry(file: string): Promise<CompiledRegistry> {
  const { entries, places } = await readRegistryFile(file);
  return await compileRegistry(entries, file, places);
}

/**
 * Reads a registry's file, without a look at its entries.
 * @throws RegistryError when the file is not there, or cannot be read, parsed or imported.
 */
export async function readRegistryFile(file: string): Promise<RegistryFile> {
  const kind = registryKind(file);
  const text = (await readText(file)).replace(/^\ufeff/, '');
  const entries = kind === 'json' ? parseJson(file, text) : await importDefault(file, text);
  const places = Array.isArray(entries) ? locateEntries(text, kind, entries) : NO_PLACES;
  return { entries, places };
}

/**
 * How a registry is written, by its file's extension.
 * @throws RegistryError for any other extension.
 */
export function registryKind(file: string): RegistryKind {
  const extension = extname(file);
  if (extension === '.json') return 'json';
  if (MODULES.includes(extension)) return 'ts';
  throw failure(
    file,
    `a registry is a file with the extension ${MODULES.join(', ')} or .json, not ` +
      (extension === '' ? 'one without any' : extension),
  );
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
  try {
    return JSON.parse(text);
  } catch (error) {
    throw failure(file, `it is not valid JSON: ${messageOf(error)}`, error, jsonErrorPosition(text));
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
    throw failure(file, `it cannot be imported: ${messageOf(error)}`, error, placeInStack(error, url));
  }
  if (!('default' in module)) {
    throw failure(file, 'it has no default export; write export default defineIndexes([…])');
  }
  return module.default;
}

/** Where a module's own code threw, or its types cannot be stripped, which moves nothing; else null. */
function placeInStack(error: unknown, url: URL): Place | null {
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  for (const path of [url.pathname, fileURLToPath(url)]) {
    const at = stack.indexOf(path);
    const behind = at === -1 ? '' : stack.slice(at + path.length);
    const [, line, column = 1] = /^(?:\?[^:\s]*)?:(\d+)(?::(\d+))?/.exec(behind) ?? [];
    if (line !== undefined) return { line: Number(line), column: Number(column) };
  }
  return null;
}

function failure(file: string, message: string, cause?: unknown, place?: Place | null): RegistryError {
  const { line, column } = place ?? { line: 1, column: 1 };
  return new RegistryError(
    [{ rule: 'registry-file', file, line, column, entry: '', field: '', message }],
    cause,
  );
}

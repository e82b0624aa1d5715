import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { messageOf } from '../../lambdas/shared/errors.ts';
import type { CompiledRegistry } from '../../lambdas/shared/registry.ts';
import { decodeUtf8 } from '../sql/decode-utf8.ts';
import { type Place, placesIn } from '../sql/places.ts';
import { compileRegistry } from './compile-registry.ts';
import { NO_PLACES, placesOf, type RegistryPlaces } from './entry-places.ts';
import { importModule, ModuleProblem } from './import-module.ts';
import { RegistryError } from './registry-error.ts';
import type { RegistrySource } from './registry-source.ts';
import type { RegistryKind } from './registry-text.ts';
import { readRegistryValue } from './registry-value.ts';

const MODULES = ['.ts', '.js', '.mjs', '.cjs'];

/** The content of a registry file. */
interface RegistryFile {
  /** Not validated yet. */
  readonly entries: unknown;
  /** Finds the entries in the file. It loads a parser: call it only when places are needed. */
  readonly locate: () => Promise<RegistryPlaces>;
}

/** How to read a registry that is a module. */
export interface RegistryReading {
  /**
   * False: its code is not run. Its value is read from its text, and what only its code knows is an error.
   * @default true
   */
  readonly runCode?: boolean;
  /** The search path in which the tables of entries without a schema are looked up. @default public */
  readonly searchPath?: readonly string[] | undefined;
}

/**
 * Reads and compiles a registry.
 * @param file a module (.ts, .js, .mjs, .cjs) whose default export is the list of entries, or a .json file with the same
 *   list; relative to the working directory.
 * @throws RegistryError if the file does not exist, cannot be read, or contains a wrong entry.
 */
export async function loadRegistry(file: string, reading: RegistryReading = {}): Promise<CompiledRegistry> {
  const { entries, locate } = await readRegistryFile(file, reading);
  return await compileRegistry(entries, file, locate);
}

/**
 * Reads a registry file without validating its entries.
 * @throws RegistryError if the file does not exist, or cannot be read, parsed or imported.
 */
export async function readRegistryFile(
  file: string,
  { runCode = true }: RegistryReading = {},
): Promise<RegistryFile> {
  const kind = registryKind(file);
  const text = await readText(file);
  const readModule = runCode ? importDefault : staticDefault;
  const entries = kind === 'json' ? await parseJson(file, text) : await readModule(file, text);
  const locate = async () => {
    const source = readRegistryValue(entries).entries === null ? null : await readSource(text, kind);
    return source === null ? NO_PLACES : placesOf(text, source, readRegistryValue(entries).entries ?? []);
  };
  return { entries, locate };
}

/** The parsers are loaded here only, so that commands that need no places start without them. */
async function readSource(text: string, kind: RegistryKind): Promise<RegistrySource | null> {
  const read =
    kind === 'json'
      ? (await import('./json-source.ts')).readJson
      : (await import('./module-source.ts')).readModule;
  try {
    return read(text);
  } catch (error) {
    // The entries are known. Only their places are not.
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/**
 * How a registry is written, by the extension of its file.
 * @throws RegistryError for any other extension.
 */
export function registryKind(file: string): RegistryKind {
  const extension = extname(file);
  if (extension === '.json') return 'json';
  if (MODULES.includes(extension)) return 'ts';
  throw failure(
    file,
    `a registry file has the extension ${MODULES.join(', ')} or .json; ` +
      (extension === '' ? 'this file has none' : `this one has ${extension}`),
  );
}

/** The text of the file, without a byte order mark. */
async function readText(file: string): Promise<string> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(file);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    const message =
      code === 'ENOENT'
        ? `the file does not exist (${resolve(file)}); check the path`
        : `the file cannot be read: ${messageOf(error)}`;
    throw failure(file, message, error);
  }
  const { text, problem } = decodeUtf8(bytes);
  if (problem !== null) throw failure(file, problem.message, undefined, problem);
  return text;
}

async function parseJson(file: string, text: string): Promise<unknown> {
  try {
    return JSON.parse(text);
  } catch (error) {
    const { jsonSyntaxError } = await import('./json-source.ts');
    const { message, offset } = jsonSyntaxError(text) ?? { message: messageOf(error), offset: 0 };
    throw failure(file, `it is not valid JSON: ${message}`, error, placesIn(text)(offset));
  }
}

/** The default export of a module that is not run. */
async function staticDefault(file: string, text: string): Promise<unknown> {
  const { readModuleValue } = await import('./module-value.ts');
  const placeOf = placesIn(text);
  try {
    const read = readModuleValue(text);
    if ('value' in read) return read.value;
    throw new RegistryError(
      read.unknown.map(({ message, start }) => ({
        rule: 'registry-file',
        file,
        ...placeOf(start),
        entry: '',
        field: '',
        message: `it cannot be read without running its code (--no-code): ${message}`,
      })),
    );
  } catch (error) {
    if (!(error instanceof SyntaxError) || !('pos' in error)) throw error;
    throw failure(file, `it cannot be read: ${error.message}`, error, placeOf(Number(error.pos)));
  }
}

/** The default exports of modules by path and content: several commands read a registry more than once. */
const imported = new Map<string, Promise<{ hasDefault: boolean; value: unknown }>>();

async function importDefault(file: string, text: string): Promise<unknown> {
  const path = resolve(file);
  const key = `${path} ${createHash('sha256').update(text).digest('hex')}`;
  const module = imported.get(key) ?? importModule(path);
  imported.set(key, module);
  try {
    const { hasDefault, value } = await module;
    if (hasDefault) return value;
  } catch (error) {
    imported.delete(key);
    if (!(error instanceof ModuleProblem)) throw error;
    const { thrown } = error;
    const place =
      (thrown.isSyntaxError ? await syntaxErrorPlace(text) : null) ?? placeInStack(thrown.stack, path);
    throw failure(file, `it cannot be imported: ${thrown.message}`, error, place);
  }
  throw failure(file, 'it has no default export; write export default defineIndexes([…])');
}

/** The place of a syntax error, which Node.js reports without its column; null if the error is not in this file. */
async function syntaxErrorPlace(text: string): Promise<Place | null> {
  const { moduleSyntaxError } = await import('./module-source.ts');
  const offset = moduleSyntaxError(text);
  return offset === null ? null : placesIn(text)(offset);
}

/** The place in the module that threw the error, or that Node.js cannot strip the types of; null if it is elsewhere. */
function placeInStack(stack: string, file: string): Place | null {
  for (const path of [pathToFileURL(file).pathname, file]) {
    const at = stack.indexOf(path);
    const after = at === -1 ? '' : stack.slice(at + path.length);
    const [, line, column = 1] = /^:(\d+)(?::(\d+))?/.exec(after) ?? [];
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

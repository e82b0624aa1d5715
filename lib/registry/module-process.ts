/*
 * The process that runs one registry module: import-module.ts starts it. It reports through file descriptor 3, one line
 * for each message, written synchronously so that no message is lost when the module ends the process.
 *
 * A registry can do anything that a program can: the process keeps it from changing, stopping or outliving the command.
 */
import { writeSync } from 'node:fs';
import nodeModule from 'node:module';
import { pathToFileURL } from 'node:url';
import { serialize } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { messageOf } from '../../lambdas/shared/errors.ts';
import { programFile } from '../files/package-files.ts';
import { IMPORT_PATH } from './registry-text.ts';

/** The error that a module threw. */
export interface ModuleError {
  readonly message: string;
  /** Empty: it is no Error. */
  readonly stack: string;
  readonly isSyntaxError: boolean;
}

/** What the process reports, in this order; `exit` can come at any time. */
export type ModuleMessage =
  /** Node.js has read a module of the registry. Code of the registry runs after the last of these. */
  | { readonly type: 'reading' }
  | { readonly type: 'failed'; readonly error: ModuleError }
  /** The module has run. `value` is the default export, as plain data. */
  | { readonly type: 'loaded'; readonly hasDefault: boolean; readonly value: unknown }
  /** The module calls process.exit, process.abort or the like. */
  | { readonly type: 'exit'; readonly call: string; readonly stack: string }
  /** The time limit is over, and these resources keep the process alive. Names as in process.getActiveResourcesInfo. */
  | { readonly type: 'active'; readonly resources: readonly string[] }
  /** Nothing keeps the process alive. */
  | { readonly type: 'idle' };

/** The modules of this package that export `defineIndexes`. */
const DEFINE_INDEXES: readonly string[] = [IMPORT_PATH, 'pg-deploy-step'];

const REPORTS = 3;
/** Modules are read within milliseconds of each other; one message in this time is enough. */
const READING_MS = 200;
const CONFIRM_MS = 200;
const [file = '', limitMs = ''] = process.argv.slice(2);

/** Ends the process at once. The module may replace process.exit, and this file does. */
const exitNow: (code: number) => void = Reflect.get(process, 'reallyExit').bind(process);

function send(message: ModuleMessage): void {
  const line = Buffer.from(`${serialize(message).toString('base64')}\n`);
  for (let sent = 0; sent < line.length; ) sent += writeSync(REPORTS, line, sent);
}

function fail(error: unknown): void {
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  const message = error instanceof Error ? messageOf(error) : `it throws ${describe(error)}`;
  send({ type: 'failed', error: { message, stack, isSyntaxError: error instanceof SyntaxError } });
  exitNow(1);
}

/** A thrown value that is no Error. A registry can throw anything, also an object that has no text. */
function describe(value: unknown): string {
  try {
    return typeof value === 'string' ? JSON.stringify(value) : String(value);
  } catch {
    return `a value of the type ${typeof value}`;
  }
}

// The process ends with the command. Code that does not return blocks this thread, but not the worker's.
new Worker(
  `const parent = process.ppid;
   setInterval(() => { if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL'); }, 500);`,
  { eval: true, stdout: false, stderr: false },
).unref();

// The streams of this process are listed among the active resources as soon as they are used.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
const ownResources = process.getActiveResourcesInfo();

// The limit counts from the moment at which the last module was read, so that a loaded machine does not use it up.
const timer = setTimeout(() => {
  // Node.js can run this timer just before it ends. If another one runs, something keeps it from ending.
  setTimeout(() => send({ type: 'active', resources: activeResources() }), CONFIRM_MS).unref();
}, Number(limitMs));
timer.unref();
let reported = Number.NEGATIVE_INFINITY;
// Node.js before 22.15 has no hooks in the same thread. The limit then counts from the start.
nodeModule.registerHooks?.({
  // A registry that was moved out of the project still finds this package.
  resolve(specifier, context, next) {
    try {
      return next(specifier, context);
    } catch (error) {
      if (!DEFINE_INDEXES.includes(specifier)) throw error;
      return next(pathToFileURL(programFile('lib/registry/define-indexes')).href, context);
    }
  },
  load(url, context, next) {
    const loaded = next(url, context);
    timer.refresh();
    if (performance.now() - reported > READING_MS) {
      reported = performance.now();
      send({ type: 'reading' });
    }
    return loaded;
  },
});

for (const call of ['exit', 'reallyExit', 'abort']) {
  Reflect.set(process, call, (...args: unknown[]) => {
    const code = args[0] === undefined ? '' : String(args[0]);
    send({ type: 'exit', call: `process.${call}(${code})`, stack: new Error('exit').stack ?? '' });
    exitNow(1);
  });
}
process.on('uncaughtException', fail);
process.once('beforeExit', () => send({ type: 'idle' }));

/** What the module keeps open. Node.js does not name worker threads. */
function activeResources(): string[] {
  const own = [...ownResources];
  return process.getActiveResourcesInfo().filter((resource) => {
    const at = own.indexOf(resource);
    if (at !== -1) own.splice(at, 1);
    return at === -1;
  });
}

load().then((module) => {
  send({ type: 'loaded', hasDefault: 'default' in module, value: plainData(module.default, new Map()) });
}, fail);

/**
 * Imports the module as Node.js does. What Node.js cannot read although it is right is read by jiti: TypeScript in a version that
 * does not strip types, and the syntax of ES modules in a package that is CommonJS, which CDK apps compile.
 */
async function load(): Promise<Record<string, unknown>> {
  try {
    return await import(pathToFileURL(file).href);
  } catch (error) {
    if (!needsCompiler(error)) throw error;
    const { createJiti } = await import('jiti');
    const alias = Object.fromEntries(
      DEFINE_INDEXES.map((name) => [name, programFile('lib/registry/define-indexes')]),
    );
    return await createJiti(import.meta.url, { fsCache: false, moduleCache: false, alias }).import(file);
  }
}

function needsCompiler(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code = '' } = error as NodeJS.ErrnoException;
  return (
    code === 'ERR_UNKNOWN_FILE_EXTENSION' ||
    isOwnPackageMissing(code, error.message) ||
    (error instanceof SyntaxError && error.message === 'Cannot use import statement outside a module')
  );
}

/** Without hooks, a registry outside of the project finds this package only by the aliases of jiti. */
function isOwnPackageMissing(code: string, message: string): boolean {
  return (
    /^(ERR_)?MODULE_NOT_FOUND$/.test(code) &&
    /^Cannot find (package|module) 'pg-deploy-step['/]/.test(message)
  );
}

/**
 * A copy that can be sent. A function becomes null, which the checks of the entries refuse; an object of any class becomes
 * a plain object with its fields.
 */
function plainData(value: unknown, seen: Map<object, unknown>): unknown {
  if (typeof value === 'function' || typeof value === 'symbol') return null;
  if (typeof value !== 'object' || value === null) return value;
  const known = seen.get(value);
  if (known !== undefined) return known;
  if (Array.isArray(value)) {
    const copy: unknown[] = [];
    seen.set(value, copy);
    for (const element of value) copy.push(plainData(element, seen));
    return copy;
  }
  const copy: Record<string, unknown> = {};
  seen.set(value, copy);
  for (const key in value) {
    const field = plainData(Reflect.get(value, key), seen);
    // An assignment to __proto__ would set the prototype, and the field would be lost.
    Object.defineProperty(copy, key, { value: field, enumerable: true, configurable: true, writable: true });
  }
  return copy;
}

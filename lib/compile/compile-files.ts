import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { LinesError } from '../../lambdas/shared/errors.ts';
import type { PendingTool } from '../config/pending-config.ts';
import { nodeOptions } from '../files/node-options.ts';
import { hideOwnFrames } from '../files/own-frames.ts';
import { programFile } from '../files/package-files.ts';
import type { IndexEntry, Registry } from '../registry/define-indexes.ts';
import { RegistryError, type RegistryProblem } from '../registry/registry-error.ts';
import type { CompiledFiles } from './compiled-files.ts';

/** What to compile. */
export interface FilesToCompile {
  /** Path of the registry, or its content. */
  readonly indexes: string | readonly IndexEntry[] | Registry;
  /** Folder with the SQL files. Null: no file is applied. */
  readonly migrations: string | null;
  /** The application's own migration tool, whose table says what is pending. Null or absent: none. */
  readonly pendingTool?: PendingTool | null;
  /** The search path in which names without a schema are looked up. Null: public. */
  readonly searchPath: readonly string[] | null;
  /** The process runs in this folder, whose cdk.json can configure lint. */
  readonly projectRoot: string;
  /** Whether findings of lint are collected too. */
  readonly lint: boolean;
}

/** What the process writes: the compiled files, or the error that it ended with. */
export type CompileResult =
  | { readonly files: CompiledFiles }
  | {
      readonly error: {
        readonly name: string;
        readonly message: string;
        /** Of a RegistryError. */
        readonly problems: readonly RegistryProblem[] | null;
      };
    };

/** The registry or the migrations cannot be compiled. The message names the file and what to do. */
export class CompileError extends LinesError {
  override readonly name = 'CompileError';

  constructor(lines: string | readonly string[], options?: { cause?: unknown }) {
    super(lines, options);
    hideOwnFrames(this);
  }
}

/** File descriptor on which the process writes its result: code of a registry can print on all others. */
export const RESULT = 3;
const LARGEST_RESULT = 2 ** 30;

/**
 * Compiles the registry and the migrations, and lints them. It waits for a process of its own: the constructor of a construct
 * cannot wait for a promise, which the parser of PostgreSQL and a registry that is a module need.
 * @throws RegistryError if the registry is wrong, CompileError if the migrations are, or if the process fails
 */
export function compileFiles(files: FilesToCompile): CompiledFiles {
  const { projectRoot } = files;
  if (statSync(projectRoot, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new CompileError(`projectRoot: the folder ${projectRoot} does not exist.`);
  }
  const { output, error, status, signal } = spawnSync(
    process.execPath,
    [...nodeOptions(process.execArgv), programFile('lib/cli/compile-process')],
    {
      cwd: projectRoot,
      input: JSON.stringify(files),
      stdio: ['pipe', 2, 2, 'pipe'],
      encoding: 'utf8',
      maxBuffer: LARGEST_RESULT,
    },
  );
  if (error !== undefined) {
    throw new CompileError(`Node.js could not be started to compile the registry: ${error.message}`, {
      cause: error,
    });
  }
  const result = parseResult(output[RESULT]);
  if (result === null) {
    throw new CompileError(
      `The process that compiles the registry ended with ${signal ?? `exit code ${status}`} and without a result. ` +
        'Its output above says more.',
    );
  }
  if ('files' in result) return result.files;
  const { problems, message } = result.error;
  throw problems === null ? new CompileError(message.split('\n')) : new RegistryError(problems);
}

function parseResult(text: string | null | undefined): CompileResult | null {
  try {
    return JSON.parse(text ?? '') as CompileResult;
  } catch {
    return null;
  }
}

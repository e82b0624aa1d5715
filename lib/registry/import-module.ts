import { type ChildProcess, spawn } from 'node:child_process';
import * as nodeModule from 'node:module';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { deserialize } from 'node:v8';
import { listed } from '../../lambdas/shared/text.ts';
import { nodeOptions } from '../files/node-options.ts';
import { programFile } from '../files/package-files.ts';
import { withoutSecrets } from './module-environment.ts';
import type { ModuleError, ModuleMessage } from './module-process.ts';

const ENTRY = programFile('lib/registry/module-process');

/** Time for the code of a registry, from the moment at which Node.js has read the last module. */
const LIMIT_MS = 8_000;
/** The process reports what it waits for at the limit, on a busy machine later. It cannot while its code does not return. */
const ANSWER_MS = 5_000;
/** Time for the whole import, also if the code imports one module after another without an end. */
const TOTAL_MS = 60_000;

/** A package.json without a type is usual, and a registry works with each type. */
const NO_TYPE_WARNING = '--disable-warning=MODULE_TYPELESS_PACKAGE_JSON';

/** The module was read, but its code failed or did not end. */
export class ModuleProblem extends Error {
  override readonly name = 'ModuleProblem';
  readonly thrown: ModuleError;

  constructor(thrown: ModuleError) {
    super(thrown.message);
    this.thrown = thrown;
  }
}

/** The content of a module. */
interface ImportedModule {
  readonly hasDefault: boolean;
  /** The default export as plain data. A function in it is null. */
  readonly value: unknown;
}

/**
 * Imports a module in a process of its own, so that it cannot end, change or outlive this one. What it prints goes to
 * standard error. It does not get the variables of this process that hold secrets.
 * @param file absolute path
 * @throws ModuleProblem when the module throws, ends its process, does not finish within 8 s, or keeps its process alive
 */
export async function importModule(file: string): Promise<ImportedModule> {
  const child = spawn(
    process.execPath,
    // Before the others: with ts-node, these end with its program, whose options would follow.
    [NO_TYPE_WARNING, ...nodeOptions(process.execArgv), ENTRY, file, String(LIMIT_MS)],
    // A process group of its own: the module's child processes are in it too.
    { stdio: ['ignore', 2, 2, 'pipe'], detached: true, env: withoutSecrets(process.env) },
  );
  try {
    return await outcomeOf(child);
  } finally {
    kill(child);
  }
}

async function outcomeOf(child: ChildProcess): Promise<ImportedModule> {
  const { promise, resolve, reject } = Promise.withResolvers<ImportedModule>();
  let loaded: ImportedModule | null = null;
  const fail = (message: string, stack = '') =>
    reject(new ModuleProblem({ message, stack, isSyntaxError: false }));
  const late = () =>
    fail(
      loaded === null
        ? `its code does not return within ${LIMIT_MS / 1000} s: look for an endless loop`
        : `after the export, code of the module does not return within ${LIMIT_MS / 1000} s: look for an endless loop`,
    );
  let limit: NodeJS.Timeout | undefined;
  const restartLimit = () => {
    clearTimeout(limit);
    limit = setTimeout(late, LIMIT_MS + ANSWER_MS);
  };
  // Otherwise the first message starts it, because the start of a process takes seconds on a busy machine.
  if (nodeModule.registerHooks === undefined) restartLimit();
  const total = setTimeout(late, TOTAL_MS);
  const onMessage: {
    [Type in ModuleMessage['type']]: (message: Extract<ModuleMessage, { type: Type }>) => void;
  } = {
    reading: restartLimit,
    failed: ({ error }) => reject(new ModuleProblem(error)),
    loaded: (message) => {
      loaded = message;
    },
    exit: ({ call, stack }) => fail(`it calls ${call}, which would end the command: remove the call`, stack),
    active: ({ resources }) => fail(stillActive(resources, loaded !== null)),
    idle: () => {
      if (loaded !== null) resolve(loaded);
      else fail('it waits with await for a promise that never settles');
    },
  };
  const lines = createInterface({ input: child.stdio[3] as Readable });
  lines.on('line', (line) => {
    const message = deserialize(Buffer.from(line, 'base64')) as ModuleMessage;
    (onMessage[message.type] as (message: ModuleMessage) => void)(message);
  });
  child.on('error', (error) => fail(`Node.js could not be started for it: ${error.message}`));
  // After 'close' all messages have arrived, so that an exit which the module announced is reported as that.
  const closed = Promise.withResolvers<void>();
  lines.once('close', closed.resolve);
  child.once('exit', (code, signal) => {
    void closed.promise.then(() =>
      fail(
        signal === null
          ? `it ended its process with exit code ${code}`
          : `its process was ended by the signal ${signal}`,
      ),
    );
  });
  try {
    return await promise;
  } finally {
    clearTimeout(limit);
    clearTimeout(total);
    lines.close();
  }
}

function stillActive(resources: readonly string[], isLoaded: boolean): string {
  const known = [...new Set(resources.map((resource) => RESOURCES[resource] ?? resource))];
  const names = known.length === 0 ? ['a worker thread or something else'] : known;
  return isLoaded
    ? `it keeps ${listed(names)} open, ${LIMIT_MS / 1000} s after it was imported: a registry must close everything that it opens`
    : `its await has not finished within ${LIMIT_MS / 1000} s; it waits for ${listed(names)}`;
}

/** The names of process.getActiveResourcesInfo that a registry can meet. */
const RESOURCES: Readonly<Record<string, string>> = {
  Timeout: 'a timer',
  Immediate: 'a timer (setImmediate)',
  TCPSocketWrap: 'a TCP connection',
  TCPServerWrap: 'a TCP server',
  TLSWrap: 'a TLS connection',
  PipeWrap: 'a pipe',
  PipeServerWrap: 'a server on a local socket',
  UDPWrap: 'a UDP socket',
  GetAddrInfoReqWrap: 'a DNS request',
  ConnectReqWrap: 'a connection that is being opened',
  TCPConnectWrap: 'a connection that is being opened',
  FSEventWrap: 'a file watcher',
  StatWatcher: 'a file watcher',
  FSReqCallback: 'a file access',
  FSReqPromise: 'a file access',
  ProcessWrap: 'a child process',
  MessagePort: 'a message port',
};

function kill({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // The processes have ended.
  }
}

import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { compiledModules, NO_CODE_CACHE } from '../files/code-caches.ts';
import { programFile } from '../files/package-files.ts';
import { REGION } from './local-arns.ts';
import type { PublishedVersion } from './published-versions.ts';

const ENTRY = programFile('lib/local/lambda-process');
const MEMORY_MB = '1024';

export interface LambdaFunction {
  readonly name: string;
  /** Folder of the bundle. It contains index.mjs. */
  readonly directory: string;
  /** As in the template: index.handler. */
  readonly handler: string;
  /** The function's own environment variables. */
  readonly variables: Readonly<Record<string, string>>;
  readonly timeoutSeconds: number;
  /** The version that was published of this code. @default none: only $LATEST exists */
  readonly version?: PublishedVersion;
}

/** Lambda's response to an error: the Cause that a state machine receives. A killed sandbox has no trace. */
export interface LambdaErrorPayload {
  readonly errorType: string;
  readonly errorMessage: string;
  readonly trace?: readonly string[];
}

/** One invocation, as the host sends it to lambda-process.ts. */
export interface InvocationRequest {
  readonly event: string;
  readonly context: {
    readonly functionName: string;
    readonly awsRequestId: string;
    readonly functionVersion: string;
    readonly invokedFunctionArn: string;
    /** Milliseconds since 1970. */
    readonly deadline: number;
  };
}

/** How an invocation ended, as lambda-process.ts sends it to the host. */
export type InvocationResponse =
  | { readonly type: 'result'; readonly result: string }
  | { readonly type: 'error'; readonly payload: LambdaErrorPayload };

/** A failed invocation: `name` is Lambda's errorType, `message` is the JSON text that Step Functions calls the Cause. */
export class LambdaError extends Error {
  override readonly name: string;

  constructor(payload: LambdaErrorPayload) {
    super(JSON.stringify(payload));
    this.name = payload.errorType;
  }
}

/** One process that handles one invocation at a time, as Lambda's runtime does. */
export class Sandbox {
  readonly #function: LambdaFunction;
  readonly #child: ChildProcess;
  /** Resolves when the process has ended, with its exit status or signal. */
  readonly exited: Promise<string>;
  alive = true;

  constructor(definition: LambdaFunction, onLog: (line: string) => void) {
    this.#function = definition;
    const [module = '', exported = 'handler'] = definition.handler.split('.');
    const child = fork(ENTRY, [path.join(definition.directory, `${module}.mjs`), exported], {
      cwd: definition.directory,
      env: { ...variablesOf(definition), ...compiledModules() },
      execArgv: [],
      // A separate process group: Ctrl-C in the terminal reaches only the command, so running functions can finish.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on('line', onLog);
    }
    this.exited = new Promise((resolve) => {
      child.on('error', (error) => resolve(error.message));
      child.on('exit', (code, signal) => {
        resolve(
          signal === null ? `exit status ${code}` : `signal: ${signal === 'SIGKILL' ? 'killed' : signal}`,
        );
      });
    }).then((how) => {
      this.alive = false;
      return String(how);
    });
  }

  /** @throws LambdaError */
  async invoke(payload: string, invokedFunctionArn: string): Promise<unknown> {
    const { name, timeoutSeconds } = this.#function;
    const awsRequestId = randomUUID();
    const deadline = Date.now() + timeoutSeconds * 1000;
    const { promise: answered, resolve } = Promise.withResolvers<InvocationResponse>();
    const listener = (message: InvocationResponse) => resolve(message);
    this.#child.once('message', listener);
    this.#keepsHostAlive(true);
    let timer: NodeJS.Timeout | undefined;
    const timedOut = new Promise<InvocationResponse>((settle) => {
      timer = setTimeout(() => {
        this.kill();
        settle(
          failure(
            'Sandbox.Timedout',
            awsRequestId,
            `Task timed out after ${timeoutSeconds.toFixed(2)} seconds`,
          ),
        );
      }, timeoutSeconds * 1000);
    });
    const died = this.exited.then((how) =>
      failure('Runtime.ExitError', awsRequestId, `Runtime exited with error: ${how}`),
    );
    try {
      const message: InvocationRequest = {
        event: payload,
        context: {
          ...{ functionName: name, functionVersion: versionOf(this.#function) },
          ...{ awsRequestId, invokedFunctionArn, deadline },
        },
      };
      // No error handling here: when the channel is closed, `died` reports it.
      this.#child.send(message, () => undefined);
      const answer = await Promise.race([answered, timedOut, died]);
      if (answer.type === 'error') throw new LambdaError(answer.payload);
      return JSON.parse(answer.result);
    } finally {
      clearTimeout(timer);
      this.#child.off('message', listener);
      this.#keepsHostAlive(false);
    }
  }

  /** Kills (SIGKILL) the process and its children, and returns without waiting for their end. */
  kill(): void {
    const { pid } = this.#child;
    if (!this.alive || pid === undefined) return;
    this.alive = false;
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // The process has already ended.
    }
  }

  async ended(): Promise<void> {
    this.#child.ref();
    await this.exited;
  }

  /** Lets a command end that did not close its host: a warm sandbox alone must not keep it running. */
  #keepsHostAlive(yes: boolean): void {
    const handles = [this.#child, this.#child.channel, this.#child.stdout, this.#child.stderr];
    for (const handle of handles as ({ ref?(): void; unref?(): void } | null | undefined)[]) {
      if (yes) handle?.ref?.();
      else handle?.unref?.();
    }
  }
}

function versionOf({ version }: LambdaFunction): string {
  return version === undefined ? '$LATEST' : String(version.number);
}

function failure(errorType: string, requestId: string, what: string): InvocationResponse {
  return { type: 'error', payload: { errorType, errorMessage: `RequestId: ${requestId} Error: ${what}` } };
}

/** Where sslrootcert=system finds the certificates, if the user has set it. */
function certificateVariables(): NodeJS.ProcessEnv {
  const { SSL_CERT_FILE, SSL_CERT_DIR } = process.env;
  return {
    ...(SSL_CERT_FILE !== undefined && { SSL_CERT_FILE }),
    ...(SSL_CERT_DIR !== undefined && { SSL_CERT_DIR }),
  };
}

function variablesOf(definition: LambdaFunction): NodeJS.ProcessEnv {
  const { name, directory, handler, variables } = definition;
  return {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    LANG: 'en_US.UTF-8',
    TZ: 'UTC',
    AWS_REGION: REGION,
    AWS_DEFAULT_REGION: REGION,
    AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs24.x',
    AWS_LAMBDA_FUNCTION_NAME: name,
    AWS_LAMBDA_FUNCTION_VERSION: versionOf(definition),
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: MEMORY_MB,
    AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand',
    LAMBDA_TASK_ROOT: directory,
    _HANDLER: handler,
    ...NO_CODE_CACHE,
    ...certificateVariables(),
    ...variables,
  };
}

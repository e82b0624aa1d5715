import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { REGION } from './account.ts';
import type { FromSandbox, LambdaErrorPayload, LambdaFunction, ToSandbox } from './lambda-host.ts';

const ENTRY = path.join(import.meta.dirname, 'lambda-process.ts');
const MEMORY_MB = '1024';

/** What an invocation fails with: `name` is Lambda's errorType, `message` the JSON text that Step Functions calls Cause. */
export class LambdaError extends Error {
  override readonly name: string;

  constructor(payload: LambdaErrorPayload) {
    super(JSON.stringify(payload));
    this.name = payload.errorType;
  }
}

/** One process that serves one invocation at a time, as a Lambda execution environment does. */
export class Sandbox {
  readonly #function: LambdaFunction;
  readonly #child: ChildProcess;
  /** Settles when the process is gone, with how it ended. */
  readonly exited: Promise<string>;
  alive = true;

  constructor(definition: LambdaFunction, onLog: (line: string) => void) {
    this.#function = definition;
    const [module = '', exported = 'handler'] = definition.handler.split('.');
    const child = fork(ENTRY, [path.join(definition.directory, `${module}.mjs`), exported], {
      cwd: definition.directory,
      env: environmentOf(definition),
      execArgv: [],
      // A group of its own: Ctrl-C in the terminal is the command's to handle, functions in flight finish.
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
    const { promise: answered, resolve } = Promise.withResolvers<FromSandbox>();
    const listener = (message: FromSandbox) => resolve(message);
    this.#child.once('message', listener);
    this.#keepsHostAlive(true);
    let timer: NodeJS.Timeout | undefined;
    const timedOut = new Promise<FromSandbox>((settle) => {
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
      const message: ToSandbox = {
        event: payload,
        context: { functionName: name, awsRequestId, invokedFunctionArn, deadline },
      };
      // The error of a channel that is closed is told by the process's end as well.
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

  /** Ends the process and its children with -9; returns at once. */
  kill(): void {
    const { pid } = this.#child;
    if (!this.alive || pid === undefined) return;
    this.alive = false;
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // It ended by itself.
    }
  }

  async ended(): Promise<void> {
    this.#child.ref();
    await this.exited;
  }

  /** A warm sandbox must not keep a command from ending that forgot to close its host. */
  #keepsHostAlive(yes: boolean): void {
    const handles = [this.#child, this.#child.channel, this.#child.stdout, this.#child.stderr];
    for (const handle of handles as ({ ref?(): void; unref?(): void } | null | undefined)[]) {
      if (yes) handle?.ref?.();
      else handle?.unref?.();
    }
  }
}

function failure(errorType: string, requestId: string, what: string): FromSandbox {
  return { type: 'error', payload: { errorType, errorMessage: `RequestId: ${requestId} Error: ${what}` } };
}

function environmentOf({ name, directory, handler, environment }: LambdaFunction): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    LANG: 'en_US.UTF-8',
    TZ: 'UTC',
    AWS_REGION: REGION,
    AWS_DEFAULT_REGION: REGION,
    AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs24.x',
    AWS_LAMBDA_FUNCTION_NAME: name,
    AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: MEMORY_MB,
    AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand',
    LAMBDA_TASK_ROOT: directory,
    _HANDLER: handler,
    ...environment,
  };
}

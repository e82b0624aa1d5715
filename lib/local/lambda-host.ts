import { type LambdaFunction, Sandbox } from './lambda-sandbox.ts';
import { functionArn } from './local-arns.ts';

export interface Invocation {
  readonly function: string;
  /** Number of a published version, or $LATEST. */
  readonly version: string;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly durationMs: number;
}

/**
 * How often Lambda runs a function for one call:
 * - `once`;
 * - `twice`: the second run starts while the first one still runs, and the caller gets the result of the second one;
 * - `lost-response`: the caller gets an error of the connection while the function runs on. The retry of the caller then
 *   runs it again;
 * - with a promise: the same, when the promise resolves.
 */
export type Delivery = 'once' | 'twice' | 'lost-response' | { readonly responseLostAfter: Promise<unknown> };

interface LambdaHostOptions {
  readonly functions: readonly LambdaFunction[];
  /** Receives each line that a function writes to its log. @default the lines are discarded */
  readonly onLog?: (functionName: string, line: string) => void;
  /** Decides how often a call runs its function. @default once */
  readonly delivery?: (functionName: string) => Delivery;
  /** Resolves when the code of a function begins to run after a call: Lambda can take seconds to start it. @default at once */
  readonly coldStart?: (functionName: string) => Promise<void>;
}

/** Lambda has no such function or version. Step Functions gives this name to the error. */
class FunctionNotFound extends Error {
  override readonly name = 'Lambda.ResourceNotFoundException';
}

/** The name that Step Functions gives to an error of the connection to Lambda. */
class SdkClientException extends Error {
  override readonly name = 'Lambda.SdkClientException';
}

/**
 * Runs Lambda bundles as Lambda does. Each sandbox is a separate process that handles one invocation at a time and stays
 * warm for the next. Concurrent invocations start more sandboxes. A version keeps its code and its variables, whatever an
 * update does to the function. Unlike Lambda, the host does not freeze a sandbox between two invocations.
 */
export class LambdaHost {
  /** The invocations that have ended, in the order in which they ended. */
  readonly invocations: Invocation[] = [];
  /** The newest code of each function, by its name. */
  readonly #latest = new Map<string, LambdaFunction>();
  /** The published versions, by the name of their function and their number. */
  readonly #versions = new Map<string, LambdaFunction>();
  readonly #onLog: (functionName: string, line: string) => void;
  readonly #delivery: (functionName: string) => Delivery;
  readonly #coldStart: (functionName: string) => Promise<void>;
  readonly #idle = new Map<LambdaFunction, Sandbox[]>();
  readonly #all = new Map<Sandbox, string>();
  readonly #running = new Set<Promise<unknown>>();
  #closed = false;

  constructor(options: LambdaHostOptions) {
    const {
      functions,
      onLog = () => undefined,
      delivery = () => 'once',
      coldStart = async () => {},
    } = options;
    this.#onLog = onLog;
    this.#delivery = delivery;
    this.#coldStart = coldStart;
    this.update(functions);
  }

  get functionNames(): string[] {
    return [...this.#latest.keys()];
  }

  /**
   * Updates the functions and publishes their versions, as an update of the stack does. A function that is missing is
   * deleted with its versions. Of the others, a version that is not retained is deleted. Invocations that are running
   * continue.
   */
  update(functions: readonly LambdaFunction[]): void {
    const names = new Set(functions.map(({ name }) => name));
    for (const [key, { name, version }] of this.#versions) {
      if (!names.has(name) || version?.isRetained !== true) this.#versions.delete(key);
    }
    this.#latest.clear();
    for (const definition of functions) {
      const { version, ...latest } = definition;
      this.#latest.set(definition.name, latest);
      if (version === undefined) continue;
      const key = `${definition.name}:${version.number}`;
      if (!this.#versions.has(key)) this.#versions.set(key, definition);
    }
  }

  /**
   * Invokes a function. The event and the result are converted to JSON text and back.
   * @param qualifier number of a version. Anything else, such as an alias, stands for $LATEST
   * @throws LambdaError with Lambda's errorType as its name and Lambda's response as its message, in JSON
   * @throws FunctionNotFound when an update has deleted the version
   */
  async invoke(name: string, payload: unknown, qualifier = '$LATEST'): Promise<unknown> {
    const definition = this.#find(name, qualifier);
    const delivery = this.#delivery(name);
    const run = this.#run(definition, payload, qualifier);
    if (delivery === 'once') return await run;
    // Nobody waits for this run. Lambda reports its failure in the log of the function only.
    run.catch(() => undefined);
    if (delivery === 'twice') return await this.#run(definition, payload, qualifier);
    if (delivery !== 'lost-response') await delivery.responseLostAfter;
    throw new SdkClientException(
      'Unable to execute HTTP request: The target server failed to respond (Service: Lambda, Status Code: 0)',
    );
  }

  /** Waits until no function is running. The functions of an aborted execution run to their end, as in AWS. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
  }

  /** Kills (SIGKILL) the sandboxes of one function, or of all functions. */
  kill(name?: string): void {
    for (const [sandbox, owner] of this.#all) {
      if (name === undefined || owner === name) sandbox.kill();
    }
  }

  /** Kills all sandboxes and waits until their processes have ended. */
  async close(): Promise<void> {
    this.#closed = true;
    this.kill();
    await Promise.all([...this.#all.keys()].map((sandbox) => sandbox.ended()));
  }

  #find(name: string, qualifier: string): LambdaFunction {
    const latest = this.#latest.get(name);
    if (latest === undefined) {
      throw new Error(`The function "${name}" does not exist. Functions: ${this.functionNames.join(', ')}.`);
    }
    if (!/^\d+$/.test(qualifier)) return latest;
    const version = this.#versions.get(`${name}:${qualifier}`);
    if (version === undefined)
      throw new FunctionNotFound(`Function not found: ${functionArn(name)}:${qualifier}`);
    return version;
  }

  async #run(definition: LambdaFunction, payload: unknown, qualifier: string): Promise<unknown> {
    const { name } = definition;
    if (this.#closed) throw new Error(`The local Lambda is closed. It did not invoke ${name}.`);
    const startedAt = new Date();
    const sandbox = this.#take(definition);
    const arn = functionArn(name) + (qualifier === '$LATEST' ? '' : `:${qualifier}`);
    const result = this.#coldStart(name).then(() => sandbox.invoke(JSON.stringify(payload) ?? 'null', arn));
    this.#running.add(result);
    try {
      return await result;
    } finally {
      this.#running.delete(result);
      if (sandbox.alive) this.#idle.get(definition)?.push(sandbox);
      this.invocations.push({
        ...{ function: name, version: String(definition.version?.number ?? '$LATEST') },
        ...{ startedAt: startedAt.toISOString(), durationMs: Date.now() - startedAt.getTime() },
      });
    }
  }

  #take(definition: LambdaFunction): Sandbox {
    const { name } = definition;
    const idle = this.#idle.get(definition) ?? [];
    this.#idle.set(definition, idle);
    for (let warm = idle.pop(); warm !== undefined; warm = idle.pop()) {
      if (warm.alive) return warm;
    }
    const sandbox = new Sandbox(definition, (line) => this.#onLog(name, line));
    this.#all.set(sandbox, name);
    void sandbox.exited.then(() => this.#all.delete(sandbox));
    return sandbox;
  }
}

import { ACCOUNT, REGION } from './account.ts';
import { Sandbox } from './lambda-sandbox.ts';

export interface LambdaFunction {
  readonly name: string;
  /** The bundle: holds index.mjs. */
  readonly directory: string;
  /** As in the template: index.handler. */
  readonly handler: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly timeoutSeconds: number;
}

/** What Lambda answers for an error: the Cause that a state machine sees. A killed sandbox leaves no trace. */
export interface LambdaErrorPayload {
  readonly errorType: string;
  readonly errorMessage: string;
  readonly trace?: readonly string[];
}

export interface ToSandbox {
  readonly event: string;
  readonly context: {
    readonly functionName: string;
    readonly awsRequestId: string;
    readonly invokedFunctionArn: string;
    /** Milliseconds since 1970. */
    readonly deadline: number;
  };
}

export type FromSandbox =
  | { readonly type: 'result'; readonly result: string }
  | { readonly type: 'error'; readonly payload: LambdaErrorPayload };

export interface Invocation {
  readonly function: string;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly durationMs: number;
}

export interface LambdaHostOptions {
  readonly functions: readonly LambdaFunction[];
  /** Every line that a function writes. @default dropped */
  readonly onLog?: (functionName: string, line: string) => void;
}

/**
 * Runs Lambda bundles as Lambda does: each sandbox is a process of its own, serves one invocation at a time, stays warm
 * and is used again; more invocations at a time mean more sandboxes. Unlike Lambda it does not freeze a sandbox between
 * two invocations.
 */
export class LambdaHost {
  /** What has been invoked and has ended, in the order of the ends. */
  readonly invocations: Invocation[] = [];
  readonly #functions: ReadonlyMap<string, LambdaFunction>;
  readonly #onLog: (functionName: string, line: string) => void;
  readonly #idle = new Map<string, Sandbox[]>();
  readonly #all = new Map<Sandbox, string>();
  #closed = false;

  constructor({ functions, onLog = () => undefined }: LambdaHostOptions) {
    this.#functions = new Map(functions.map((definition) => [definition.name, definition]));
    this.#onLog = onLog;
  }

  get functionNames(): string[] {
    return [...this.#functions.keys()];
  }

  /**
   * Invokes a function; event and result pass through JSON text.
   * @throws LambdaError whose name is Lambda's errorType and whose message is Lambda's answer as JSON
   */
  async invoke(name: string, payload: unknown): Promise<unknown> {
    const definition = this.#functions.get(name);
    if (definition === undefined) {
      throw new Error(`There is no function "${name}" here. Functions: ${this.functionNames.join(', ')}.`);
    }
    if (this.#closed) throw new Error(`The local Lambda is closed: ${name} was not invoked.`);
    const startedAt = new Date();
    const sandbox = this.#take(definition);
    try {
      return await sandbox.invoke(
        JSON.stringify(payload) ?? 'null',
        `arn:aws:lambda:${REGION}:${ACCOUNT}:function:${name}`,
      );
    } finally {
      if (sandbox.alive) this.#idle.get(name)?.push(sandbox);
      const durationMs = Date.now() - startedAt.getTime();
      this.invocations.push({ function: name, startedAt: startedAt.toISOString(), durationMs });
    }
  }

  /** Ends the sandboxes of a function, or of all, with -9, whatever they are doing. */
  kill(name?: string): void {
    for (const [sandbox, owner] of this.#all) {
      if (name === undefined || owner === name) sandbox.kill();
    }
  }

  /** Ends all sandboxes and waits until they are gone. */
  async close(): Promise<void> {
    this.#closed = true;
    this.kill();
    await Promise.all([...this.#all.keys()].map((sandbox) => sandbox.ended()));
  }

  #take(definition: LambdaFunction): Sandbox {
    const { name } = definition;
    const idle = this.#idle.get(name) ?? [];
    this.#idle.set(name, idle);
    for (let warm = idle.pop(); warm !== undefined; warm = idle.pop()) {
      if (warm.alive) return warm;
    }
    const sandbox = new Sandbox(definition, (line) => this.#onLog(name, line));
    this.#all.set(sandbox, name);
    void sandbox.exited.then(() => this.#all.delete(sandbox));
    return sandbox;
  }
}

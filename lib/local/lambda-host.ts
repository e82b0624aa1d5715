import { type LambdaFunction, Sandbox } from './lambda-sandbox.ts';
import { functionArn } from './local-arns.ts';

export interface Invocation {
  readonly function: string;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly durationMs: number;
}

interface LambdaHostOptions {
  readonly functions: readonly LambdaFunction[];
  /** Receives each line that a function writes to its log. @default the lines are discarded */
  readonly onLog?: (functionName: string, line: string) => void;
}

/**
 * Runs Lambda bundles as Lambda does. Each sandbox is a separate process that handles one invocation at a time and stays
 * warm for the next. Concurrent invocations start more sandboxes. Unlike Lambda, the host does not freeze a sandbox
 * between two invocations.
 */
export class LambdaHost {
  /** The invocations that have ended, in the order in which they ended. */
  readonly invocations: Invocation[] = [];
  readonly #functions: ReadonlyMap<string, LambdaFunction>;
  readonly #onLog: (functionName: string, line: string) => void;
  readonly #idle = new Map<string, Sandbox[]>();
  readonly #all = new Map<Sandbox, string>();
  readonly #running = new Set<Promise<unknown>>();
  #closed = false;

  constructor({ functions, onLog = () => undefined }: LambdaHostOptions) {
    this.#functions = new Map(functions.map((definition) => [definition.name, definition]));
    this.#onLog = onLog;
  }

  get functionNames(): string[] {
    return [...this.#functions.keys()];
  }

  /**
   * Invokes a function. The event and the result are converted to JSON text and back.
   * @throws LambdaError with Lambda's errorType as its name and Lambda's response as its message, in JSON
   */
  async invoke(name: string, payload: unknown): Promise<unknown> {
    const definition = this.#functions.get(name);
    if (definition === undefined) {
      throw new Error(`The function "${name}" does not exist. Functions: ${this.functionNames.join(', ')}.`);
    }
    if (this.#closed) throw new Error(`The local Lambda is closed. It did not invoke ${name}.`);
    const startedAt = new Date();
    const sandbox = this.#take(definition);
    const result = sandbox.invoke(JSON.stringify(payload) ?? 'null', functionArn(name));
    this.#running.add(result);
    try {
      return await result;
    } finally {
      this.#running.delete(result);
      if (sandbox.alive) this.#idle.get(name)?.push(sandbox);
      const durationMs = Date.now() - startedAt.getTime();
      this.invocations.push({ function: name, startedAt: startedAt.toISOString(), durationMs });
    }
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

/*
 * Errors of the engine's own. The library matches Retry and Catch on `name` and obeys the two flags.
 */

/** A failure that no Retry and no Catch sees. */
abstract class Uncatchable extends Error {
  readonly isRetryable: boolean = false;
  readonly isCatchable: boolean = false;
}

/** The execution was aborted: nothing is to be tried again or caught. */
export class Aborted extends Uncatchable {
  override readonly name = 'ExecutionAbortedError';

  constructor() {
    super('The execution was aborted.');
  }
}

/** Why a task's signal is aborted when its TimeoutSeconds are over and the execution goes on. */
export class TimedOut extends Error {
  override readonly name = 'States.Timeout';
}

/** What Step Functions cannot go on from: a wrong parameter, a path that leads nowhere. */
export class StatesRuntime extends Uncatchable {
  override readonly name = 'States.Runtime';
}

/** Input or output over 256 KiB. States.ALL does not cover it: only a handler that names it gets to see it. */
export class DataLimitExceeded extends Error {
  override readonly name = 'States.DataLimitExceeded';
  readonly isRetryable: boolean;
  readonly isCatchable: boolean;

  constructor(state: string, what: 'input' | 'output', handled: { retry: boolean; catch: boolean }) {
    super(
      `The state/task '${state}' returned a result with a size exceeding the maximum number of bytes service limit ` +
        `(${what}, 262144 bytes).`,
    );
    this.isRetryable = handled.retry;
    this.isCatchable = handled.catch;
  }
}

/** A task that failed with a name of its own and a Cause. */
export class TaskError extends Error {
  override readonly name: string;

  constructor(name: string, cause: string, options?: ErrorOptions) {
    super(cause, options);
    this.name = name;
  }
}

export const PAYLOAD_LIMIT_BYTES = 262_144;

/** Does the value, as JSON text in UTF-8, take more than Step Functions carries? */
export function isTooLarge(value: unknown): boolean {
  const text = JSON.stringify(value);
  // No character takes more than three bytes of UTF-8 for one of UTF-16.
  return (
    text !== undefined &&
    text.length * 3 > PAYLOAD_LIMIT_BYTES &&
    Buffer.byteLength(text) > PAYLOAD_LIMIT_BYTES
  );
}

/*
 * Errors of the engine. `name` is what Step Functions calls Error, `message` is the Cause.
 */

/** The execution was aborted, or an iteration or a branch because another one failed. Retry and Catch do not apply. */
export class Aborted extends Error {
  override readonly name = 'ExecutionAbortedError';
  override readonly message = 'The execution was aborted.';
}

/** TimeoutSeconds of a Task state or of an execution are over. Aborts the signal of the call in flight. */
export class TimedOut extends Error {
  override readonly name = 'States.Timeout';
  override readonly message = 'States.Timeout';
}

/** Step Functions cannot continue: a wrong parameter, a path without a value. Retry and Catch do not apply. */
export class StatesRuntime extends Error {
  override readonly name = 'States.Runtime';
}

/** Input or output over 256 KiB. Only a Retry or a Catch that names it applies: States.ALL does not cover it. */
export class DataLimitExceeded extends Error {
  override readonly name = 'States.DataLimitExceeded';
}

/** A failure with a name of its own. */
export class TaskError extends Error {
  override readonly name: string;

  constructor(name: string, cause: string) {
    super(cause);
    this.name = name;
  }
}

export function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new StatesRuntime(String(thrown));
}

/** Whether the ErrorEquals of a Retry or a Catch covers an error. */
export function covers(errorEquals: readonly string[], error: Error): boolean {
  if (error instanceof StatesRuntime) return false;
  if (errorEquals.includes(error.name)) return true;
  if (error instanceof DataLimitExceeded) return false;
  return (
    errorEquals.includes('States.ALL') ||
    (errorEquals.includes('States.TaskFailed') && error.name !== 'States.Timeout')
  );
}

const PAYLOAD_LIMIT_BYTES = 262_144;

/** @throws DataLimitExceeded when the value, as JSON text in UTF-8, is larger than what Step Functions accepts */
export function refuseTooLarge(state: string, what: 'input' | 'output', value: unknown): void {
  if (Buffer.byteLength(JSON.stringify(value) ?? '') <= PAYLOAD_LIMIT_BYTES) return;
  throw new DataLimitExceeded(
    `The state/task '${state}' returned a result with a size exceeding the maximum number of bytes service limit ` +
      `(${what}, ${PAYLOAD_LIMIT_BYTES} bytes).`,
  );
}

/**
 * The longest Error and Cause of an execution, from the API reference of Step Functions (ExecutionFailedEventDetails). AWS
 * documents the limits and not what happens to a longer text, so the engine refuses it: no definition may depend on that.
 * Bytes, where the reference may mean characters: a text that fits in bytes fits in both.
 */
const ERROR_LIMIT_BYTES = 256;
const CAUSE_LIMIT_BYTES = 32_768;

/** @throws StatesRuntime when the Error or the Cause of a Fail state is longer than Step Functions stores */
export function refuseTooLong(error: string, cause: string): void {
  for (const [field, text, limit] of [
    ['Error', error, ERROR_LIMIT_BYTES],
    ['Cause', cause, CAUSE_LIMIT_BYTES],
  ] as const) {
    const bytes = Buffer.byteLength(text);
    if (bytes > limit) {
      throw new StatesRuntime(
        `The ${field} of a Fail state is longer than the limit of ${limit} bytes: ${bytes} bytes.`,
      );
    }
  }
}

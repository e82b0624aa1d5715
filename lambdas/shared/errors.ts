import { visible } from './visible-text.ts';

/*
 * The errors that the workflow's Retry and Catch fields name. Step Functions matches an error by its `name`, so each class has
 * a literal name, which a minifier cannot change.
 */

interface ErrorDetails {
  /** PostgreSQL's five-character code. Undefined: the error does not come from PostgreSQL. */
  readonly sqlstate?: string | undefined;
  readonly cause?: unknown;
}

/** An error of this product. Its message is one line: it can contain names of the database and messages of the server. */
export abstract class DeployStepError extends Error {
  abstract override readonly name: string;
  readonly sqlstate: string | undefined;

  constructor(message: string, details: ErrorDetails = {}) {
    super(visible(message), { cause: details.cause });
    this.sqlstate = details.sqlstate;
  }
}

/** A lock could not be acquired within its timeout. A retry can succeed. */
export class LockNotAvailable extends DeployStepError {
  override readonly name = 'LockNotAvailable';
}

/** The server resolved a deadlock by canceling this build. A retry can succeed. */
export class Deadlock extends DeployStepError {
  override readonly name = 'Deadlock';
}

/** The database could not be reached, was shutting down, had no connection slot left or was read-only. A retry can succeed. */
export class ConnectionLost extends DeployStepError {
  override readonly name = 'ConnectionLost';
}

/** The backend that built the index ended, and the index is not valid. A retry builds it again. */
export class BuildInterrupted extends DeployStepError {
  override readonly name = 'BuildInterrupted';
}

/** The build failed for a reason that a retry cannot fix: duplicate keys, a missing column, no privilege, a full disk. */
export class BuildFailed extends DeployStepError {
  override readonly name = 'BuildFailed';
}

/** Another session holds the migration lock. A retry can succeed. */
export class MigrationLocked extends DeployStepError {
  override readonly name = 'MigrationLocked';
}

/** An earlier invocation for this deploy, or another deploy, still applies migrations. A retry continues when it has ended. */
export class MigrationsRunning extends DeployStepError {
  override readonly name = 'MigrationsRunning';
}

/** The input of an execution or of a command is wrong. The message names the field and the valid values. */
export class BadInput extends DeployStepError {
  override readonly name = 'BadInput';
}

/** The preflight refuses the deploy, or a function a table that another role controls. The message says why and what to do. */
export class Refused extends DeployStepError {
  override readonly name = 'Refused';
}

/** An error whose message has several lines. No line can contain a further line end: a command prints it as it is. */
export class LinesError extends Error {
  override readonly name: string = 'LinesError';

  /** @param lines one text is one line */
  constructor(lines: string | readonly string[], options?: { cause?: unknown }) {
    super([lines].flat().map(visible).join('\n'), options);
  }
}

/** Names of the errors of a build that the definition retries. */
export const BUILD_RETRY_ERRORS = [
  'LockNotAvailable',
  'Deadlock',
  'ConnectionLost',
  'BuildInterrupted',
] as const;

/** The message of a thrown value. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') {
    return error.errors.map(messageOf).join('; ');
  }
  return error instanceof Error ? error.message : String(error);
}

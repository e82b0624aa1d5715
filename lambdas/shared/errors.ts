/**
 * The errors that the workflow's Retry and Catch fields name. Step Functions sees nothing of an error but its `name`,
 * so each class carries a literal one that minifying cannot change.
 */
export interface ErrorDetails {
  /** PostgreSQL's five-character code, where the server sent one. */
  readonly sqlstate?: string | undefined;
  readonly cause?: unknown;
}

export abstract class DeployStepError extends Error {
  abstract override readonly name: string;
  readonly sqlstate: string | undefined;

  constructor(message: string, details: ErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.sqlstate = details.sqlstate;
  }
}

/** A lock was not to be had within its timeout. Another attempt may get it. */
export class LockNotAvailable extends DeployStepError {
  override readonly name = 'LockNotAvailable';
}

/** The server broke a deadlock by ending this build. Another attempt may pass. */
export class Deadlock extends DeployStepError {
  override readonly name = 'Deadlock';
}

/** The database could not be reached, was shutting down or had no connection left. Another attempt may reach it. */
export class ConnectionLost extends DeployStepError {
  override readonly name = 'ConnectionLost';
}

/** The backend that was building is gone and the index is not valid. Another attempt starts over. */
export class BuildInterrupted extends DeployStepError {
  override readonly name = 'BuildInterrupted';
}

/** What another attempt cannot mend: duplicate keys, a missing column, no privilege, a full disk. */
export class BuildFailed extends DeployStepError {
  override readonly name = 'BuildFailed';
}

/** Another run holds the migration lock. Another attempt may get it. */
export class MigrationLocked extends DeployStepError {
  override readonly name = 'MigrationLocked';
}

/** The input of an execution or of the command line is wrong; the message names the field and the valid values. */
export class BadInput extends DeployStepError {
  override readonly name = 'BadInput';
}

/** Errors that another attempt may mend, by name: the retry contract between the functions and the definitions. */
export const BUILD_RETRY_ERRORS = [
  'LockNotAvailable',
  'Deadlock',
  'ConnectionLost',
  'BuildInterrupted',
] as const;

/** Turns whatever was thrown into a message for people. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') {
    return error.errors.map(messageOf).join('; ');
  }
  return error instanceof Error ? error.message : String(error);
}

import pg from 'pg';
import {
  BuildFailed,
  ConnectionLost,
  Deadlock,
  DeployStepError,
  LockNotAvailable,
  messageOf,
} from '../shared/errors.ts';
import { oneLine } from '../shared/visible-text.ts';

/*
 * Every SQLSTATE that this product handles, with PostgreSQL's condition names
 * (https://www.postgresql.org/docs/current/errcodes-appendix.html).
 */
export const LOCK_NOT_AVAILABLE = '55P03';
export const DEADLOCK_DETECTED = '40P01';
const ADMIN_SHUTDOWN = '57P01';
const CRASH_SHUTDOWN = '57P02';
export const CANNOT_CONNECT_NOW = '57P03';
const TOO_MANY_CONNECTIONS = '53300';
/** After a failover, a connection can reach a server that is not, or not yet, the primary. */
export const READ_ONLY_SQL_TRANSACTION = '25006';
export const INVALID_PASSWORD = '28P01';
export const DUPLICATE_TABLE = '42P07';
export const DUPLICATE_SCHEMA = '42P06';
export const UNIQUE_VIOLATION = '23505';
export const NOT_NULL_VIOLATION = '23502';
/** For example a second primary key. */
export const INVALID_TABLE_DEFINITION = '42P16';
export const UNDEFINED_TABLE = '42P01';
export const UNDEFINED_COLUMN = '42703';
const UNDEFINED_FUNCTION = '42883';
export const UNDEFINED_OBJECT = '42704';
export const INVALID_SCHEMA_NAME = '3F000';
/** A character of a statement does not exist in the encoding of the database. */
export const UNTRANSLATABLE_CHARACTER = '22P05';
/** COMMIT or ROLLBACK in code that runs inside a transaction. */
export const INVALID_TRANSACTION_TERMINATION = '2D000';
/** A statement that cannot run inside a transaction. */
export const ACTIVE_SQL_TRANSACTION = '25001';
export const INSUFFICIENT_PRIVILEGE = '42501';
export const FEATURE_NOT_SUPPORTED = '0A000';
export const WRONG_OBJECT_TYPE = '42809';
export const DEPENDENT_OBJECTS_STILL_EXIST = '2BP01';

/** The settings that end a whole session, by the SQLSTATE with which they do. */
const SESSION_TIMEOUTS = new Map([
  ['25P04', 'transaction_timeout'],
  ['25P03', 'idle_in_transaction_session_timeout'],
  ['57P05', 'idle_session_timeout'],
]);

/** Class 08: connection exceptions. */
const CONNECTION_EXCEPTION = /^08/;

const RECONNECTABLE = new Set([
  ADMIN_SHUTDOWN,
  CRASH_SHUTDOWN,
  CANNOT_CONNECT_NOW,
  TOO_MANY_CONNECTIONS,
  READ_ONLY_SQL_TRANSACTION,
]);

const SOCKET_ERRORS = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

/** Whether a statement names a column, function or object that does not exist. */
export function isUndefined(sqlstate: string | undefined): boolean {
  return sqlstate === UNDEFINED_COLUMN || sqlstate === UNDEFINED_FUNCTION || sqlstate === UNDEFINED_OBJECT;
}

/** The SQLSTATE of an error. Undefined: the error does not come from PostgreSQL. */
export function sqlstateOf(error: unknown): string | undefined {
  if (error instanceof pg.DatabaseError) return error.code;
  return error instanceof DeployStepError ? error.sqlstate : undefined;
}

/** Whether a table that a statement names, or its schema, does not exist. */
export function isMissingTable(error: unknown): boolean {
  const sqlstate = sqlstateOf(error);
  return sqlstate === UNDEFINED_TABLE || sqlstate === INVALID_SCHEMA_NAME;
}

/** Whether the connection failed, was lost, or leads to a server that accepts no writes, so that another attempt on a new connection can succeed. */
export function isConnectionError(error: unknown): boolean {
  const sqlstate = sqlstateOf(error);
  if (sqlstate !== undefined) return RECONNECTABLE.has(sqlstate) || CONNECTION_EXCEPTION.test(sqlstate);
  if (error instanceof AggregateError) return error.errors.some(isConnectionError);
  if (!(error instanceof Error)) return false;
  if ('code' in error && typeof error.code === 'string') {
    // While a server is stopped, its Unix socket does not exist.
    const isSocketMissing = error.code === 'ENOENT' && 'syscall' in error && error.syscall === 'connect';
    return isSocketMissing || SOCKET_ERRORS.has(error.code);
  }
  // node-postgres sets no code on these two (Client._handleErrorWhileConnecting, Client.query after the end).
  return (
    error.message.startsWith('Connection terminated') ||
    error.message.includes('Client has encountered a connection error')
  );
}

/** Whether the session has ended, so that its connection cannot be used any more. */
export function hasEndedSession(error: unknown): boolean {
  return isConnectionError(error) || SESSION_TIMEOUTS.has(sqlstateOf(error) ?? '');
}

/**
 * Converts an error of a statement to one that the Retry fields of the definition name.
 * @param subject what failed, the beginning of the message
 */
export function toDeployStepError(error: unknown, subject: string): DeployStepError {
  if (error instanceof DeployStepError) return error;
  const details = { sqlstate: sqlstateOf(error), cause: error };
  const message = `${subject}: ${describeDatabaseError(error)}`;
  if (isConnectionError(error)) return new ConnectionLost(message, details);
  if (details.sqlstate === LOCK_NOT_AVAILABLE) return new LockNotAvailable(message, details);
  if (details.sqlstate === DEADLOCK_DETECTED) return new Deadlock(message, details);
  return new BuildFailed(message, details);
}

/**
 * The server's message with its detail and hint, in one line. It does not contain the connection's password. The connection has
 * removed values of rows: see row-values.ts.
 */
export function describeDatabaseError(error: unknown): string {
  return oneLine(withDetailAndHint(error));
}

function withDetailAndHint(error: unknown): string {
  if (!(error instanceof pg.DatabaseError)) return messageOf(error);
  const parts = [error.message];
  if (error.detail) parts.push(`Detail: ${error.detail}`);
  if (error.hint) parts.push(`Hint: ${error.hint}`);
  const setting = SESSION_TIMEOUTS.get(error.code ?? '');
  if (setting !== undefined) {
    parts.push(
      `The setting ${setting} ended the session. Every session of a deploy starts with ${setting} = 0, so a statement of ` +
        'the deploy, such as a migration, has set it again: remove that statement.',
    );
  }
  return error.code === undefined ? parts.join(' ') : `${parts.join(' ')} (SQLSTATE ${error.code})`;
}

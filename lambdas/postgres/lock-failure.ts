import { LockNotAvailable } from '../shared/errors.ts';
import { blockersOfBackend, blockersOfTable, describeBlockers } from './blockers.ts';
import type { BuildTarget } from './build-target.ts';
import { backendOf, type Client } from './client.ts';
import { StillDropping } from './index-ddl.ts';
import type { WantedLock } from './prepared-transactions.ts';
import { LOCK_NOT_AVAILABLE, sqlstateOf } from './sqlstate.ts';

/** A statement of a session that failed. */
interface FailedStatement {
  /** The session. While it drops an index, it cannot run another statement. */
  session: Client;
  error: unknown;
  /** The locks for which the statement can have waited. */
  locks: readonly WantedLock[];
}

/** The locks for which the statements of an attempt wait, except for the build itself. */
export function locksOf(target: BuildTarget): WantedLock[] {
  const table: WantedLock = { table: target, mode: 'ShareUpdateExclusiveLock' };
  // REPLICA IDENTITY and ADD CONSTRAINT need this lock.
  if (target.finish.kind === 'swap' || target.finish.kind === 'constraint')
    return [table, { table: target, mode: 'AccessExclusiveLock' }];
  if (target.finish.kind !== 'attach') return [table];
  // A reader of the partition holds a lock on its indexes, too.
  const index = { schema: target.schema, table: target.name };
  return [table, { table: index, mode: 'AccessExclusiveLock' }];
}

/**
 * Describes what blocks a statement that did not acquire a lock in time, or a drop that continues.
 * @param client a session that is not busy
 * @returns text for a message. Empty: no blocker is known, or the error has another cause
 */
export async function describeBlockersOfFailure(
  client: Client,
  { session, error, locks }: FailedStatement,
): Promise<string> {
  if (error instanceof StillDropping) {
    const pid = backendOf(session);
    return pid === null ? '' : describeBlockers(await blockersOfBackend(client, pid));
  }
  // Every other LockNotAvailable of this product states its reason.
  if (sqlstateOf(error) !== LOCK_NOT_AVAILABLE || error instanceof LockNotAvailable) return '';
  for (const { table, mode } of locks) {
    const blockers = await blockersOfTable(client, table, mode);
    if (blockers.length > 0) return describeBlockers(blockers);
  }
  return '';
}

/** The error of a failed statement with its blockers. @param blockedBy from `describeBlockersOfFailure`, not empty */
export function blockedFailure(failure: Error, blockedBy: string): LockNotAvailable {
  return new LockNotAvailable(`${failure.message} Blocked by ${blockedBy}.`, {
    sqlstate: LOCK_NOT_AVAILABLE,
    cause: failure,
  });
}

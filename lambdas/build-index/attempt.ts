import { setTimeout as sleep } from 'node:timers/promises';
import { indexLock, tableLock, unlock } from '../postgres/advisory-lock.ts';
import {
  blockersOfTable,
  describeBlockers,
  lockTimeoutMessage,
  terminateIdle,
} from '../postgres/blockers.ts';
import { type Build, type BuildTarget, isBuilt } from '../postgres/build-target.ts';
import { type CatalogEntry, readCatalogEntry } from '../postgres/catalog.ts';
import { type Client, type Database, withClient } from '../postgres/client.ts';
import { finishBuild } from '../postgres/finish-build.ts';
import { buildStatement, removeInvalidIndex, StillDropping } from '../postgres/index-ddl.ts';
import {
  type Attempt,
  countUnexplainedFailures,
  lastAttempt,
  recordAttempt,
  startAttempt,
} from '../postgres/ledger.ts';
import { blockedFailure, describeBlockersOfFailure, locksOf } from '../postgres/lock-failure.ts';
import { stillBuilding } from '../postgres/running-builds.ts';
import { schemasBeforePath, withConfiguredSearchPath } from '../postgres/search-path.ts';
import {
  DEADLOCK_DETECTED,
  DUPLICATE_TABLE,
  describeDatabaseError,
  hasEndedSession,
  LOCK_NOT_AVAILABLE,
  sqlstateOf,
  toDeployStepError,
} from '../postgres/sqlstate.ts';
import { probeTableLock } from '../postgres/table-lock.ts';
import { refuseUntrustedCode } from '../postgres/untrusted-code.ts';
import type { BuildIndexResult } from '../shared/build-payloads.ts';
import { BuildFailed, BuildInterrupted, LockNotAvailable } from '../shared/errors.ts';
import { tableId } from '../shared/registry.ts';

export interface BuildSettings {
  /** How long to try to acquire the table's lock, in seconds. */
  lockTimeoutSeconds: number;
  /** How long to wait for the statement before the client disconnects from it, in seconds. */
  waitSeconds: number;
  /** The same after an attempt that failed with an unknown error, in seconds. */
  longWaitSeconds: number;
  /** Attempts for each index in one deploy. */
  attempts: number;
  /** Blockers that have been idle in their transaction for longer are terminated. Undefined: none is. */
  terminateIdleInTransactionSeconds: number | undefined;
  /** How long no query must have scanned a retired index before it is dropped, in days. */
  retiredAfterDays: number;
}

/** One attempt: the build with its row in the ledger. */
interface BuildAttempt extends Build {
  attempt: number;
  repairs: boolean;
  settings: BuildSettings;
  database: Database;
}

/** Failures with an unknown error after which the index fails. */
const MAX_UNEXPLAINED_FAILURES = 3;

/**
 * Makes one attempt: from its row in the ledger until the index is valid or the client disconnects from the build. The
 * caller holds the advisory locks of the index and the table.
 */
export async function attemptBuild(
  build: Build,
  { settings, database }: { settings: BuildSettings; database: Database },
): Promise<BuildIndexResult> {
  const { client, target, log } = build;
  const before = await lastAttempt(build);
  const unexplained = await countUnexplainedFailures(build);
  failWhenUsedUp(target, { before, unexplained, attempts: settings.attempts });
  const leftover = await readCatalogEntry(client, target);
  const repairs =
    leftover !== undefined ||
    before?.repairs === true ||
    (target.finish.kind === 'swap' && target.finish.repairs);
  const attempt = { ...build, attempt: await startAttempt(build, repairs), repairs, settings, database };
  const fields = { index: target.item, table: tableId(target), attempt: attempt.attempt };
  log.info('Attempt starts.', { ...fields, of: settings.attempts });
  const started = Date.now();
  try {
    failWhenNameTaken(target, leftover);
    await removeInvalidIndex(client, target);
    await acquireTableLock(attempt);
    // A session that waits for one of them has a snapshot, for which the build would wait again. The claims remain.
    if (before?.sqlstate === DEADLOCK_DETECTED)
      for (const key of [indexLock(target), tableLock(target)]) await unlock(client, key);
    await refuseUntrustedCode(client, target);
    const { promise: sent, resolve: markAsSent } = Promise.withResolvers<void>();
    const send = () => {
      const built = client.query(buildStatement(target));
      markAsSent();
      return built;
    };
    const statement = withConfiguredSearchPath(client, send, schemasBeforePath(target.entry));
    // If this function does not wait for the statement, its promise rejects when the connection closes.
    statement.catch(() => {});
    const ended = statement.then(() => true);
    // A client that disconnects before would build nothing, and leave an attempt without a result.
    await Promise.race([sent, ended]);
    const waitSeconds = unexplained > 0 ? settings.longWaitSeconds : settings.waitSeconds;
    if (!(await Promise.race([ended, sleep(waitSeconds * 1000, false, { ref: false })]))) {
      log.info('The build continues without its client.', fields);
      return stillBuilding((Date.now() - started) / 1000);
    }
    const found = await readCatalogEntry(client, target);
    // IF NOT EXISTS skips the statement if another relation has taken the name since the last check.
    failWhenNameTaken(target, found);
    if (!isBuilt(target, found))
      throw new BuildInterrupted(`Index ${target.item}: the statement ended, but the index is not valid.`);
    return await finishBuild(build, found, attempt);
  } catch (error) {
    return await handleError(attempt, error);
  }
}

/** @throws BuildFailed when the deploy must not make another attempt */
function failWhenUsedUp(
  target: BuildTarget,
  counts: { before: Attempt | undefined; unexplained: number; attempts: number },
): void {
  const { before, unexplained, attempts } = counts;
  if (before === undefined) return;
  const sqlstate = before.sqlstate ?? undefined;
  if (before.attempt >= attempts) {
    throw new BuildFailed(
      `${before.message ?? `Index ${target.item} could not be built.`} (${before.attempt} attempts)`,
      { sqlstate },
    );
  }
  if (unexplained >= MAX_UNEXPLAINED_FAILURES) {
    throw new BuildFailed(
      `Index ${target.item}: the build failed ${unexplained} times after its client had disconnected. PostgreSQL's log ` +
        'contains the error',
      { sqlstate },
    );
  }
}

/**
 * PostgreSQL itself would skip the statement: IF NOT EXISTS compares only names.
 * @throws BuildFailed (duplicate_table) when another table's index or another relation has the target's name
 */
function failWhenNameTaken(target: BuildTarget, found: CatalogEntry | undefined): void {
  if (found === undefined || (found.kind === 'index' && found.table === target.table)) return;
  const owner =
    found.kind === 'index' ? `an index of table ${found.table}` : 'a relation that is not an index';
  throw new BuildFailed(
    `Index ${target.item}: the name ${target.name} is already used by ${owner}. Rename that relation, or choose another ` +
      `name in the registry for the index on ${tableId(target)}`,
    { sqlstate: DUPLICATE_TABLE },
  );
}

/**
 * Acquires and releases the table's lock before the build: see probeTableLock.
 * @throws LockNotAvailable that names the blockers
 */
async function acquireTableLock(attempt: BuildAttempt): Promise<void> {
  const { client, target, log } = attempt;
  const { lockTimeoutSeconds, terminateIdleInTransactionSeconds } = attempt.settings;
  try {
    await probeTableLock(client, target, lockTimeoutSeconds);
  } catch (error) {
    if (sqlstateOf(error) !== LOCK_NOT_AVAILABLE) throw error;
    const blockers = await blockersOfTable(client, target);
    const blockedBy = describeBlockers(blockers);
    const terminated = await terminateIdle(client, blockers, terminateIdleInTransactionSeconds, log);
    await recordAttempt(attempt, attempt.attempt, {
      status: 'building',
      blockedBy,
      terminated: terminated || undefined,
    });
    throw new LockNotAvailable(
      lockTimeoutMessage(tableId(target), lockTimeoutSeconds, blockedBy) +
        (terminated === '' ? '' : ` Terminated: ${terminated}.`),
      { sqlstate: LOCK_NOT_AVAILABLE, cause: error },
    );
  }
}

/**
 * Checks the catalog after an error: the index can be valid in spite of it.
 * @throws the error, recorded in the ledger, when the index is not valid
 */
async function handleError(attempt: BuildAttempt, error: unknown): Promise<BuildIndexResult> {
  const { client, target, log } = attempt;
  let failure = toDeployStepError(error, `Index ${target.item}`);
  log.warn(failure.message, { index: target.item, attempt: attempt.attempt, error: failure.name });
  const finishOrFail = async (connection: Client) => {
    const build = { ...attempt, client: connection };
    const found = await readCatalogEntry(connection, target);
    if (isBuilt(target, found) && target.finish.kind === 'nothing') {
      return await finishBuild(build, found, attempt);
    }
    const locks = locksOf(target);
    const blockedBy = await describeBlockersOfFailure(connection, { session: client, error, locks });
    if (blockedBy !== '') {
      log.warn('The attempt was blocked.', { index: target.item, attempt: attempt.attempt, blockedBy });
      failure = blockedFailure(failure, blockedBy);
    }
    await recordAttempt(build, attempt.attempt, {
      status: 'retrying',
      sqlstate: sqlstateOf(failure),
      message: failure.message,
      blockedBy: blockedBy || undefined,
    });
    throw failure;
  };
  try {
    // Open a second connection only if this one is lost or busy: the role's connection limit may be 1.
    const isUsable = !hasEndedSession(error) && !(error instanceof StillDropping);
    return isUsable
      ? await finishOrFail(client)
      : await withClient(attempt.database, `check ${target.item}`, finishOrFail);
  } catch (later) {
    // The database is still unreachable: the first error is the more useful one.
    if (later !== failure)
      log.warn('Could not record the failed attempt.', { reason: describeDatabaseError(later) });
    throw failure;
  }
}

import { type Client, type Database, withClient } from '../postgres/client.ts';
import { appliedMigrations } from '../postgres/migration-history.ts';
import { recordedMigrations } from '../postgres/migration-record.ts';
import {
  DEADLOCK_DETECTED,
  isConnectionError,
  LOCK_NOT_AVAILABLE,
  READ_ONLY_SQL_TRANSACTION,
  sqlstateOf,
} from '../postgres/sqlstate.ts';
import {
  readTransactionEnd,
  type TransactionEnd,
  waitForTransactionEnd,
} from '../postgres/transaction-end.ts';
import { ConnectionLost, Deadlock, DeployStepError, LockNotAvailable } from '../shared/errors.ts';
import type { Log } from '../shared/logger.ts';
import { describeMigrationFailure, type MigrationFailure } from '../shared/migration-runner.ts';
import type { RunMigrationsResult } from '../shared/payloads.ts';
import { type Progress, TransactionEnded } from './apply-files.ts';
import { describeStatement } from './describe-statement.ts';
import { explainError } from './explain-error.ts';
import type { BlockerWatch } from './watch-blockers.ts';

/** A run of node-pg-migrate that has ended. */
interface EndedRun {
  readonly database: Database;
  /** The session of the run; its connection may be lost. */
  readonly client: Client;
  readonly deploy: string;
  /** Names of the migrations that were pending before it. */
  readonly pending: readonly string[];
  readonly progress: Progress;
  readonly blockers: BlockerWatch;
  /** The first error. Null: it succeeded, according to node-pg-migrate. */
  readonly error: unknown;
  readonly attempt: number;
  readonly attempts: number;
  readonly log: Log;
}

/**
 * Longest wait for the end of a transaction whose connection was lost, in seconds: the server notices the loss after
 * two seconds, and a restart takes longer.
 */
const LOST_CONNECTION_WAIT_SECONDS = 20;

/**
 * The result of a run, from how the server ended its transaction and from the table of applied migrations. What
 * node-pg-migrate returned can be wrong: a statement can end the transaction, and a connection can be lost after the server
 * received the COMMIT.
 * @throws LockNotAvailable, Deadlock, ConnectionLost when another attempt may succeed
 */
export async function resultOfRun(run: EndedRun): Promise<RunMigrationsResult> {
  return resultFrom(run, await readFacts(run));
}

/** What the database shows after a run. */
interface Facts {
  readonly end: TransactionEnd;
  /** Names of all applied migrations. */
  readonly history: readonly string[];
  /** Names of the migrations that this deploy applied, in this attempt or an earlier one. */
  readonly recorded: readonly string[];
}

/** @throws the error of the run, when its connection was lost and its transaction is not known to be committed */
async function readFacts(run: EndedRun): Promise<Facts> {
  const id = run.progress.transaction;
  try {
    return await factsFrom(
      run.client,
      run,
      id === null ? 'aborted' : await readTransactionEnd(run.client, id),
    );
  } catch (lost) {
    // A DeployStepError is the result, and not an error of reading it.
    if (lost instanceof DeployStepError || !isConnectionError(lost)) throw lost;
  }
  const end =
    id === null ? 'aborted' : await waitForTransactionEnd(run.database, id, LOST_CONNECTION_WAIT_SECONDS);
  // The next attempt finds out what is applied.
  if (isConnectionError(run.error) && end !== 'committed') throw run.error;
  return await withClient(run.database, 'migrate check', async (again) => await factsFrom(again, run, end));
}

/** @param client a session that is connected */
async function factsFrom(client: Client, { deploy }: EndedRun, end: TransactionEnd): Promise<Facts> {
  return {
    end,
    history: await appliedMigrations(client),
    recorded: await recordedMigrations(client, deploy),
  };
}

function resultFrom(run: EndedRun, { end, history, recorded }: Facts): RunMigrationsResult {
  const { progress, error, log } = run;
  const pending = run.pending.filter((name) => !history.includes(name));
  const applied = history.filter((name) => run.pending.includes(name) || recorded.includes(name));
  const isWhole = progress.done === run.pending.length && pending.length === 0;
  if (isWhole && (error === null || (end === 'committed' && isConnectionError(error)))) {
    return { status: 'applied', applied, pending, failure: null };
  }
  const changes = changesOf(run, end, pending);
  const Retried = changes === 'none' ? RETRIED.get(sqlstateOf(error) ?? '') : undefined;
  if (changes === 'none' && Retried === undefined && isConnectionError(error)) throw error;
  const failure = failureOf(run, changes);
  const { file, line, message: reason } = failure;
  if (Retried !== undefined && run.attempt < run.attempts) {
    log.warn('The migrations were rolled back. The whole transaction is retried.', { file, line, reason });
    const details = { sqlstate: failure.sqlstate ?? undefined, cause: error };
    throw new Retried(describeMigrationFailure(failure), details);
  }
  log.error('The migrations failed.', { file, line, changes, reason });
  return { status: 'failed', applied, pending, failure };
}

/** What the run left in the database. @param pending the migrations that are not recorded as applied now */
function changesOf(
  { progress, error, pending: before }: EndedRun,
  end: TransactionEnd,
  pending: readonly string[],
): MigrationFailure['changes'] {
  if (end === 'committed' || pending.length < before.length) return 'some';
  // The rest of a text of several statements ran after the end of the transaction, in another one.
  const ranOutside = error instanceof TransactionEnded && progress.statement?.whole === true;
  return ranOutside || end === 'unknown' ? 'unknown' : 'none';
}

/** The errors after which the whole transaction is retried, by SQLSTATE. */
const RETRIED = new Map<string, typeof LockNotAvailable | typeof Deadlock | typeof ConnectionLost>([
  [LOCK_NOT_AVAILABLE, LockNotAvailable],
  [DEADLOCK_DETECTED, Deadlock],
  [READ_ONLY_SQL_TRANSACTION, ConnectionLost],
]);

function failureOf(run: EndedRun, changes: MigrationFailure['changes']): MigrationFailure {
  const { progress, error, blockers, attempt, attempts } = run;
  const sqlstate = sqlstateOf(error) ?? null;
  const blockedBy = sqlstate === LOCK_NOT_AVAILABLE ? blockers.blockedBy() : null;
  const sentences = [
    error === null ? ROLLED_BACK : explainError(error),
    sqlstate === LOCK_NOT_AVAILABLE ? describeBlocking(blockedBy, blockers.failure()) : '',
    RETRIED.has(sqlstate ?? '') ? `This was attempt ${attempt} of ${attempts}.` : '',
    changes === 'some' && progress.file !== null ? partOf(progress.file) : '',
  ];
  const atCommit = progress.transaction !== null && progress.file === null;
  return {
    file: progress.file,
    ...(atCommit ? { line: null, statement: 'COMMIT' } : describeStatement(progress.statement, error)),
    sqlstate,
    message: sentences.filter((sentence) => sentence !== '').join('. '),
    blockedBy,
    changes,
  };
}

function partOf(file: string): string {
  return `${file} is not recorded as applied, but its statements before this one are committed: undo them by hand before the next deploy`;
}

const ROLLED_BACK =
  'the server rolled the transaction back, although no statement reported an error. Read the log of the server';

function describeBlocking(blockedBy: string | null, watchFailure: string | null): string {
  if (blockedBy !== null) return `Blocked by ${blockedBy}`;
  return watchFailure === null
    ? 'The blocking sessions are unknown, because none was seen while the statement waited'
    : `The blocking sessions are unknown, because the second connection, which reads them, failed: ${watchFailure}`;
}

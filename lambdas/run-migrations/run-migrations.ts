import { acquire, MIGRATION_LOCK } from '../postgres/advisory-lock.ts';
import { applicationName, backendOf, type Client, type Database, withClient } from '../postgres/client.ts';
import { describeHolder } from '../postgres/lock-holders.ts';
import { areMigrationsEnded } from '../postgres/migration-ends.ts';
import {
  appliedMigrations,
  historyProblem,
  migrationFiles,
  pendingOf,
} from '../postgres/migration-history.ts';
import { ensureMigrationRecord } from '../postgres/migration-record.ts';
import { prepareMigrationSession, restoreSession, sessionSettings } from '../postgres/session-settings.ts';
import { toDeployStepError } from '../postgres/sqlstate.ts';
import { MigrationLocked, MigrationsRunning } from '../shared/errors.ts';
import type { Log } from '../shared/logger.ts';
import { migrationFailureSchema } from '../shared/migration-runner.ts';
import type { ShippedStatements } from '../shared/migration-statements.ts';
import { leadingOnline } from '../shared/online-migrations.ts';
import type { RequestedMigrations, RunMigrationsResult } from '../shared/payloads.ts';
import { listed } from '../shared/text.ts';
import { applyFiles, type Progress } from './apply-files.ts';
import { applyOneByOne } from './apply-one-by-one.ts';
import { resultOfRun } from './result-of-run.ts';
import { shippedFileProblem } from './shipped-files.ts';
import { watchBlockers } from './watch-blockers.ts';

/** In the name of the session: another run of this function has the same. */
const PURPOSE = 'migrate';

interface RunMigrationsIo {
  database: Database;
  /** Name of the deploy. */
  deploy: string;
  /** `online`: only the files that are applied while the services run, each in a transaction of its own. @default all */
  scope?: 'all' | 'online';
  /** When Step Functions began the state that calls the function, and for which environment. */
  requested: RequestedMigrations;
  /** Folder with the SQL files. */
  directory: string;
  /** The statements of each file, in order. */
  statements: ShippedStatements;
  /** Longest wait for one lock, in seconds. */
  lockTimeoutSeconds: number;
  /** Number of this attempt, from 1. */
  attempt: number;
  /** Attempts that the workflow makes. */
  attempts: number;
  log: Log;
}

/**
 * Applies all pending migrations in one transaction, or those that are marked as online one by one. If a statement fails, the answer says why, and what is applied.
 * A lock that was not acquired and a deadlock are thrown, so that the whole transaction is retried. In the last attempt they
 * are answered like any other failure.
 * @throws MigrationsRunning, MigrationLocked, LockNotAvailable, Deadlock when another attempt may succeed; nothing was changed
 * @throws ConnectionLost when another attempt may succeed; it finds out whether this one was committed
 */
export async function runMigrations(io: RunMigrationsIo): Promise<RunMigrationsResult> {
  return await withClient(io.database, PURPOSE, async (client) => {
    try {
      await prepareMigrationSession(client, io.lockTimeoutSeconds);
      const isLocked = await acquireMigrationLock(client, io.log);
      const files = await migrationFiles(io.directory);
      const applied = await appliedMigrations(client);
      const pending = pendingOf(applied, files);
      const problem = (await endedProblem(client, io)) ?? historyProblem(applied, files);
      const failure =
        problem === null
          ? shippedFileProblem(pending, io.statements)
          : migrationFailureSchema.parse({ file: null, sqlstate: null, message: problem });
      if (failure !== null) return { status: 'failed', applied: [], pending, failure };
      if (io.scope === 'online') return await applyOnline(client, pending, { ...io, isLocked });
      return await migrate(client, pending, { ...io, isLocked });
    } catch (error) {
      throw toDeployStepError(error, 'The migrations');
    }
  });
}

/** Why no migration may begin any more. The caller has acquired the lock, so a check of it waits. Null: they may begin. */
async function endedProblem(client: Client, { requested, log }: RunMigrationsIo): Promise<string | null> {
  if (!(await areMigrationsEnded(client, requested))) return null;
  const problem =
    'Nothing was applied, because the services were started meanwhile: the execution that called this function had ended ' +
    'before Lambda started the function. Start the deploy again.';
  log.warn(problem, { requestedAt: requested.at });
  return problem;
}

/**
 * @returns false when a session that is not trusted holds the lock: then only the lock on the table of applied migrations keeps
 *   others out
 * @throws MigrationsRunning when another run of this function applies migrations
 * @throws MigrationLocked when another session of a trusted role applies migrations
 */
async function acquireMigrationLock(client: Client, log: Log): Promise<boolean> {
  const acquired = await acquire(client, [MIGRATION_LOCK]);
  if (acquired.kind === 'busy') {
    const by = acquired.holder === null ? '' : `: ${describeHolder(acquired.holder)}`;
    // Lambda may run a function twice for one call. The other run ends within the time limit of a function.
    if (acquired.holder?.application === applicationName(PURPOSE))
      throw new MigrationsRunning(`Another run of this function is still applying migrations${by}.`);
    throw new MigrationLocked(`Another session is applying migrations to this database${by}.`);
  }
  if (acquired.despite.length === 0) return true;
  const by = listed(acquired.despite.map(describeHolder));
  log.warn('The lock of the migrations is held by what is not trusted, so it is ignored.', { by });
  return false;
}

/** Applies the files that the services can run beside. Each ends its transaction, so its locks last no longer than it. */
async function applyOnline(
  client: Client,
  pending: string[],
  io: RunMigrationsIo & { isLocked: boolean },
): Promise<RunMigrationsResult> {
  const online = await leadingOnline(io.directory, pending);
  const result = await applyOneByOne(online, io.attempt, (name, attempt) =>
    migrate(client, [name], { ...io, attempt }),
  );
  return { ...result, pending: pending.filter((name) => !result.applied.includes(name)) };
}

async function migrate(
  client: Client,
  pending: string[],
  io: RunMigrationsIo & { isLocked: boolean },
): Promise<RunMigrationsResult> {
  const recordedAs = pending.length > 0 && (await ensureMigrationRecord(client)) ? io.deploy : null;
  if (pending.length > 0 && recordedAs === null)
    io.log.warn('The role may not record in deploy_step what this deploy applies.');
  const { directory, statements, isLocked, log } = io;
  const settings = await sessionSettings(client);
  const blockers = watchBlockers(io.database, backendOf(client), io.lockTimeoutSeconds);
  const progress: Progress = { transaction: null, file: null, statement: null, done: 0, error: null };
  let error: unknown = null;
  try {
    await applyFiles(
      { client, recordedAs, pending, settings, directory, statements, isLocked, blockers, log },
      progress,
    );
  } catch (thrown) {
    error = progress.error ?? thrown;
  } finally {
    await blockers.stop();
    // A file that ended the transaction can have left its settings and its role to the session.
    await client.query('rollback').then(
      () => restoreSession(client, settings),
      () => {},
    );
  }
  return await resultOfRun({ ...io, client, pending, progress, blockers, error });
}

import { MIGRATION_LOCK, tryLock } from '../postgres/advisory-lock.ts';
import { backendOf, type Client, type Database, withClient } from '../postgres/client.ts';
import {
  appliedMigrations,
  historyProblem,
  migrationFiles,
  pendingOf,
} from '../postgres/migration-history.ts';
import { ensureMigrationRecord } from '../postgres/migration-record.ts';
import { prepareMigrationSession, sessionSettings } from '../postgres/session-settings.ts';
import { toDeployStepError } from '../postgres/sqlstate.ts';
import { MigrationLocked } from '../shared/errors.ts';
import type { Log } from '../shared/logger.ts';
import { migrationFailureSchema } from '../shared/migration-runner.ts';
import type { ShippedStatements } from '../shared/migration-statements.ts';
import type { RunMigrationsResult } from '../shared/payloads.ts';
import { applyFiles, type Progress } from './apply-files.ts';
import { resultOfRun } from './result-of-run.ts';
import { shippedFileProblem } from './shipped-files.ts';
import { watchBlockers } from './watch-blockers.ts';

interface RunMigrationsIo {
  database: Database;
  /** Name of the deploy. */
  deploy: string;
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
 * Applies all pending migrations in one transaction. If a statement fails, the answer says why, and what is applied.
 * A lock that was not acquired and a deadlock are thrown, so that the whole transaction is retried. In the last attempt they
 * are answered like any other failure.
 * @throws MigrationLocked, LockNotAvailable, Deadlock when another attempt may succeed; nothing was changed
 * @throws ConnectionLost when another attempt may succeed; it finds out whether this one was committed
 */
export async function runMigrations(io: RunMigrationsIo): Promise<RunMigrationsResult> {
  return await withClient(io.database, 'migrate', async (client) => {
    try {
      await prepareMigrationSession(client, io.lockTimeoutSeconds);
      if (!(await tryLock(client, MIGRATION_LOCK)))
        throw new MigrationLocked('Another session is applying migrations to this database.');
      const files = await migrationFiles(io.directory);
      const applied = await appliedMigrations(client);
      const pending = pendingOf(applied, files);
      const problem = historyProblem(applied, files);
      const failure =
        problem === null
          ? shippedFileProblem(pending, io.statements)
          : migrationFailureSchema.parse({ file: null, sqlstate: null, message: problem });
      if (failure !== null) return { status: 'failed', applied: [], pending, failure };
      return await migrate(client, pending, io);
    } catch (error) {
      throw toDeployStepError(error, 'The migrations');
    }
  });
}

async function migrate(client: Client, pending: string[], io: RunMigrationsIo): Promise<RunMigrationsResult> {
  const recordedAs = pending.length > 0 && (await ensureMigrationRecord(client)) ? io.deploy : null;
  if (pending.length > 0 && recordedAs === null)
    io.log.warn('The role may not record in deploy_step what this deploy applies.');
  const { directory, statements, log } = io;
  const settings = await sessionSettings(client);
  const blockers = watchBlockers(io.database, backendOf(client), io.lockTimeoutSeconds);
  const progress: Progress = { transaction: null, file: null, statement: null, done: 0, error: null };
  let error: unknown = null;
  try {
    await applyFiles(
      { client, recordedAs, pending, settings, directory, statements, blockers, log },
      progress,
    );
  } catch (thrown) {
    error = progress.error ?? thrown;
  } finally {
    await blockers.stop();
  }
  return await resultOfRun({ ...io, client, pending, progress, blockers, error });
}

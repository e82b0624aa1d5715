import { basename } from 'node:path';
import { type MigrationBuilder, runner } from 'node-pg-migrate';
import { MIGRATION_LOCK, tryLock } from '../postgres/advisory-lock.ts';
import { backendOf, type Client, type Database, withClient } from '../postgres/client.ts';
import {
  appliedMigrations,
  historyProblem,
  MIGRATIONS_TABLE,
  migrationFiles,
  pendingOf,
  useTimeZone,
  useTimeZoneOfRole,
} from '../postgres/migration-history.ts';
import { prepareMigrationSession } from '../postgres/session-settings.ts';
import {
  DEADLOCK_DETECTED,
  describeDatabaseError,
  isConnectionError,
  LOCK_NOT_AVAILABLE,
  READ_ONLY_SQL_TRANSACTION,
  sqlstateOf,
  toDeployStepError,
} from '../postgres/sqlstate.ts';
import { ConnectionLost, Deadlock, LockNotAvailable, MigrationLocked } from '../shared/errors.ts';
import type { Log } from '../shared/logger.ts';
import { describeMigrationFailure, type MigrationFailure } from '../shared/migration-runner.ts';
import type { ShippedStatement, ShippedStatements } from '../shared/migration-statements.ts';
import type { RunMigrationsResult } from '../shared/payloads.ts';
import { describeStatement } from './describe-statement.ts';
import { type BlockerWatch, watchBlockers } from './watch-blockers.ts';

interface RunMigrationsIo {
  database: Database;
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
 * Applies all pending migrations in one transaction. If a statement fails, no migration is applied and the answer says why.
 * A lock that was not acquired and a deadlock are thrown, so that the whole transaction is retried. In the last attempt they
 * are answered like any other failure.
 * @throws MigrationLocked, LockNotAvailable, Deadlock, ConnectionLost when another attempt may succeed; nothing was changed
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
      if (problem !== null) {
        return failed(pending, {
          ...{ file: null, line: null, statement: null, sqlstate: null, blockedBy: null },
          message: problem,
        });
      }
      return await migrate(client, pending, io);
    } catch (error) {
      throw toDeployStepError(error, 'The migrations');
    }
  });
}

async function migrate(client: Client, pending: string[], io: RunMigrationsIo): Promise<RunMigrationsResult> {
  const blockers = watchBlockers(io.database, backendOf(client), io.lockTimeoutSeconds);
  const progress: Progress = { file: null, statement: null, error: null, blockers };
  try {
    const applied = await runner({
      dbClient: client,
      dir: io.directory,
      direction: 'up',
      migrationsTable: MIGRATIONS_TABLE,
      singleTransaction: true,
      checkOrder: true,
      migrationLoaderStrategies: [{ extensions: ['.sql'], loader: statementLoader(client, io, progress) }],
      logger: {
        info: () => {},
        warn: (message: string) => io.log.warn(message),
        // An error would log the whole statement; the rejected promise has the error too.
        error: () => {},
      },
    });
    const names = applied.map((migration) => migration.name);
    return {
      status: 'applied',
      applied: names,
      pending: pending.filter((name) => !names.includes(name)),
      failure: null,
    };
  } catch (thrown) {
    // If a statement ended the session, the runner throws the error of its ROLLBACK instead.
    const error = progress.error ?? thrown;
    // The transaction is rolled back, by the runner or because the connection is closed.
    const Retried = RETRIED.get(sqlstateOf(error) ?? '');
    if (Retried === undefined && isConnectionError(error)) throw error;
    const failure = failureOf(error, progress, io);
    if (Retried !== undefined && io.attempt < io.attempts) {
      io.log.warn('The migrations were rolled back. The whole transaction is retried.', {
        ...{ file: failure.file, line: failure.line, reason: failure.message },
      });
      const details = { sqlstate: failure.sqlstate ?? undefined, cause: error };
      throw new Retried(describeMigrationFailure(failure), details);
    }
    io.log.error('A migration failed, and no migration was applied.', {
      ...{ file: failure.file, line: failure.line, reason: failure.message },
    });
    return failed(pending, failure);
  } finally {
    await blockers.stop();
  }
}

/** The errors after which the whole transaction is retried, by SQLSTATE. */
const RETRIED = new Map<string, typeof LockNotAvailable | typeof Deadlock | typeof ConnectionLost>([
  [LOCK_NOT_AVAILABLE, LockNotAvailable],
  [DEADLOCK_DETECTED, Deadlock],
  [READ_ONLY_SQL_TRANSACTION, ConnectionLost],
]);

function failureOf(error: unknown, progress: Progress, io: RunMigrationsIo): MigrationFailure {
  const sqlstate = sqlstateOf(error) ?? null;
  const blockedBy = sqlstate === LOCK_NOT_AVAILABLE ? progress.blockers.blockedBy() : null;
  const sentences = [
    describeDatabaseError(error),
    sqlstate === LOCK_NOT_AVAILABLE ? describeBlocking(blockedBy, progress.blockers.failure()) : '',
    RETRIED.has(sqlstate ?? '') ? `This was attempt ${io.attempt} of ${io.attempts}.` : '',
  ];
  return {
    file: progress.file,
    ...describeStatement(progress.statement, error),
    sqlstate,
    message: sentences.filter((sentence) => sentence !== '').join('. '),
    blockedBy,
  };
}

function describeBlocking(blockedBy: string | null, watchFailure: string | null): string {
  if (blockedBy !== null) return `Blocked by ${blockedBy}`;
  return watchFailure === null
    ? 'The blocking sessions are unknown, because none was seen while the statement waited'
    : `The blocking sessions are unknown, because the second connection, which reads them, failed: ${watchFailure}`;
}

function failed(pending: string[], failure: MigrationFailure): RunMigrationsResult {
  return { status: 'failed', applied: [], pending, failure };
}

/** The file and statement that run now. */
interface Progress {
  file: string | null;
  statement: ShippedStatement | null;
  /** The error of the statement. Null: it has not failed. */
  error: unknown;
  /** The sessions that block the statement. */
  blockers: BlockerWatch;
}

/**
 * Loads the migrations for node-pg-migrate. Each runs its statements one by one in node-pg-migrate's transaction, because
 * PostgreSQL does not say which statement of a text failed. There are no down migrations, so none can be run by mistake.
 */
function statementLoader(client: Client, { statements, log }: RunMigrationsIo, progress: Progress) {
  let timeZone: string | null = null;
  return async (filePaths: string[]) =>
    filePaths.map((path) => {
      const file = basename(path, '.sql');
      const up = async (builder: MigrationBuilder) => {
        progress.file = file;
        log.info('Applying a migration.', { file });
        if (timeZone !== null) await useTimeZone(client, timeZone);
        for (const statement of statements[file] ?? []) {
          progress.statement = statement;
          progress.blockers.nextStatement();
          await builder.db.query(statement.sql).catch((error) => {
            progress.error = error;
            throw error;
          });
        }
        progress.statement = null;
        // node-pg-migrate now records the file.
        timeZone = await useTimeZoneOfRole(client);
      };
      return { id: path, filePaths: [path], actions: { up, down: false as const } };
    });
}

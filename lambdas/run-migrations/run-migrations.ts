import { basename } from 'node:path';
import { type MigrationBuilder, runner } from 'node-pg-migrate';
import { MIGRATION_LOCK, tryLock } from '../postgres/advisory-lock.ts';
import { type Client, type Database, withClient } from '../postgres/client.ts';
import {
  appliedMigrations,
  historyProblem,
  MIGRATIONS_TABLE,
  migrationFiles,
  pendingOf,
} from '../postgres/migration-history.ts';
import {
  describeDatabaseError,
  isConnectionError,
  LOCK_NOT_AVAILABLE,
  sqlstateOf,
  toDeployStepError,
} from '../postgres/sqlstate.ts';
import { MigrationLocked } from '../shared/errors.ts';
import type { Log } from '../shared/logger.ts';
import type { MigrationFailure } from '../shared/migration-runner.ts';
import type { ShippedStatement, ShippedStatements } from '../shared/migration-statements.ts';
import type { RunMigrationsResult } from '../shared/payloads.ts';
import { describeFailed } from './failed-statement.ts';

export interface RunMigrationsIo {
  database: Database;
  /** Folder with the SQL files. */
  directory: string;
  /** What of each file is run, one after the other. */
  statements: ShippedStatements;
  /** Longest wait for one lock, in seconds. */
  lockTimeoutSeconds: number;
  log: Log;
}

/**
 * How often the session looks whether this function is still there. Unlike a build, a migration whose function was killed
 * can only be rolled back: it must not hold its locks against the services, which start again, until its statement ends.
 */
const CLIENT_CHECK = '2s';

/**
 * Applies all pending migrations in one transaction. SQL that fails is an answer, with nothing of it applied.
 * @throws MigrationLocked, LockNotAvailable, ConnectionLost: another attempt may pass, and this one changed nothing.
 */
export async function runMigrations(io: RunMigrationsIo): Promise<RunMigrationsResult> {
  return await withClient(io.database, 'migrate', async (client) => {
    try {
      await prepareSession(client, io.lockTimeoutSeconds);
      const files = await migrationFiles(io.directory);
      const applied = await appliedMigrations(client);
      const pending = pendingOf(applied, files);
      const problem = historyProblem(applied, files);
      if (problem !== null) {
        return failed(pending, {
          ...{ file: null, line: null, statement: null, sqlstate: null },
          message: problem,
        });
      }
      return await migrate(client, pending, io);
    } catch (error) {
      throw toDeployStepError(error, 'The migrations');
    }
  });
}

async function prepareSession(client: Client, lockTimeoutSeconds: number): Promise<void> {
  await client.query(
    "select set_config('statement_timeout', '0', false), set_config('lock_timeout', $1, false)",
    [`${lockTimeoutSeconds * 1000}ms`],
  );
  await client
    .query("select set_config('client_connection_check_interval', $1, false)", [CLIENT_CHECK])
    .catch((error) => {
      // Some of the servers' platforms cannot tell; there the session ends with its statement.
      if (isConnectionError(error)) throw error;
    });
  if (!(await tryLock(client, MIGRATION_LOCK)))
    throw new MigrationLocked('Another session is applying migrations to this database.');
}

async function migrate(client: Client, pending: string[], io: RunMigrationsIo): Promise<RunMigrationsResult> {
  const current: Current = { file: null, statement: null };
  try {
    const applied = await runner({
      dbClient: client,
      dir: io.directory,
      direction: 'up',
      migrationsTable: MIGRATIONS_TABLE,
      singleTransaction: true,
      checkOrder: true,
      migrationLoaderStrategies: [{ extensions: ['.sql'], loader: statementLoader(io, current) }],
      logger: {
        info: () => {},
        warn: (message: string) => io.log.warn(message),
        // Its errors carry the whole statement and come back as the rejection anyway.
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
  } catch (error) {
    // Nothing is applied: the transaction is rolled back, by us or with the connection.
    if (isConnectionError(error) || sqlstateOf(error) === LOCK_NOT_AVAILABLE) throw error;
    const message = describeDatabaseError(error);
    const where = describeFailed(current.statement, error);
    io.log.error('A migration failed; nothing of it is applied.', {
      ...{ file: current.file, line: where.line, reason: message },
    });
    return failed(pending, { file: current.file, ...where, sqlstate: sqlstateOf(error) ?? null, message });
  }
}

function failed(pending: string[], failure: MigrationFailure): RunMigrationsResult {
  return { status: 'failed', applied: [], pending, failure };
}

/** Where the migrations are. */
interface Current {
  file: string | null;
  statement: ShippedStatement | null;
}

/**
 * Hands node-pg-migrate migrations that run their statements one by one, all in its transaction: of a text with several,
 * PostgreSQL does not say which one failed. There is no way back, so that it can never be taken.
 */
function statementLoader({ statements, log }: RunMigrationsIo, current: Current) {
  return async (filePaths: string[]) =>
    filePaths.map((path) => {
      const file = basename(path, '.sql');
      const up = async (builder: MigrationBuilder) => {
        current.file = file;
        log.info('Applying a migration.', { file });
        for (const statement of statements[file] ?? []) {
          current.statement = statement;
          await builder.db.query(statement.sql);
        }
        current.statement = null;
      };
      return { id: path, filePaths: [path], actions: { up, down: false as const } };
    });
}

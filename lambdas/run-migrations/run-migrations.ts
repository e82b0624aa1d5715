import { runner } from 'node-pg-migrate';
import { type Client, type Database, withClient } from '../postgres/client.ts';
import { MIGRATION_LOCK_ID, MIGRATIONS_TABLE, pendingMigrations } from '../postgres/migrations.ts';
import {
  describeDatabaseError,
  isConnectionError,
  LOCK_NOT_AVAILABLE,
  sqlstateOf,
  toDeployStepError,
} from '../postgres/sqlstate.ts';
import { MigrationLocked } from '../shared/errors.ts';
import type { Log } from '../shared/logger.ts';
import type { RunMigrationsResult } from '../shared/payloads.ts';

export interface RunMigrationsIo {
  database: Database;
  /** Folder with the SQL files. */
  directory: string;
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
      const pending = await pendingMigrations(client, io.directory);
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
  const { rows } = await client.query<{ locked: boolean }>(
    'select pg_try_advisory_lock($1::bigint) as locked',
    [MIGRATION_LOCK_ID],
  );
  if (!rows[0]?.locked) throw new MigrationLocked('Another session is applying migrations to this database.');
}

async function migrate(client: Client, pending: string[], io: RunMigrationsIo): Promise<RunMigrationsResult> {
  const current = { file: null as string | null };
  try {
    const applied = await runner({
      dbClient: client,
      dir: io.directory,
      direction: 'up',
      migrationsTable: MIGRATIONS_TABLE,
      singleTransaction: true,
      checkOrder: true,
      logger: followingLogger(io.log, (file) => {
        current.file = file;
      }),
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
    io.log.error('A migration failed; nothing of it is applied.', { file: current.file, reason: message });
    return {
      status: 'failed',
      applied: [],
      pending,
      failure: {
        file: current.file,
        line: null,
        statement: null,
        sqlstate: sqlstateOf(error) ?? null,
        message,
      },
    };
  }
}

/** node-pg-migrate tells which file it is at only in its log. */
function followingLogger(log: Log, onFile: (file: string) => void) {
  return {
    info(message: string) {
      const file = /^### MIGRATION (.+) \(UP\) ###$/.exec(message)?.[1];
      if (file === undefined) return;
      onFile(file);
      log.info('Applying a migration.', { file });
    },
    warn: (message: string) => log.warn(message),
    // Its errors carry the whole statement and come back as the rejection anyway.
    error: () => {},
  };
}

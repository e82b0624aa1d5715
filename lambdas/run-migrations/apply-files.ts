import { basename } from 'node:path';
import { runner } from 'node-pg-migrate';
import { MIGRATION_LOCK, tryTransactionLock } from '../postgres/advisory-lock.ts';
import type { Client } from '../postgres/client.ts';
import {
  MIGRATIONS_TABLE,
  readLockedHistory,
  useTimeZone,
  useTimeZoneOfRole,
  withMigrationsTable,
} from '../postgres/migration-history.ts';
import { recordMigrations } from '../postgres/migration-record.ts';
import { useConfiguredSearchPath } from '../postgres/search-path.ts';
import { restoreSession } from '../postgres/session-settings.ts';
import { LOCK_NOT_AVAILABLE } from '../postgres/sqlstate.ts';
import { currentTransaction, startTransactionId } from '../postgres/transaction-end.ts';
import { LockNotAvailable } from '../shared/errors.ts';
import type { Log } from '../shared/logger.ts';
import type { ShippedStatement, ShippedStatements } from '../shared/migration-statements.ts';
import type { BlockerWatch } from './watch-blockers.ts';

/** The pending files, and what their transaction needs. */
export interface PendingFiles {
  readonly client: Client;
  /** Name of the deploy, to record it with its migrations. Null: the role may not record it. */
  readonly recordedAs: string | null;
  /** Names of the pending migrations. */
  readonly pending: readonly string[];
  /** The settings of the session, which each file starts with: see `sessionSettings`. */
  readonly settings: string;
  /** Folder with the SQL files. */
  readonly directory: string;
  readonly statements: ShippedStatements;
  /** This session holds the lock of the migrations. */
  readonly isLocked: boolean;
  /** Which sessions block the current statement. */
  readonly blockers: BlockerWatch;
  readonly log: Log;
}

/** How far the files were applied. */
export interface Progress {
  /** The id of their transaction. Null: it has not begun. */
  transaction: string | null;
  /** The file that runs now, or ran last. Null: none yet, or all of them ran. */
  file: string | null;
  /** The statement that runs now. */
  statement: ShippedStatement | null;
  /** Number of files whose statements all ran. */
  done: number;
  /** The first error of a statement. Null: none failed. */
  error: unknown;
}

/** A statement ended the transaction of all files. */
export class TransactionEnded extends Error {
  override readonly name = 'TransactionEnded';
}

/**
 * Applies the pending files with node-pg-migrate, in one transaction, and records them in its table. `progress` shows what
 * happened, also if it throws.
 */
export async function applyFiles(files: PendingFiles, progress: Progress): Promise<void> {
  // Without the advisory lock, the lock on the table keeps others out who record migrations.
  const mode = files.isLocked ? 'row exclusive' : 'share row exclusive';
  await withMigrationsTable(files.client, mode, async () => await runMigrations(files, progress));
}

async function runMigrations(files: PendingFiles, progress: Progress): Promise<void> {
  await runner({
    dbClient: observed(files.client, progress),
    dir: files.directory,
    direction: 'up',
    migrationsTable: MIGRATIONS_TABLE,
    singleTransaction: true,
    checkOrder: true,
    // The first ones of those that are not applied.
    count: files.pending.length,
    // The caller has acquired the lock, or ignores who holds it.
    noLock: true,
    migrationLoaderStrategies: [{ extensions: ['.sql'], loader: statementLoader(files, progress) }],
    logger: {
      info: () => {},
      warn: (message: string) => files.log.warn(message),
      // An error would log the whole statement; the rejected promise has the error too.
      error: () => {},
    },
  });
}

/** The client. It records the first error, because after a lost connection the runner throws the error of its ROLLBACK. */
function observed(client: Client, progress: Progress): Client {
  const query = async (text: string, values?: unknown[]) => {
    try {
      return await client.query(text, values);
    } catch (error) {
      progress.error ??= error;
      throw error;
    }
  };
  return Object.create(client, { query: { value: query } }) as Client;
}

/**
 * Loads the migrations for node-pg-migrate. Each runs its statements one by one in node-pg-migrate's transaction, because
 * PostgreSQL does not say which statement of a text failed. There are no down migrations, so none can be run by mistake.
 */
function statementLoader(files: PendingFiles, progress: Progress) {
  const session: SessionState = { encodingOf: watchEncoding(files.client), timeZone: null };
  return async (filePaths: string[]) =>
    filePaths.map((path) => {
      const up = async () => {
        try {
          await applyFile(files, progress, basename(path, '.sql'), session);
        } catch (error) {
          progress.error ??= error;
          throw error;
        }
      };
      return { id: path, filePaths: [path], actions: { up, down: false as const } };
    });
}

/** What the files know about their session. */
interface SessionState {
  /** The encoding that the server expects of the client. */
  readonly encodingOf: () => string;
  /** The time zone that the statements of a file start with. Null: the current one. */
  timeZone: string | null;
}

async function applyFile(
  files: PendingFiles,
  progress: Progress,
  name: string,
  session: SessionState,
): Promise<void> {
  const { client, log, statements } = files;
  progress.file = name;
  log.info('Applying a migration.', { file: name });
  progress.transaction ??= await beginFiles(files);
  if (session.timeZone !== null) await useTimeZone(client, session.timeZone);
  await useConfiguredSearchPath(client);
  for (const statement of statements[name] ?? []) {
    progress.statement = statement;
    files.blockers.nextStatement();
    await client.query(statement.sql);
    // PostgreSQL reports with each answer whether the transaction is still open.
    if (client.getTransactionStatus() !== 'T') throw ended();
    refuseEncoding(session.encodingOf());
  }
  progress.statement = null;
  await restoreSession(client, files.settings);
  // A new transaction may have begun after the end of the first one.
  if ((await currentTransaction(client)) !== progress.transaction) throw ended();
  // node-pg-migrate now records the file.
  session.timeZone = await useTimeZoneOfRole(client);
  progress.done += 1;
  if (progress.done === files.pending.length) progress.file = null;
}

/** Begins the work in the transaction of the files. @returns its id */
async function beginFiles({ client, recordedAs, pending, isLocked }: PendingFiles): Promise<string> {
  const id = await startTransactionId(client);
  if (!isLocked) await refuseAppliedMeanwhile(client, pending);
  // A file can release the lock of the session, but not that of the transaction.
  await tryTransactionLock(client, MIGRATION_LOCK);
  if (recordedAs !== null) await recordMigrations(client, recordedAs, pending);
  return id;
}

/** @throws LockNotAvailable when another session has applied one of the files since they were found to be pending */
async function refuseAppliedMeanwhile(client: Client, pending: readonly string[]): Promise<void> {
  const applied = await readLockedHistory(client);
  if (!pending.some((name) => applied.includes(name))) return;
  throw new LockNotAvailable('another session has just applied migrations. The next attempt continues', {
    sqlstate: LOCK_NOT_AVAILABLE,
  });
}

function ended(): TransactionEnded {
  return new TransactionEnded(
    'the file ended the transaction in which the deploy applies all pending files. Remove its transaction control (COMMIT, ' +
      'ROLLBACK, …); pg-deploy-step lint finds it',
  );
}

/** The encoding that the server expects of this client, as it last reported it. */
function watchEncoding(client: Client): () => string {
  let encoding = 'UTF8';
  client.connection.on('parameterStatus', (message: { parameterName: string; parameterValue: string }) => {
    if (message.parameterName === 'client_encoding') encoding = message.parameterValue;
  });
  return () => encoding;
}

function refuseEncoding(encoding: string): void {
  if (encoding === 'UTF8') return;
  throw new Error(
    `it changed client_encoding to ${encoding}, but the deploy sends the file as UTF-8: PostgreSQL would read other characters ` +
      'than the file contains. Remove it',
  );
}

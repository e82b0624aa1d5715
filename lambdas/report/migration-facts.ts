import { lockHolder, MIGRATION_LOCK } from '../postgres/advisory-lock.ts';
import type { Client } from '../postgres/client.ts';
import { appliedMigrations, migrationFiles, pendingOf } from '../postgres/migration-history.ts';
import { hasRecord, recordedMigrations } from '../postgres/migration-record.ts';
import { leadingOnline, type WindowPolicy } from '../shared/online-migrations.ts';
import { type Failure, UNKNOWN_PLACE } from './migration-failure.ts';

/** What the database says about the SQL migrations of a deploy. */
export interface MigrationFacts {
  /** Names of the files that are not applied. */
  readonly pending: string[];
  /** Those of them that the next deploy applies while the services run. */
  readonly pendingOnline: string[];
  /** Names of the files that this deploy applied. Empty: none, or they are not recorded. */
  readonly applied: string[];
  /** Whether `applied` can be trusted: the role may record what a deploy applies. */
  readonly isRecorded: boolean;
  /** The session of a function that applies migrations and has not ended. Null: there is none. */
  readonly session: string | null;
}

/** The application_name of run-migrations. */
const SESSION = 'pg-deploy-step migrate';

/** @param directory folder with the SQL files */
export async function readMigrationFacts(
  client: Client,
  deploy: string,
  directory: string,
  window: WindowPolicy = 'always',
): Promise<MigrationFacts> {
  const history = await appliedMigrations(client);
  const recorded = await recordedMigrations(client, deploy);
  const holder = await lockHolder(client, MIGRATION_LOCK);
  const pending = pendingOf(history, await migrationFiles(directory));
  return {
    pending,
    pendingOnline: window === 'always' ? [] : await leadingOnline(directory, pending),
    applied: history.filter((name) => recorded.includes(name)),
    isRecorded: await hasRecord(client),
    session: holder?.application === SESSION ? `pid ${holder.pid} (${holder.application})` : null,
  };
}

/** What is true after the function run-migrations failed: the end of a sentence, and the names that it applied. */
export function appliedAfterFailure(
  facts: MigrationFacts | null,
): Pick<Failure, 'changes'> & { readonly sentence: string } {
  const unknown = (reason: string) => ({
    changes: UNKNOWN_PLACE.changes,
    sentence: `it is unknown whether migrations were applied, because ${reason}`,
  });
  if (facts === null) return unknown('the database could not be read');
  if (facts.applied.length > 0) {
    return {
      changes: 'some',
      sentence: `the migrations were applied before the function failed (${facts.applied.join(', ')})`,
    };
  }
  if (facts.session !== null) return unknown(`its session has not ended yet: ${facts.session}`);
  // All pending files are applied in one transaction: one that is still pending shows that it was rolled back.
  if (facts.pending.length > 0 || facts.isRecorded)
    return { changes: 'none', sentence: 'no migration was applied' };
  return unknown('the role may not record that in the schema deploy_step');
}

import { join } from 'node:path';
import { databaseOf } from '../postgres/client.ts';
import { readVariables } from '../shared/database-variables.ts';
import { migrationsVariablesSchema } from '../shared/function-variables.ts';
import { createLogger } from '../shared/logger.ts';
import { readStatements } from '../shared/migration-statements.ts';
import { type RunMigrationsResult, runMigrationsEventSchema } from '../shared/payloads.ts';
import { MIGRATIONS_FOLDER } from '../shared/registry.ts';
import { runMigrations } from './run-migrations.ts';

const variables = readVariables(migrationsVariablesSchema);
const database = databaseOf(variables);
const statements = readStatements(import.meta.dirname);
const log = createLogger('run-migrations');

export const handler = async (event: unknown): Promise<RunMigrationsResult> => {
  const { deploy, retryCount, scope, requested } = runMigrationsEventSchema.parse(event);
  return await runMigrations({
    deploy,
    requested,
    scope,
    attempt: retryCount + 1,
    attempts: variables.MIGRATION_ATTEMPTS,
    database,
    directory: join(import.meta.dirname, MIGRATIONS_FOLDER),
    statements,
    lockTimeoutSeconds: variables.LOCK_TIMEOUT_SECONDS,
    log,
  });
};

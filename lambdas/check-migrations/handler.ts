import { MIGRATION_LOCK } from '../postgres/advisory-lock.ts';
import { databaseOf } from '../postgres/client.ts';
import { readVariables } from '../shared/database-variables.ts';
import { checkMigrationsVariablesSchema } from '../shared/function-variables.ts';
import { createLogger } from '../shared/logger.ts';
import { type CheckMigrationsResult, checkMigrationsEventSchema } from '../shared/payloads.ts';
import { checkMigrations } from './check-migrations.ts';

const variables = readVariables(checkMigrationsVariablesSchema);
const database = databaseOf(variables);
const log = createLogger('check-migrations');

export const handler = async (event: unknown): Promise<CheckMigrationsResult> =>
  await checkMigrations(checkMigrationsEventSchema.parse(event), {
    database,
    lock: variables.MIGRATION_LOCK ?? MIGRATION_LOCK,
    log,
  });

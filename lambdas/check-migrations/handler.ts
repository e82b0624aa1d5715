import { MIGRATION_LOCK } from '../postgres/advisory-lock.ts';
import { databaseOf } from '../postgres/client.ts';
import { checkMigrationsVariablesSchema, readVariables } from '../shared/function-variables.ts';
import { createLogger } from '../shared/logger.ts';
import type { CheckMigrationsResult } from '../shared/payloads.ts';
import { checkMigrations } from './check-migrations.ts';

const variables = readVariables(checkMigrationsVariablesSchema);
const database = databaseOf(variables);
const log = createLogger('check-migrations');

export const handler = async (): Promise<CheckMigrationsResult> =>
  await checkMigrations({ database, lock: variables.MIGRATION_LOCK ?? MIGRATION_LOCK, log });

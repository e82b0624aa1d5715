import { join } from 'node:path';
import { databaseOf } from '../postgres/client.ts';
import { preflightEnvironmentSchema, readEnvironment } from '../shared/environment.ts';
import { createLogger } from '../shared/logger.ts';
import { type PreflightResult, preflightEventSchema } from '../shared/payloads.ts';
import { MIGRATIONS_FOLDER } from '../shared/registry.ts';
import { readRegistry } from '../shared/registry-file.ts';
import { listRunning } from './list-running.ts';
import { CONNECT_PAUSES_MS, preflight } from './preflight.ts';

const environment = readEnvironment(preflightEnvironmentSchema);
const database = databaseOf(environment);
const log = createLogger('preflight');
const registry = readRegistry(import.meta.dirname);

export const handler = async (event: unknown): Promise<PreflightResult> =>
  await preflight(preflightEventSchema.parse(event), {
    registry,
    database,
    migrationRunner: environment.MIGRATIONS,
    migrationsDirectory:
      environment.MIGRATIONS === 'sql' ? join(import.meta.dirname, MIGRATIONS_FOLDER) : null,
    connectPauses: CONNECT_PAUSES_MS,
    runningDeploys: async () => await listRunning(environment.DEPLOY_MACHINE_ARN),
    log,
  });

import { join } from 'node:path';
import { databaseOf } from '../postgres/client.ts';
import { readEnvironment, reportEnvironmentSchema } from '../shared/environment.ts';
import { createLogger } from '../shared/logger.ts';
import { type ReportResult, reportEventSchema } from '../shared/payloads.ts';
import { MIGRATIONS_FOLDER } from '../shared/registry.ts';
import { readRegistry } from '../shared/registry-file.ts';
import { report } from './report.ts';

const environment = readEnvironment(reportEnvironmentSchema);
const database = databaseOf(environment);
const log = createLogger('report');
const registry = readRegistry(import.meta.dirname);

export const handler = async (event: unknown): Promise<ReportResult> =>
  await report(reportEventSchema.parse(event), {
    registry,
    database,
    migrationRunner: environment.MIGRATIONS,
    migrationsDirectory:
      environment.MIGRATIONS === 'sql' ? join(import.meta.dirname, MIGRATIONS_FOLDER) : null,
    services: environment.SERVICES,
    context: {
      environment: environment.ENVIRONMENT_NAME,
      startServicesMachine: environment.START_SERVICES_MACHINE,
      buildIndexesMachine: environment.BUILD_INDEXES_MACHINE,
    },
    now: () => new Date().toISOString(),
    log,
  });

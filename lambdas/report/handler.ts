import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { databaseOf } from '../postgres/client.ts';
import { readVariables } from '../shared/database-variables.ts';
import { reportVariablesSchema } from '../shared/function-variables.ts';
import { createLogger } from '../shared/logger.ts';
import { reportEventSchema } from '../shared/payloads.ts';
import { MIGRATIONS_FOLDER, readRegistry } from '../shared/registry.ts';
import type { ReportResult } from '../shared/report-result.ts';
import { CONNECT_PAUSES_MS, report } from './report.ts';

const variables = readVariables(reportVariablesSchema);
const database = databaseOf(variables);
const log = createLogger('report');
const registry = readRegistry(import.meta.dirname);

export const handler = async (event: unknown): Promise<ReportResult> =>
  await report(reportEventSchema.parse(event), {
    registry,
    database,
    migrationRunner: variables.MIGRATIONS,
    window: variables.WINDOW,
    migrationsDirectory: variables.MIGRATIONS === 'sql' ? join(import.meta.dirname, MIGRATIONS_FOLDER) : null,
    services: variables.SERVICES,
    context: {
      environment: variables.ENVIRONMENT_NAME,
      startServicesMachine: variables.START_SERVICES_MACHINE,
      buildIndexesMachine: variables.BUILD_INDEXES_MACHINE,
    },
    saveWhole: (whole) => {
      if (variables.WHOLE_REPORT_FILE) writeFileSync(variables.WHOLE_REPORT_FILE, JSON.stringify(whole));
    },
    connectPauses: CONNECT_PAUSES_MS,
    now: () => new Date().toISOString(),
    log,
  });

import { join } from 'node:path';
import { databaseOf } from '../postgres/client.ts';
import { readVariables } from '../shared/database-variables.ts';
import { createLogger } from '../shared/logger.ts';
import { readManifest } from '../shared/migration-manifest.ts';
import { readStatements } from '../shared/migration-statements.ts';
import { preflightEventSchema } from '../shared/preflight-payloads.ts';
import type { PreflightResult } from '../shared/preflight-result.ts';
import { preflightVariablesSchema } from '../shared/preflight-variables.ts';
import { MIGRATIONS_FOLDER, readRegistry } from '../shared/registry.ts';
import { readToolMigrations } from '../shared/tool-migrations.ts';
import { isPlan, listRunningDeploys } from './list-running-deploys.ts';
import { LIST_PAUSES_MS } from './other-deploys.ts';
import { CONNECT_PAUSES_MS, preflight } from './preflight.ts';

const variables = readVariables(preflightVariablesSchema);
const database = databaseOf(variables);
const log = createLogger('preflight');
const registry = readRegistry(import.meta.dirname);
const migrations =
  variables.MIGRATIONS === 'sql'
    ? {
        directory: join(import.meta.dirname, MIGRATIONS_FOLDER),
        manifest: readManifest(import.meta.dirname),
        statements: readStatements(import.meta.dirname),
      }
    : null;
const toolMigrations = readToolMigrations(import.meta.dirname);

export const handler = async (event: unknown): Promise<PreflightResult> =>
  await preflight(preflightEventSchema.parse(event), {
    registry,
    database,
    migrationRunner: variables.MIGRATIONS,
    window: variables.WINDOW,
    migrations,
    toolMigrations,
    connectPauses: CONNECT_PAUSES_MS,
    runningDeploys: async () => await listRunningDeploys(variables.DEPLOY_MACHINE_ARN),
    isPlan,
    listPauses: LIST_PAUSES_MS,
    howToAbort: variables.HOW_TO_ABORT,
    drainRoles: variables.DRAIN_ROLES ?? [],
    log,
  });

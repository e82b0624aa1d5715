import { databaseOf } from '../postgres/client.ts';
import { checkEnvironmentSchema, readEnvironment } from '../shared/environment.ts';
import { createLogger } from '../shared/logger.ts';
import { type BuildIndexResult, buildIndexEventSchema } from '../shared/payloads.ts';
import { readRegistry } from '../shared/registry-file.ts';
import { checkIndex } from './check-index.ts';

const environment = readEnvironment(checkEnvironmentSchema);
const database = databaseOf(environment);
const log = createLogger('check-index');
const registry = readRegistry(import.meta.dirname);

export const handler = async (event: unknown): Promise<BuildIndexResult> =>
  await checkIndex(buildIndexEventSchema.parse(event), {
    registry,
    database,
    log,
    settings: {
      lockTimeoutSeconds: environment.LOCK_TIMEOUT_SECONDS,
      terminateIdleInTransactionSeconds: environment.TERMINATE_IDLE_IN_TRANSACTION_SECONDS,
    },
  });

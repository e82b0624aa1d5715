import { databaseOf } from '../postgres/client.ts';
import { buildEnvironmentSchema, readEnvironment } from '../shared/environment.ts';
import { createLogger } from '../shared/logger.ts';
import { type BuildIndexResult, buildIndexEventSchema } from '../shared/payloads.ts';
import { readRegistry } from '../shared/registry-file.ts';
import { buildIndex } from './build-index.ts';

const environment = readEnvironment(buildEnvironmentSchema);
const database = databaseOf(environment);
const log = createLogger('build-index');
const registry = readRegistry(import.meta.dirname);

export const handler = async (event: unknown): Promise<BuildIndexResult> =>
  await buildIndex(buildIndexEventSchema.parse(event), {
    registry,
    database,
    log,
    settings: {
      lockTimeoutSeconds: environment.LOCK_TIMEOUT_SECONDS,
      waitSeconds: environment.BUILD_WAIT_SECONDS,
      patientWaitSeconds: environment.PATIENT_WAIT_SECONDS,
      attempts: environment.BUILD_ATTEMPTS,
      terminateIdleInTransactionSeconds: environment.TERMINATE_IDLE_IN_TRANSACTION_SECONDS,
    },
  });

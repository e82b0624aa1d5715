import { databaseOf } from '../postgres/client.ts';
import { buildVariablesSchema, readVariables } from '../shared/function-variables.ts';
import { createLogger } from '../shared/logger.ts';
import { type BuildIndexResult, buildIndexEventSchema, buildIndexResultSchema } from '../shared/payloads.ts';
import { readRegistry } from '../shared/registry.ts';
import { buildIndex } from './build-index.ts';

const variables = readVariables(buildVariablesSchema);
const database = databaseOf(variables);
const log = createLogger('build-index');
const registry = readRegistry(import.meta.dirname);

export const handler = async (event: unknown): Promise<BuildIndexResult> =>
  // A wrong result would end the execution: no Catch handles a path to a missing field.
  buildIndexResultSchema.parse(
    await buildIndex(buildIndexEventSchema.parse(event), {
      registry,
      database,
      log,
      settings: {
        lockTimeoutSeconds: variables.LOCK_TIMEOUT_SECONDS,
        waitSeconds: variables.BUILD_WAIT_SECONDS,
        longWaitSeconds: variables.LONG_WAIT_SECONDS,
        attempts: variables.BUILD_ATTEMPTS,
        terminateIdleInTransactionSeconds: variables.TERMINATE_IDLE_IN_TRANSACTION_SECONDS,
      },
    }),
  );

import { databaseOf } from '../postgres/client.ts';
import {
  type BuildIndexResult,
  buildIndexEventSchema,
  buildIndexResultSchema,
} from '../shared/build-payloads.ts';
import { readVariables } from '../shared/database-variables.ts';
import { checkVariablesSchema } from '../shared/function-variables.ts';
import { createLogger } from '../shared/logger.ts';
import { readRegistry } from '../shared/registry.ts';
import { checkIndex } from './check-index.ts';

const variables = readVariables(checkVariablesSchema);
const database = databaseOf(variables);
const log = createLogger('check-index');
const registry = readRegistry(import.meta.dirname);

export const handler = async (event: unknown): Promise<BuildIndexResult> =>
  // A wrong result would end the execution: no Catch handles a path to a missing field.
  buildIndexResultSchema.parse(
    await checkIndex(buildIndexEventSchema.parse(event), {
      registry,
      database,
      log,
      settings: {
        lockTimeoutSeconds: variables.LOCK_TIMEOUT_SECONDS,
        terminateIdleInTransactionSeconds: variables.TERMINATE_IDLE_IN_TRANSACTION_SECONDS,
      },
    }),
  );

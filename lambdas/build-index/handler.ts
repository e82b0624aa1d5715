import { databaseOf } from '../postgres/client.ts';
import {
  type BuildBatchResult,
  type BuildIndexResult,
  buildBatchEventSchema,
  buildIndexEventSchema,
  buildIndexResultSchema,
} from '../shared/build-payloads.ts';
import { readVariables } from '../shared/database-variables.ts';
import { buildVariablesSchema } from '../shared/function-variables.ts';
import { createLogger } from '../shared/logger.ts';
import { readRegistry } from '../shared/registry.ts';
import { buildBatch } from './build-batch.ts';
import { buildIndex } from './build-index.ts';

const variables = readVariables(buildVariablesSchema);
const database = databaseOf(variables);
const log = createLogger('build-index');
const registry = readRegistry(import.meta.dirname);

const io = {
  registry,
  database,
  log,
  settings: {
    lockTimeoutSeconds: variables.LOCK_TIMEOUT_SECONDS,
    waitSeconds: variables.BUILD_WAIT_SECONDS,
    longWaitSeconds: variables.LONG_WAIT_SECONDS,
    attempts: variables.BUILD_ATTEMPTS,
    retiredAfterDays: variables.RETIRED_AFTER_DAYS,
    terminateIdleInTransactionSeconds: variables.TERMINATE_IDLE_IN_TRANSACTION_SECONDS,
  },
};

/** Two states invoke this function: Build Index for one build, Build Batch for many small ones. */
export const handler = async (event: object): Promise<BuildIndexResult | BuildBatchResult> => {
  if ('batch' in event) {
    const batchSeconds = variables.BATCH_SECONDS;
    return await buildBatch(buildBatchEventSchema.parse(event), { ...io, batchSeconds });
  }
  // A wrong result would end the execution: no Catch handles a path to a missing field.
  return buildIndexResultSchema.parse(await buildIndex(buildIndexEventSchema.parse(event), io));
};

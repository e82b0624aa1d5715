import { databaseOf } from '../postgres/client.ts';
import { type BuildIndexResult, settleIndexEventSchema } from '../shared/build-payloads.ts';
import { databaseVariablesSchema, readVariables } from '../shared/database-variables.ts';
import { createLogger } from '../shared/logger.ts';
import { readRegistry } from '../shared/registry.ts';
import { settleIndex } from './settle-index.ts';

const database = databaseOf(readVariables(databaseVariablesSchema));
const log = createLogger('settle-index');
const registry = readRegistry(import.meta.dirname);

export const handler = async (event: unknown): Promise<BuildIndexResult> =>
  await settleIndex(settleIndexEventSchema.parse(event), { registry, database, log });

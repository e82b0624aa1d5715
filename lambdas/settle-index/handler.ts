import { databaseOf } from '../postgres/client.ts';
import { databaseEnvironmentSchema, readEnvironment } from '../shared/environment.ts';
import { createLogger } from '../shared/logger.ts';
import { type BuildIndexResult, settleIndexEventSchema } from '../shared/payloads.ts';
import { readRegistry } from '../shared/registry-file.ts';
import { settleIndex } from './settle-index.ts';

const database = databaseOf(readEnvironment(databaseEnvironmentSchema));
const log = createLogger('settle-index');
const registry = readRegistry(import.meta.dirname);

export const handler = async (event: unknown): Promise<BuildIndexResult> =>
  await settleIndex(settleIndexEventSchema.parse(event), { registry, database, log });

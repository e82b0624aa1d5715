import { databaseOf } from '../postgres/client.ts';
import { readEnvironment, sessionsEnvironmentSchema } from '../shared/environment.ts';
import { createLogger } from '../shared/logger.ts';
import type { CheckSessionsResult } from '../shared/payloads.ts';
import { checkSessions } from './check-sessions.ts';

const environment = readEnvironment(sessionsEnvironmentSchema);
const database = databaseOf(environment);
const log = createLogger('check-sessions');

export const handler = async (): Promise<CheckSessionsResult> =>
  await checkSessions({
    database,
    roles: environment.DRAIN_ROLES,
    applicationNames: environment.DRAIN_APPLICATION_NAMES,
    log,
  });

import { databaseOf } from '../postgres/client.ts';
import { readVariables } from '../shared/database-variables.ts';
import { sessionsVariablesSchema } from '../shared/function-variables.ts';
import { createLogger } from '../shared/logger.ts';
import type { CheckSessionsResult } from '../shared/payloads.ts';
import { checkSessions } from './check-sessions.ts';

const variables = readVariables(sessionsVariablesSchema);
const database = databaseOf(variables);
const log = createLogger('check-sessions');

export const handler = async (): Promise<CheckSessionsResult> =>
  await checkSessions({
    database,
    roles: variables.DRAIN_ROLES,
    applicationNames: variables.DRAIN_APPLICATION_NAMES,
    log,
  });

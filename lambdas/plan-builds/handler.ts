import { databaseOf } from '../postgres/client.ts';
import { type PlanBuildsResult, planBuildsEventSchema } from '../shared/build-payloads.ts';
import { readVariables } from '../shared/database-variables.ts';
import { planVariablesSchema } from '../shared/function-variables.ts';
import { createLogger } from '../shared/logger.ts';
import { readRegistry } from '../shared/registry.ts';
import { planBuilds } from './plan-builds.ts';

const variables = readVariables(planVariablesSchema);
const database = databaseOf(variables);
const log = createLogger('plan-builds');
const registry = readRegistry(import.meta.dirname);

export const handler = async (event: unknown): Promise<PlanBuildsResult> =>
  await planBuilds(planBuildsEventSchema.parse(event), {
    registry,
    database,
    log,
    buildsPerRound: variables.BUILDS_PER_ROUND,
    maxConcurrent: variables.MAX_CONCURRENT,
    windowMinutes: variables.WINDOW_MINUTES,
    retiredAfterDays: variables.RETIRED_AFTER_DAYS,
  });

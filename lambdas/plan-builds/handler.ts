import { databaseOf } from '../postgres/client.ts';
import { planEnvironmentSchema, readEnvironment } from '../shared/environment.ts';
import { createLogger } from '../shared/logger.ts';
import { type PlanBuildsResult, planBuildsEventSchema } from '../shared/payloads.ts';
import { readRegistry } from '../shared/registry-file.ts';
import { planBuilds } from './plan-builds.ts';

const environment = readEnvironment(planEnvironmentSchema);
const database = databaseOf(environment);
const log = createLogger('plan-builds');
const registry = readRegistry(import.meta.dirname);

export const handler = async (event: unknown): Promise<PlanBuildsResult> =>
  await planBuilds(planBuildsEventSchema.parse(event), {
    registry,
    database,
    log,
    buildsARound: environment.BUILDS_A_ROUND,
    windowMinutes: environment.WINDOW_MINUTES,
  });

import { planBuilds } from '../../lambdas/plan-builds/plan-builds.ts';
import { databaseOf, withClient } from '../../lambdas/postgres/client.ts';
import { readIndexReports } from '../../lambdas/report/index-report.ts';
import { type PlanBuildsResult, planBuildsEventSchema } from '../../lambdas/shared/build-payloads.ts';
import { compileRegistry } from '../../lib/registry/compile-registry.ts';
import type { IndexEntry } from '../../lib/registry/define-indexes.ts';
import { countingDatabase } from './counting-database.ts';
import type { TestDatabase } from './database.ts';
import { openPreflight } from './open-preflight.ts';

interface NumberOfQueries {
  readonly counts: Record<'preflight' | 'plan' | 'report', number>;
  readonly plan: PlanBuildsResult;
}

/** Counts what preflight, one plan and the report send, and changes nothing. */
export async function numberOfQueries(
  database: TestDatabase,
  entries: readonly IndexEntry[],
): Promise<NumberOfQueries> {
  const { database: counted, take } = countingDatabase(databaseOf({ DATABASE_URL: database.deployUrl }));
  const registry = await compileRegistry(entries, 'the test');
  const { preflight } = await openPreflight(counted, [...entries]);
  await preflight();
  const ofPreflight = take().length;
  const plan = await planBuilds(planBuildsEventSchema.parse({ execution: 'counted', request: {} }), {
    ...{ registry, database: counted, buildsPerRound: 500 },
    log: { info() {}, warn() {}, error() {} },
  });
  const ofPlan = take().length;
  await withClient(
    counted,
    'report',
    async (client) => await readIndexReports(client, 'counted', registry, []),
  );
  return { counts: { preflight: ofPreflight, plan: ofPlan, report: take().length }, plan };
}

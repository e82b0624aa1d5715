import { randomUUID } from 'node:crypto';
import type { BuildSettings } from '../../lambdas/build-index/attempt.ts';
import { buildBatch } from '../../lambdas/build-index/build-batch.ts';
import { buildIndex } from '../../lambdas/build-index/build-index.ts';
import { checkIndex } from '../../lambdas/check-index/check-index.ts';
import { planBuilds } from '../../lambdas/plan-builds/plan-builds.ts';
import { databaseOf, withClient } from '../../lambdas/postgres/client.ts';
import type { Examined } from '../../lambdas/postgres/examined-index.ts';
import { examine } from '../../lambdas/postgres/index-state.ts';
import { resolveRegistry } from '../../lambdas/postgres/resolve-registry.ts';
import { readIndexReports } from '../../lambdas/report/index-report.ts';
import { settleIndex } from '../../lambdas/settle-index/settle-index.ts';
import {
  type BuildBatchResult,
  type BuildIndexResult,
  buildBatchEventSchema,
  buildIndexEventSchema,
  type Lane,
  type PlanBuildsResult,
  planBuildsEventSchema,
  settleIndexEventSchema,
} from '../../lambdas/shared/build-payloads.ts';
import type { Log } from '../../lambdas/shared/logger.ts';
import { type CompiledIndex, inSchema } from '../../lambdas/shared/registry.ts';
import type { IndexReport } from '../../lambdas/shared/report-schema.ts';
import { compileRegistry } from '../../lib/registry/compile-registry.ts';
import type { IndexEntry } from '../../lib/registry/define-indexes.ts';
import { ATTEMPTS, type BuildFunction, functionNameOf, openBuildIndexes } from './build-indexes.ts';
import { asDeployRole } from './deploy-role.ts';

export interface TestBuilds {
  /** The indexes of the registry. Those of entries without a schema are in `public`. */
  readonly registry: readonly CompiledIndex[];
  /** Calls Plan once. @returns the lanes */
  plan(deploy: string): Promise<Lane[]>;
  /** Calls Build Index once. */
  build(deploy: string, item: string): Promise<BuildIndexResult>;
  /** Calls Check Index once. */
  check(deploy: string, item: string): Promise<BuildIndexResult>;
  /** Calls Settle Index once. */
  settle(deploy: string, item: string, error: unknown): Promise<BuildIndexResult>;
  /**
   * Runs an execution of build-indexes for the whole registry.
   * @param deploy name of the execution, so a new one each time
   * @param afterPlan called after each Plan, before the builds of that plan
   * @param input of the execution
   * @returns the report's entries, by name
   */
  deploy(
    deploy: string,
    afterPlan?: (plan: PlanBuildsResult) => Promise<void>,
    input?: { indexes?: string[]; windowStartedAt?: string },
  ): Promise<Record<string, IndexReport>>;
  examine(): Promise<Record<string, Examined>>;
  /** Rounds of the last execution: the lanes of each. */
  readonly rounds: Lane[][];
  /** The results of the batches of the last execution, in the order in which they ended. */
  readonly batches: BuildBatchResult[];
  /** The output of the last execution. */
  readonly lastPlan: PlanBuildsResult | undefined;
  /** What the report of the last execution says about drifted indexes. */
  readonly drifted: string[];
  /** Lines that the functions logged. */
  readonly log: string[];
}

/** Entries of a registry. Tests need no descriptions. */
export type BuildEntries = (Omit<IndexEntry, 'name' | 'description'> & {
  name: string;
  description?: string;
})[];

const MAX_ROUNDS = 20;

/**
 * Replaces invocations of a function. `run` invokes the function itself.
 * @returns its result
 * @throws an error as Lambda returns it: the name is the Error of Step Functions
 */
export type Fault = (event: FaultEvent, run: () => Promise<unknown>) => Promise<unknown>;

/** A change of a field reaches the function. */
interface FaultEvent {
  index: string;
  until?: string | null;
}

/** The synthesised state machine `build-indexes` with its functions in this process, so that a test can change their settings. */
export async function openBuilds(
  databaseUrl: string,
  entries: BuildEntries,
  {
    batchSeconds = 600,
    progressSeconds,
    windowMinutes,
    ...settings
  }: Partial<Omit<BuildSettings, 'attempts'>> & {
    batchSeconds?: number;
    progressSeconds?: number;
    windowMinutes?: number;
  } = {},
  faults: Partial<Record<BuildFunction, Fault>> = {},
): Promise<TestBuilds> {
  const registry = await compileRegistry(
    entries.map((entry) => ({ description: 'of a test', ...entry })),
    'the test',
  );
  const lines: string[] = [];
  const write = (...parts: unknown[]) => void lines.push(JSON.stringify(parts));
  const log: Log = { info: write, warn: write, error: write };
  const database = databaseOf({ DATABASE_URL: asDeployRole(databaseUrl) });
  const io = {
    registry,
    database,
    log,
    settings: {
      lockTimeoutSeconds: 3,
      waitSeconds: 60,
      longWaitSeconds: 60,
      attempts: ATTEMPTS,
      terminateIdleInTransactionSeconds: undefined,
      retiredAfterDays: 14,
      ...settings,
    },
  };
  // All tests of a file share one engine, in which the name of an execution is unique.
  const id = randomUUID().slice(0, 8);
  const unique = (deploy: string) => `${deploy}-${id}`;
  const rounds: Lane[][] = [];
  const batches: BuildBatchResult[] = [];
  const drifted: string[] = [];
  const lastPlan: PlanBuildsResult[] = [];
  let afterPlan: (plan: PlanBuildsResult) => Promise<void> = async () => {};

  const plan = (event: unknown) =>
    planBuilds(planBuildsEventSchema.parse(event), {
      ...{ ...io, buildsPerRound: 500, windowMinutes },
      retiredAfterDays: io.settings.retiredAfterDays,
    });
  const planRound = async (event: unknown) => {
    const planned = await plan(event);
    if (planned.decision === 'build' && rounds.push(planned.lanes) > MAX_ROUNDS)
      throw new Error(`The plan never ends: ${JSON.stringify(planned.lanes)}`);
    await afterPlan(planned);
    return planned;
  };
  const run = openBuildIndexes(
    inProcess(faults, {
      'plan-builds': planRound,
      'build-index': async (event) => {
        if (!('batch' in Object(event))) return await buildIndex(buildIndexEventSchema.parse(event), io);
        const times = { batchSeconds, progressSeconds };
        const result = await buildBatch(buildBatchEventSchema.parse(event), { ...io, ...times });
        batches.push(result);
        return result;
      },
      'check-index': async (event) => await checkIndex(buildIndexEventSchema.parse(event), io),
      'settle-index': async (event) => await settleIndex(settleIndexEventSchema.parse(event), io),
    }),
  );
  return {
    batches,
    registry: registry.map((entry) => inSchema(entry, entry.schema ?? 'public')),
    rounds,
    drifted,
    get lastPlan() {
      return lastPlan[0];
    },
    log: lines,
    plan: async (deploy) => (await plan({ execution: unique(deploy), request: {} })).lanes,
    build: (deploy, index) => buildIndex({ deploy: unique(deploy), index }, io),
    check: (deploy, index) => checkIndex({ deploy: unique(deploy), index }, io),
    settle: (deploy, index, error) =>
      settleIndex(
        { deploy: unique(deploy), index, error: { Error: nameOf(error), Cause: causeOf(error) } },
        io,
      ),
    async deploy(deploy, hook = async () => {}, input = undefined) {
      rounds.length = 0;
      batches.length = 0;
      afterPlan = hook;
      lastPlan.splice(0, 1, await run(unique(deploy), input));
      const reports = await withClient(database, 'test report', (client) =>
        readIndexReports(client, unique(deploy), registry, []),
      );
      drifted.splice(0, drifted.length, ...reports.drifted.map(({ text }) => text));
      return Object.fromEntries(reports.indexes.map((index) => [index.name, index]));
    },
    examine: () =>
      withClient(database, 'test examine', async (client) =>
        Object.fromEntries(
          (await examine(client, await resolveRegistry(client, registry))).map((one) => [
            one.index.name,
            one,
          ]),
        ),
      ),
  };
}

type Functions = Record<BuildFunction, (event: unknown) => Promise<unknown>>;

/** Invokes functions of this process as Lambda does: payloads are JSON, and an error has a name and a Cause. */
function inProcess(faults: Partial<Record<BuildFunction, Fault>>, functions: Functions) {
  const byName = new Map(
    Object.entries(functions).map(([name, run]) => {
      const fault = faults[name as BuildFunction];
      const withFault = (event: unknown) =>
        fault === undefined ? run(event) : fault(event as FaultEvent, async () => await run(event));
      return [functionNameOf(name as BuildFunction), withFault];
    }),
  );
  return async (name: string, payload: unknown): Promise<unknown> => {
    try {
      const answer = await byName.get(name)?.(JSON.parse(JSON.stringify(payload)));
      return JSON.parse(JSON.stringify(answer) ?? 'null');
    } catch (error) {
      throw Object.assign(new Error(causeOf(error)), { name: nameOf(error) });
    }
  };
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : 'Error';
}

/** The Cause that Lambda returns for an error. */
function causeOf(error: unknown): string {
  const errorMessage = error instanceof Error ? error.message : String(error);
  return JSON.stringify({ errorType: nameOf(error), errorMessage });
}

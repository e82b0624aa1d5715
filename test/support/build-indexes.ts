import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { inject } from 'vitest';
import {
  buildIndexResultSchema,
  type PlanBuildsResult,
  planBuildsResultSchema,
} from '../../lambdas/shared/build-payloads.ts';
import { LocalEngine, type LocalEngineOptions, type Machine } from '../../lib/local/engine.ts';

/** Attempts that the definition gives an index. */
export const ATTEMPTS = 10;

/** Pause between two checks of a build, in milliseconds; in AWS it is seconds or minutes. */
const CHECK_PAUSE_MS = 20;

/**
 * Runs an execution of build-indexes to its end.
 * @param deploy name of the execution, so a new one each time
 * @returns the answer of its last Plan
 * @throws Error when the execution does not succeed
 */
export type RunBuildIndexes = (deploy: string, input?: unknown) => Promise<PlanBuildsResult>;

/** A function of build-indexes. */
export type BuildFunction = 'plan-builds' | 'build-index' | 'check-index' | 'settle-index';

export const functionNameOf = (name: BuildFunction): string => `pg-deploy-step-local-${name}`;

const FUNCTION_NAMES = (['plan-builds', 'build-index', 'check-index', 'settle-index'] as const).map(
  functionNameOf,
);

/** Invokes a function by its full name. */
type Invoke = LocalEngineOptions['lambdas']['invoke'];

/** The synthesised state machine `build-indexes` with any functions behind it. Only the pauses are shorter. */
export function openBuildIndexes(invoke: Invoke): RunBuildIndexes {
  return async (deploy, input = {}) => {
    invokeOf.set(deploy, invoke);
    const { engine, machineName } = await openEngine();
    const result = await engine.start(machineName, input, { name: deploy }).result;
    invokeOf.delete(deploy);
    if (result.status !== 'SUCCEEDED') throw new Error(`build-indexes failed: ${JSON.stringify(result)}`);
    return planBuildsResultSchema.parse(result.output);
  };
}

/** The functions of each running execution, by its name. */
const invokeOf = new Map<string, Invoke>();

let opened: Promise<{ engine: LocalEngine; machineName: string }> | undefined;

/** One engine for all tests of a file, because it takes longer to open than most of the builds. */
function openEngine() {
  opened ??= synthesisedMachine().then((machine) => ({
    machineName: machine.name,
    engine: new LocalEngine({
      machines: [machine],
      lambdas: {
        functionNames: FUNCTION_NAMES,
        invoke: async (name, payload) => {
          // Plan has the name of the execution, the other functions have it as the name of the deploy.
          const { execution, deploy } = payload as { execution?: string; deploy?: string };
          const invoke = invokeOf.get(execution ?? deploy ?? '');
          if (invoke === undefined) throw new Error(`No execution ${execution ?? deploy} is running.`);
          return await withShortPause(await invoke(name, payload));
        },
      },
      aws: {
        supports: () => false,
        call: () => Promise.reject(new Error('build-indexes calls functions only.')),
      },
    }),
  }));
  return opened;
}

/** Waits here, because the shortest Wait state takes a second. */
async function withShortPause(answer: unknown): Promise<unknown> {
  const result = buildIndexResultSchema.safeParse(answer).data;
  if (result?.state !== 'building') return answer;
  await sleep(CHECK_PAUSE_MS);
  return { ...result, waitSeconds: 0 };
}

/** Synthesising takes seconds, so the first test file of a run writes the definition to a file for the others. */
async function synthesisedMachine(): Promise<Machine> {
  const file = join(inject('runFolder'), 'build-indexes.json');
  if (!existsSync(file)) {
    const machine = await synthesise();
    // Another worker must not read a file that is only half written.
    const written = `${file}.${process.pid}`;
    writeFileSync(written, JSON.stringify(machine));
    renameSync(written, file);
  }
  return JSON.parse(readFileSync(file, 'utf8')) as Machine;
}

async function synthesise(): Promise<Machine> {
  // Imported here, because loading the CDK takes longer than most of these tests.
  const [{ App }, { EnvironmentStack }, { localEnvironment, LOCAL_ENVIRONMENT }, { readStack }] =
    await Promise.all([
      import('aws-cdk-lib'),
      import('../../lib/constructs/environment-stack.ts'),
      import('../../lib/local/local-environment.ts'),
      import('../../lib/local/read-stack.ts'),
    ]);
  const outdir = mkdtempSync(join(inject('runFolder'), 'stack-'));
  const app = new App({ outdir, analyticsReporting: false, builtinCloudFormationValidation: false });
  const name = `pg-deploy-step-${LOCAL_ENVIRONMENT}`;
  new EnvironmentStack(app, name, {
    environmentName: LOCAL_ENVIRONMENT,
    environment: localEnvironment({
      migrations: 'none',
      services: [],
      attempts: ATTEMPTS,
      maxPauseSeconds: 1,
    }),
    files: { registry: [], migrations: null, notes: [], findings: [] },
    projectRoot: outdir,
  });
  const { machines } = readStack(app.synth().getStackByName(name).template, outdir);
  rmSync(outdir, { recursive: true, force: true });
  const machine = machines.find((one) => one.name === `${name}-build-indexes`);
  if (machine === undefined) throw new Error('The stack has no state machine build-indexes.');
  return { ...machine, definition: withShortRetries(machine.definition) };
}

/** The retries of some errors pause for a minute in total. */
function withShortRetries<T>(definition: T): T {
  return JSON.parse(JSON.stringify(definition), (key, value) =>
    key === 'MaxDelaySeconds'
      ? 2
      : key === 'Retry'
        ? value.map((one: object) => ({ MaxDelaySeconds: 2, ...one }))
        : value,
  );
}

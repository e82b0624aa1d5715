import { setTimeout as sleep } from 'node:timers/promises';
import { type BuildSettings, buildIndex } from '../../lambdas/build-index/build-index.ts';
import { checkIndex } from '../../lambdas/check-index/check-index.ts';
import { planBuilds } from '../../lambdas/plan-builds/plan-builds.ts';
import { databaseOf, withClient } from '../../lambdas/postgres/client.ts';
import { type Examined, examine } from '../../lambdas/postgres/index-state.ts';
import { readIndexReports } from '../../lambdas/report/index-report.ts';
import { settleIndex } from '../../lambdas/settle-index/settle-index.ts';
import { BUILD_RETRY_ERRORS } from '../../lambdas/shared/errors.ts';
import type { Log } from '../../lambdas/shared/logger.ts';
import type { BuildIndexResult, Lane } from '../../lambdas/shared/payloads.ts';
import type { CompiledRegistry } from '../../lambdas/shared/registry.ts';
import type { IndexReport } from '../../lambdas/shared/report-schema.ts';
import { compileRegistry } from '../../lib/registry/compile-registry.ts';
import type { IndexEntry } from '../../lib/registry/define-indexes.ts';

export interface TestBuilds {
  readonly registry: CompiledRegistry;
  /** Lanes of the next round. */
  plan(deploy: string): Promise<Lane[]>;
  build(deploy: string, item: string): Promise<BuildIndexResult>;
  check(deploy: string, item: string): Promise<BuildIndexResult>;
  settle(deploy: string, item: string, error: unknown): Promise<BuildIndexResult>;
  /** What build-indexes does with one item: build, look until it ends, settle what fails. */
  buildItem(deploy: string, item: string): Promise<void>;
  /** What build-indexes does with all of them. @returns the report's entries, by name */
  deploy(deploy: string): Promise<Record<string, IndexReport>>;
  examine(): Promise<Record<string, Examined>>;
  /** Rounds of the last deploy: the lanes of each. */
  readonly rounds: Lane[][];
  /** What the last deploy's report says of drifted indexes. */
  readonly drifted: string[];
  /** Lines that the functions wrote. */
  readonly log: string[];
}

const MOST_ROUNDS = 20;

/** The functions of build-indexes, called as its definition calls them, without the time that synthesis takes. */
export async function openBuilds(
  databaseUrl: string,
  entries: (Omit<IndexEntry, 'name' | 'description'> & { name: string; description?: string })[],
  settings: Partial<BuildSettings> = {},
): Promise<TestBuilds> {
  const registry = await compileRegistry(
    entries.map((entry) => ({ description: 'of a test', ...entry })),
    'the test',
  );
  const { attempts = 10, lockTimeoutSeconds = 3, waitSeconds = 60, patientWaitSeconds = 60 } = settings;
  const { terminateIdleInTransactionSeconds } = settings;
  const locks = { lockTimeoutSeconds, terminateIdleInTransactionSeconds };
  const lines: string[] = [];
  const write = (...parts: unknown[]) => void lines.push(JSON.stringify(parts));
  const log: Log = { debug: write, info: write, warn: write, error: write };
  const database = databaseOf({ DATABASE_URL: databaseUrl });
  const io = {
    registry,
    database,
    log,
    settings: { ...locks, waitSeconds, patientWaitSeconds, attempts },
  };
  const rounds: Lane[][] = [];
  const told: string[] = [];
  const builds: TestBuilds = {
    registry,
    rounds,
    drifted: told,
    log: lines,
    plan: async (deploy) =>
      (await planBuilds({ execution: deploy, request: {} }, { ...io, buildsARound: 500 })).lanes,
    build: (deploy, index) => buildIndex({ deploy, index }, io),
    check: (deploy, index) => checkIndex({ deploy, index }, io),
    settle: (deploy, index, error) => settleIndex({ deploy, index, error: caught(error) }, io),
    async buildItem(deploy, item) {
      let tries = 0;
      let look = builds.build;
      for (;;) {
        try {
          const { state } = await look(deploy, item);
          if (state === 'done') return;
          look = state === 'building' ? builds.check : builds.build;
          await sleep(20);
        } catch (error) {
          tries += 1;
          const again = BUILD_RETRY_ERRORS.some((name) => error instanceof Error && error.name === name);
          if (!again || tries >= attempts) return void (await builds.settle(deploy, item, error));
        }
      }
    },
    async deploy(deploy) {
      rounds.length = 0;
      for (let lanes = await builds.plan(deploy); lanes.length > 0; lanes = await builds.plan(deploy)) {
        if (rounds.push(lanes) > MOST_ROUNDS)
          throw new Error(`The plan never ends: ${JSON.stringify(lanes)}`);
        await Promise.all(
          lanes.map(async (lane) => {
            for (const item of lane.indexes) await builds.buildItem(deploy, item);
          }),
        );
      }
      const { indexes, drifted } = await withClient(database, 'test report', (client) =>
        readIndexReports(client, deploy, registry, []),
      );
      told.splice(0, told.length, ...drifted);
      return Object.fromEntries(indexes.map((index) => [index.name, index]));
    },
    examine: () =>
      withClient(database, 'test examine', async (client) =>
        Object.fromEntries((await examine(client, registry)).map((one) => [one.index.name, one])),
      ),
  };
  return builds;
}

function caught(error: unknown): { Error: string; Cause: string } {
  const { name, message } = error instanceof Error ? error : { name: 'Error', message: String(error) };
  return { Error: name, Cause: JSON.stringify({ errorType: name, errorMessage: message }) };
}

import { type BuildSettings, buildIndex } from '../../lambdas/build-index/build-index.ts';
import { checkIndex } from '../../lambdas/check-index/check-index.ts';
import { databaseOf } from '../../lambdas/postgres/client.ts';
import { settleIndex } from '../../lambdas/settle-index/settle-index.ts';
import type { Log } from '../../lambdas/shared/logger.ts';
import { compileRegistry } from '../../lib/registry/compile-registry.ts';
import type { IndexEntry } from '../../lib/registry/define-indexes.ts';

/** The functions' decisions, called without the workflow around them, all for the deploy "test". */
export async function decisionsOn(
  databaseUrl: string,
  indexes: IndexEntry[],
  settings: Partial<BuildSettings> = {},
) {
  const lines: string[] = [];
  const write = (...parts: unknown[]) => {
    lines.push(JSON.stringify(parts));
  };
  const log: Log = { debug: write, info: write, warn: write, error: write };
  const io = {
    registry: await compileRegistry(indexes, 'the test'),
    database: databaseOf({ DATABASE_URL: databaseUrl }),
    log,
    settings: {
      lockTimeoutSeconds: 3,
      waitSeconds: 1,
      patientWaitSeconds: 60,
      attempts: 3,
      terminateIdleInTransactionSeconds: undefined,
      ...settings,
    },
  };
  const deploy = 'test';
  return {
    /** What they wrote. */
    log: lines,
    build: async (index: string) => await buildIndex({ deploy, index }, io),
    check: async (index: string) => await checkIndex({ deploy, index }, io),
    settle: async (index: string, error: { Error: string; Cause: string }) =>
      await settleIndex({ deploy, index, error }, io),
  };
}

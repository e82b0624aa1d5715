import { databaseOf } from '../../lambdas/postgres/client.ts';
import { preflight } from '../../lambdas/preflight/preflight.ts';
import type { PreflightResult } from '../../lambdas/shared/payloads.ts';
import { compileRegistry } from '../../lib/registry/compile-registry.ts';

interface TestPreflight {
  preflight(input?: unknown): Promise<PreflightResult>;
}

/**
 * The preflight, with the functions of this process.
 * @param migrationsDirectory @default no migrations
 */
export async function openPreflight(
  databaseUrl: string,
  entries: { name: string; sql: string; critical?: boolean; onDrift?: 'rebuild' }[],
  migrationsDirectory: string | null = null,
): Promise<TestPreflight> {
  const registry = await compileRegistry(
    entries.map((entry) => ({ description: 'of a test', ...entry })),
    'the test',
  );
  const execution = { id: 'test', name: 'test', startedAt: new Date().toISOString() };
  const nothing = () => {};
  return {
    preflight: (input = {}) =>
      preflight(
        { execution, input },
        {
          registry,
          database: databaseOf({ DATABASE_URL: databaseUrl }),
          migrationRunner: migrationsDirectory === null ? 'none' : 'sql',
          migrationsDirectory,
          connectPauses: [10, 10],
          runningDeploys: async () => [],
          howToAbort: 'abort it',
          log: { debug: nothing, info: nothing, warn: nothing, error: nothing },
        },
      ),
  };
}

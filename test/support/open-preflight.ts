import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Database, databaseOf } from '../../lambdas/postgres/client.ts';
import type { ShippedMigrations } from '../../lambdas/preflight/check-migration-files.ts';
import { preflight } from '../../lambdas/preflight/preflight.ts';
import type { DatabaseVariables } from '../../lambdas/shared/database-variables.ts';
import type { PreflightResult } from '../../lambdas/shared/preflight-result.ts';
import type { ToolMigrations } from '../../lambdas/shared/tool-migrations.ts';
import { manifestOf, shippedStatements } from '../../lib/functions/ship-migrations.ts';
import { compileRegistry } from '../../lib/registry/compile-registry.ts';
import type { IndexEntry } from '../../lib/registry/define-indexes.ts';
import { asDeployRole } from './deploy-role.ts';
import type { Migrations } from './migration-files.ts';

function shippedFrom(directory: string, shipped: Migrations | undefined): ShippedMigrations {
  const read = () =>
    Object.fromEntries(
      readdirSync(directory).map((file) => [
        file.slice(0, -'.sql'.length),
        readFileSync(join(directory, file), 'utf8'),
      ]),
    );
  const migrations = shipped ?? read();
  return { directory, manifest: manifestOf(migrations), statements: shippedStatements(migrations) };
}

interface TestPreflight {
  preflight(input?: unknown): Promise<PreflightResult>;
}

/**
 * The preflight, with the functions of this process.
 * @param database its connection string, the variables of the function, or the database that it opens
 * @param migrations folder with SQL files, or the migrations of the application's own tool, in an ECS task @default no migrations
 * @param shipped the files that synth has seen @default those of the folder
 */
export async function openPreflight(
  database: string | (DatabaseVariables & { DRAIN_ROLES?: string[] }) | Database,
  entries: (Pick<IndexEntry, 'name' | 'sql'> & Partial<IndexEntry>)[],
  migrations: string | ToolMigrations | null = null,
  shipped?: Migrations,
): Promise<TestPreflight> {
  const registry = await compileRegistry(
    entries.map((entry) => ({ description: 'of a test', ...entry })),
    'the test',
  );
  const variables: DatabaseVariables & { DRAIN_ROLES?: string[] } =
    typeof database === 'string'
      ? { DATABASE_URL: asDeployRole(database) }
      : isOpen(database)
        ? {}
        : database;
  const folder = typeof migrations === 'string' ? migrations : null;
  const tool = typeof migrations === 'string' ? null : migrations;
  const execution = { id: 'test', name: 'test', startedAt: new Date().toISOString() };
  const nothing = () => {};
  return {
    preflight: (input = {}) =>
      preflight(
        { execution, lock: { status: 'held' }, input },
        {
          registry,
          database: isOpen(database) ? database : databaseOf(variables),
          window: 'always',
          migrationRunner: tool !== null ? 'ecs-task' : folder === null ? 'none' : 'sql',
          migrations: folder === null ? null : shippedFrom(folder, shipped),
          toolMigrations: tool,
          connectPauses: [10, 10],
          runningDeploys: async () => [],
          isPlan: async () => false,
          listPauses: [],
          howToAbort: 'abort it',
          drainRoles: variables.DRAIN_ROLES ?? [],
          log: { info: nothing, warn: nothing, error: nothing },
        },
      ),
  };
}

function isOpen(database: object | string): database is Database {
  return typeof database === 'object' && 'connect' in database;
}

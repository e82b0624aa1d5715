import { resolve } from 'node:path';
import { messageOf } from '../../lambdas/shared/errors.ts';
import type { ToolMigrations } from '../../lambdas/shared/tool-migrations.ts';
import type { PendingTool } from '../config/pending-config.ts';
import { NoSourceError } from '../sources/sql-source.ts';
import { readToolMigrations, tableOfTool } from '../sources/tool-migrations/read-tool-migrations.ts';
import { MigrationFilesError } from './ship-migrations.ts';

/**
 * Reads what preflight compares with the table of the application's own migration tool: names, versions and hashes.
 * @param projectRoot the folder is relative to it
 * @throws MigrationFilesError when the folder does not exist, has no migrations of the tool, or one that the tool refuses
 */
export function toolMigrationsToShip(
  { tool, directory, table = tableOfTool(tool) }: PendingTool,
  projectRoot: string,
): ToolMigrations {
  const [name = '', schema = null] = table.split('.').toReversed();
  try {
    const migrations = readToolMigrations(tool, resolve(projectRoot, directory));
    return { tool, schema, table: name, migrations };
  } catch (error) {
    if (!(error instanceof NoSourceError)) throw error;
    throw new MigrationFilesError(`migrations.pending.directory: ${messageOf(error)}`, { cause: error });
  }
}

import type { MigrationTool, ToolMigration } from '../../../lambdas/shared/tool-migrations.ts';
import { isFolder } from '../folder-entries.ts';
import { NoSourceError } from '../sql-source.ts';
import { alembicMigrations } from './alembic.ts';
import { djangoMigrations } from './django.ts';
import { drizzleMigrations } from './drizzle.ts';
import { flywayMigrations } from './flyway.ts';
import { golangMigrations, nodePgMigrations, railsMigrations } from './numbered-files.ts';
import { prismaMigrations } from './prisma.ts';

interface ToolFiles {
  /** Name of its table, without the schema. */
  readonly table: string;
  /** What the folder contains, for messages. */
  readonly expected: string;
  /** @throws NoSourceError if the tool itself would refuse the folder */
  readonly read: (folder: string) => ToolMigration[];
}

const TOOL_FILES: Readonly<Record<MigrationTool, ToolFiles>> = {
  alembic: {
    table: 'alembic_version',
    expected: 'the scripts, such as versions/1975ea83b712_accounts.py',
    read: alembicMigrations,
  },
  django: {
    table: 'django_migrations',
    expected: 'the apps with their migrations, such as shop/migrations/0001_initial.py',
    read: djangoMigrations,
  },
  drizzle: { table: '__drizzle_migrations', expected: 'meta/_journal.json', read: drizzleMigrations },
  flyway: {
    table: 'flyway_schema_history',
    expected: 'files such as V1__accounts.sql and R__views.sql',
    read: flywayMigrations,
  },
  'golang-migrate': {
    table: 'schema_migrations',
    expected: 'files such as 000001_accounts.up.sql',
    read: golangMigrations,
  },
  'node-pg-migrate': {
    table: 'pgmigrations',
    expected: 'files such as 1704880800000_accounts.js',
    read: nodePgMigrations,
  },
  prisma: {
    table: '_prisma_migrations',
    expected: 'folders such as 20240110100000_accounts/migration.sql',
    read: prismaMigrations,
  },
  rails: {
    table: 'schema_migrations',
    expected: 'files such as 20240110100000_create_accounts.rb',
    read: railsMigrations,
  },
};

/** The name of the table in which a tool records what it has applied, if its configuration names no other. */
export function tableOfTool(tool: MigrationTool): string {
  return TOOL_FILES[tool].table;
}

/**
 * Reads what a folder has of a tool's migrations: what is compared with the tool's table, and no SQL.
 * @throws NoSourceError if the folder does not exist, has no migrations of the tool, or one that the tool refuses
 */
export function readToolMigrations(tool: MigrationTool, folder: string): ToolMigration[] {
  if (!isFolder(folder)) throw new NoSourceError(`The folder ${folder} does not exist.`);
  const { expected, read } = TOOL_FILES[tool];
  const migrations = read(folder);
  if (migrations.length === 0) {
    throw new NoSourceError(
      `The folder ${folder} has no migrations of ${tool}. Give the folder with ${expected}.`,
    );
  }
  return migrations;
}

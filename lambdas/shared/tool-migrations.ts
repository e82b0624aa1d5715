import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from './zod.ts';

/*
 * The migrations of the application's own tool, as the functions get them: names and what the tool's table has of them, and no
 * SQL. lib/sources/tool-migrations reads them at synth, and lambdas/migration-tools compares them with the table.
 */

/** The tools whose table of applied migrations can be read. */
export const MIGRATION_TOOLS = [
  'alembic',
  'django',
  'drizzle',
  'flyway',
  'golang-migrate',
  'node-pg-migrate',
  'prisma',
  'rails',
] as const;
export type MigrationTool = (typeof MIGRATION_TOOLS)[number];

/** The file beside the code of preflight. It exists only if the environment names a tool. */
export const TOOL_MIGRATIONS_FILE = 'tool-migrations.json';

const toolMigrationSchema = z.object({
  /** As the tool shows it. */
  name: z.string(),
  /** How the table names it. Flyway: the version, or for a repeatable migration the description. Django: APP.NAME. */
  key: z.string(),
  /** Drizzle: `when` of the journal. */
  when: z.optional(z.number()),
  /** Only repeatable migrations of Flyway have it. Null: it depends on values of placeholders. */
  checksum: z.optional(z.nullable(z.int())),
  /** Keys. Alembic: the revisions that come before it. Django: the migrations that it replaces. */
  keys: z.optional(z.array(z.string())),
});
export type ToolMigration = z.infer<typeof toolMigrationSchema>;

const toolMigrationsSchema = z.object({
  tool: z.enum(MIGRATION_TOOLS),
  /** The schema of its table. Null: the one that has such a table. */
  schema: z.nullable(z.string()),
  table: z.string(),
  migrations: z.array(toolMigrationSchema),
});
export type ToolMigrations = z.infer<typeof toolMigrationsSchema>;

/** Reads the migrations that were shipped beside the function's code. Null: the environment names no tool. */
export function readToolMigrations(functionDirectory: string): ToolMigrations | null {
  const file = join(functionDirectory, TOOL_MIGRATIONS_FILE);
  return existsSync(file) ? toolMigrationsSchema.parse(JSON.parse(readFileSync(file, 'utf8'))) : null;
}

import { z } from 'zod';
import { MIGRATION_TOOLS } from '../../lambdas/shared/tool-migrations.ts';
import { fields } from './configuration-error.ts';

/** How a deploy knows what is pending, if the application's own task or function runs the migrations: from the table of its tool. */
export const pendingSchema = fields({
  /** The migration tool. */
  tool: z.enum(MIGRATION_TOOLS),
  /** Folder of the tool's migrations, relative to the project. */
  directory: z.string().min(1),
  /** The tool's table, as TABLE or SCHEMA.TABLE. @default the tool's own, in the one schema that has it */
  table: z
    .string()
    .regex(/^([^".]+\.)?[^".]+$/, 'must be TABLE or SCHEMA.TABLE, without quotes')
    .optional(),
});

export type PendingTool = z.output<typeof pendingSchema>;

/** The tool whose table says what is pending. Null: none does. */
export function pendingToolOf(
  migrations: { readonly runner: string } | PendingMigrations,
): PendingTool | null {
  return ('pending' in migrations ? migrations.pending : undefined) ?? null;
}

interface PendingMigrations {
  readonly pending?: PendingTool | undefined;
}

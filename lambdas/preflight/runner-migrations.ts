import { compareMigrations } from '../migration-tools/compare-migrations.ts';
import type { Client } from '../postgres/client.ts';
import type { ToolMigrations } from '../shared/tool-migrations.ts';
import type { PendingMigrations } from './check-objects.ts';

/** What is known about the migrations of a runner of the application: an ECS task or a function. */
export interface RunnerMigrations {
  readonly may: PendingMigrations;
  /** Their names. Empty: none, or they are not known. */
  readonly pending: string[];
  /** Why the runner would fail. Null: nothing is known of it. */
  readonly problem: string | null;
  /** What the report must warn of. Null: nothing. */
  readonly warning: string | null;
}

/**
 * Finds out what is pending for a runner of the application.
 * @param tool its migrations, which are compared with the tool's table. Null: nothing says what is pending
 */
export async function runnerMigrations(
  client: Client,
  tool: ToolMigrations | null,
): Promise<RunnerMigrations> {
  if (tool === null) return { may: 'unknown', pending: [], problem: null, warning: null };
  const { pending, problem = null, warning = null, unknown } = await compareMigrations(client, tool);
  if (unknown === undefined) {
    return {
      may: pending.length > 0 ? 'pending' : 'none',
      pending: pending.map(({ name }) => name),
      problem,
      warning,
    };
  }
  return { may: 'unknown', pending: [], problem, warning: unknownWarning(unknown) };
}

function unknownWarning(reason: string): string {
  return `It is unknown which migrations are pending, so every deploy stops the services and runs them: ${reason.replace(/\.$/, '')}.`;
}

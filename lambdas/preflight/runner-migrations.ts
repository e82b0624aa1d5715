import { compareMigrations } from '../migration-tools/compare-migrations.ts';
import type { Client } from '../postgres/client.ts';
import { knowsPending, type MigrationRunnerName } from '../shared/migration-runner.ts';
import type { PreflightResult } from '../shared/preflight-result.ts';
import type { ToolMigrations } from '../shared/tool-migrations.ts';
import type { Answer } from './asked-runner.ts';
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
 * @param tool its migrations, which are compared with the tool's table. Null: none is configured
 * @param answer of the task or function. Null: it was not asked
 */
export async function runnerMigrations(
  client: Client,
  tool: ToolMigrations | null,
  answer: Answer | null,
): Promise<RunnerMigrations> {
  const known = { pending: [], problem: null, warning: null };
  if (answer !== null) {
    if ('unknown' in answer) return { ...known, may: 'unknown', warning: unknownWarning(answer.unknown) };
    if (answer.pending === 'some') return { ...known, may: 'pending' };
    return { ...known, may: answer.pending.length > 0 ? 'pending' : 'none', pending: [...answer.pending] };
  }
  if (tool === null) return { ...known, may: 'unknown' };
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

/** Names of migrations that the state carries. */
const MOST_NAMES = 200;

/** What the report needs. It reads what is pending of SQL files itself. */
export function forReport(
  runner: MigrationRunnerName,
  { may, pending }: RunnerMigrations,
): Pick<PreflightResult, 'pendingMigrations'> {
  if (knowsPending(runner)) return {};
  // A task that was asked does not say which migrations are pending.
  const known = may === 'none' || pending.length > 0;
  return { pendingMigrations: { known, names: pending.slice(0, MOST_NAMES) } };
}

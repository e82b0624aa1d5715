import { describeCaught } from '../shared/caught-error.ts';
import type { PreflightEvent } from '../shared/preflight-payloads.ts';

/** What the application's own task or function answered. */
export type Answer = { readonly pending: readonly string[] | 'some' } | { readonly unknown: string };

/** The exit code of migration tools with which they say that something is pending. */
const SOMETHING_PENDING = 1;

/** @returns null when it was not asked */
export function answerOf(asked: PreflightEvent['asked']): Answer | null {
  if (asked?.answer == null) return null;
  const { container, answer } = asked;
  if ('Error' in answer) {
    const exitCode = exitCodeOf(answer.Cause, container);
    if (exitCode === SOMETHING_PENDING) return { pending: 'some' };
    return {
      unknown:
        exitCode === null
          ? `the migration task or function has not answered: ${describeCaught(answer)}`
          : `migrations.pending.command ended with exit code ${exitCode}, which is neither 0 (nothing is pending) nor 1 (something is)`,
    };
  }
  const { pending } = Object(answer.answer) as { pending?: unknown };
  if (!Array.isArray(pending))
    return { unknown: 'the migration function did not answer {"pending": ["name", …]}' };
  return { pending: pending.map(String) };
}

/** Null: it is not the description of a task, or the container has no exit code. */
function exitCodeOf(cause: string | null | undefined, container: string): number | null {
  try {
    const { Containers } = JSON.parse(cause ?? '') as {
      Containers: { Name?: unknown; ExitCode?: unknown }[];
    };
    const code = Containers.find(({ Name }) => Name === container)?.ExitCode;
    return typeof code === 'number' ? code : null;
  } catch {
    return null;
  }
}

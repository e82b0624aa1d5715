import type { MigrationFailure } from '../shared/migration-runner.ts';
import type { CaughtError } from '../shared/preflight-payloads.ts';

/** Why migrations failed, where their log is, and what to do next. */
export type Failure = MigrationFailure & { log: string | null; next: string[] };

/** The fields of a failure of which only the message is known. */
export const UNKNOWN_PLACE = {
  ...{ file: null, line: null, statement: null, sqlstate: null, blockedBy: null },
  changes: 'unknown',
} as const;

export const START_AGAIN = 'start the deploy again with the input {}';
export const FIX_AND_START_AGAIN = `Fix the cause in the status above, then ${START_AGAIN}.`;
export const USE_ECS_TASK =
  'For a longer migration use the runner ecs-task, which does not have this limit: see migrations in docs/configuration.md.';

/** Whether the time limit of the state or of the function ended it. Lambda has used both names for the function's. */
export function isTimeout({ Error: name, Cause }: CaughtError): boolean {
  if (['States.Timeout', 'Sandbox.Timedout'].includes(name)) return true;
  return name !== 'States.TaskFailed' && /Task timed out after [\d.]+ seconds/.test(Cause ?? '');
}

import type { MigrationFailure } from '../shared/migration-runner.ts';
import type { CaughtError } from '../shared/payloads.ts';

/** Why migrations failed, where their log is, and what to do next. */
export type Failure = MigrationFailure & { log: string | null; next: string[] };

export const NOWHERE = { file: null, line: null, statement: null, sqlstate: null, log: null };
export const START_AGAIN = 'start the deploy again with the input {}';
export const LONG_MIGRATION =
  'A migration that takes longer is a case for the runner ecs-task, which has as long as it needs: see migrations in docs/configuration.md.';

/** The state's time limit, or that of the function, whose error has been called by either name. */
export function isTimeout({ Error: name, Cause }: CaughtError): boolean {
  if (['States.Timeout', 'Sandbox.Timedout'].includes(name)) return true;
  return name !== 'States.TaskFailed' && /Task timed out after [\d.]+ seconds/.test(Cause ?? '');
}

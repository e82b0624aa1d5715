/** An execution of `deploy` that runs now. */
export interface RunningDeploy {
  arn: string;
  name: string;
  /** Milliseconds since 1970. */
  startedAt: number;
}

/**
 * Why this execution must not go on: an older one of `deploy` runs. Of two that started at once both see both, so the order
 * of their ARNs decides. Null: it is the oldest.
 */
export function refusalForOlder(execution: string, running: readonly RunningDeploy[]): string | null {
  const [oldest] = running.toSorted((a, b) => a.startedAt - b.startedAt || a.arn.localeCompare(b.arn));
  if (oldest === undefined || oldest.arn === execution) return null;
  return (
    `Another deploy runs: ${oldest.name}, since ${new Date(oldest.startedAt).toISOString()} (${oldest.arn}). Wait until it has ended, or ` +
    'abort it in the console, then start this one again.'
  );
}

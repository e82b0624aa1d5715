/** A running execution of `deploy`. */
export interface RunningDeploy {
  arn: string;
  name: string;
  /** Milliseconds since 1970. */
  startedAt: number;
}

/**
 * Why this execution must not continue: an older execution of `deploy` is running. If two started at the same time, the
 * order of their ARNs decides, so that exactly one of them continues. Null: this one is the oldest.
 */
export function refusalForOlder(execution: string, running: readonly RunningDeploy[]): string | null {
  const [oldest] = running.toSorted((a, b) => a.startedAt - b.startedAt || a.arn.localeCompare(b.arn));
  if (oldest === undefined || oldest.arn === execution) return null;
  return (
    `Another deploy is running: ${oldest.name}, started at ${new Date(oldest.startedAt).toISOString()} (${oldest.arn}). ` +
    'Wait until it ends, or abort it in the Step Functions console. Then start this deploy again.'
  );
}

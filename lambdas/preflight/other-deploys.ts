/** A running execution of `deploy`. */
export interface RunningDeploy {
  /** Empty: it runs outside of Step Functions. */
  arn: string;
  name: string;
  /** Milliseconds since 1970. */
  startedAt: number;
}

/**
 * Why this execution must not continue: an older execution of `deploy` is running. If two started at the same time, the
 * order of their ARNs decides, so that exactly one of them continues. Null: this one is the oldest.
 * @param howToAbort continues "Wait until it ends, or "
 */
export function refusalForOlder(
  execution: string,
  running: readonly RunningDeploy[],
  howToAbort: string,
): string | null {
  const [oldest] = running.toSorted((a, b) => a.startedAt - b.startedAt || a.arn.localeCompare(b.arn));
  if (oldest === undefined || oldest.arn === execution) return null;
  const arn = oldest.arn === '' ? '' : ` (${oldest.arn})`;
  return (
    `Another deploy is running: ${oldest.name}, started at ${new Date(oldest.startedAt).toISOString()}${arn}. ` +
    `Wait until it ends, or ${howToAbort}. Then start this deploy again.`
  );
}

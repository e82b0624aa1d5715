/** The end of a maintenance window, as in events. */
interface WindowEnd {
  /** ISO 8601. Null or absent: the window has no end. */
  until?: string | null | undefined;
}

/** Whether the build of an index is postponed until the services are started: a non-critical index after the window's end. */
export function isPostponed({ until }: WindowEnd, critical: boolean, now = Date.now()): boolean {
  return !critical && until != null && now >= Date.parse(until);
}

/** How long the window may still wait for an index, in seconds. Infinity: until it is built. */
export function secondsLeft({ until }: WindowEnd, critical: boolean, now = Date.now()): number {
  if (critical || until == null) return Number.POSITIVE_INFINITY;
  return Math.max(0, (Date.parse(until) - now) / 1000);
}

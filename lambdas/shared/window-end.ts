/** A maintenance window's end as events carry it. */
export interface Windowed {
  /** ISO 8601. Null or absent: there is no end. */
  until?: string | null | undefined;
}

/** Whether an index is left for after the start: the window is used up, and the application works without the index. */
export function isLeftForLater({ until }: Windowed, critical: boolean, now = Date.now()): boolean {
  return !critical && until != null && now >= Date.parse(until);
}

/** How long may still be waited for an index, in seconds. Infinity: as long as it takes. */
export function secondsLeft({ until }: Windowed, critical: boolean, now = Date.now()): number {
  if (critical || until == null) return Number.POSITIVE_INFINITY;
  return Math.max(0, (Date.parse(until) - now) / 1000);
}

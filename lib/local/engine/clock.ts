import { setTimeout as pause } from 'node:timers/promises';

/** 24 days: no run on this machine reaches a longer limit. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The time that Wait states and the pauses before retries take. The time limits of states always use the real time. */
export interface EngineClock {
  /** Milliseconds since 1970. */
  now(): number;
  /**
   * @param purpose a Wait state, or the pause before a retry
   * @throws the reason of the signal when it is aborted before the time is over
   */
  sleep(seconds: number, signal: AbortSignal, purpose: 'wait' | 'retry'): Promise<void>;
}

export const REAL_CLOCK: EngineClock = {
  now: () => Date.now(),
  sleep: async (seconds, signal) => {
    await pause(Math.min(seconds * 1000, LONGEST_TIMER_MS), undefined, { signal }).catch(() =>
      signal.throwIfAborted(),
    );
  },
};

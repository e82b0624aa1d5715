/** The time of the local AWS. A test can use a clock that it moves itself, so that no delay of AWS takes real time. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /**
   * Calls back once, when the time has passed.
   * @returns a function that cancels the call
   */
  after(milliseconds: number, callback: () => void): () => void;
}

export const SYSTEM_CLOCK: Clock = {
  now: () => Date.now(),
  after: (milliseconds, callback) => {
    const timer = setTimeout(callback, milliseconds);
    return () => clearTimeout(timer);
  },
};

/** @returns the time as ISO 8601 */
export function timestampOf(clock: Clock): string {
  return new Date(clock.now()).toISOString();
}

/** Something that is not as promised. */
export interface Violation {
  /** What must hold, in a sentence. */
  readonly rule: string;
  /** The rows, names or values that break it. */
  readonly found: readonly unknown[];
}

/** A violation when something was found, otherwise none. */
export function violationIf(rule: string, found: readonly unknown[]): Violation[] {
  return found.length === 0 ? [] : [{ rule, found }];
}

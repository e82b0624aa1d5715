import type { SourcePlace } from '../sql/places.ts';

/** `lint` fails on an error. It reports a warning, and fails on one only with --strict. */
type Severity = 'error' | 'warning';

/** One thing that a linter reports, with its place. */
export interface Finding extends SourcePlace {
  /** Name of the rule, for comments and `accept`: `create-index`. */
  readonly rule: string;
  readonly severity: Severity;
  /** What is wrong, in which index or statement, why, and what to do. */
  readonly message: string;
  /** An entry of the registry that replaces the statement, as the registry is written: TypeScript or JSON. Undefined: none does. */
  readonly entry?: string | undefined;
}

/** An error fails `lint`; a warning is told. */
export type Severity = 'error' | 'warning';

/** One thing that a linter found, at its place. */
export interface Finding {
  /** Name of the rule, as comments and `accept` name it: `create-index`. */
  readonly rule: string;
  readonly severity: Severity;
  /** As the reader knows it: the path that was given, or that was found below it. */
  readonly file: string;
  /** Counted from 1. */
  readonly line: number;
  /** In characters, counted from 1. */
  readonly column: number;
  /** What is wrong, with which index or statement, why, and what to do instead. */
  readonly message: string;
  /** A finished entry of the registry that takes the statement's place, as TypeScript. Undefined: there is none. */
  readonly entry?: string | undefined;
}

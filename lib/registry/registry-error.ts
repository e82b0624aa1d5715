import type { RegistryRuleName } from './registry-rules.ts';

/** One thing that is wrong in a registry, and where. */
export interface RegistryProblem {
  readonly rule: RegistryRuleName;
  /** The registry's file, as the reader knows it. */
  readonly file: string;
  /** Counted from 1. */
  readonly line: number;
  /** In characters, counted from 1. */
  readonly column: number;
  /** The entry, by name where it has one: `entry 3 "idx_deals_tenant"`. Empty: the file as a whole. */
  readonly entry: string;
  /** The field that is wrong. Empty: the entry or the file as a whole. */
  readonly field: string;
  /** What is wrong and what to write instead. */
  readonly message: string;
}

/** A registry cannot be used; the message lists every problem found, so that one look mends them all. */
export class RegistryError extends Error {
  override readonly name = 'RegistryError';
  readonly problems: readonly RegistryProblem[];

  constructor(problems: readonly RegistryProblem[], cause?: unknown) {
    super(describe(problems), { cause });
    this.problems = problems;
  }
}

/** A problem in words, without its place: the same from `lint`, `cdk synth` and `run`. */
export function problemText({ entry, field, message }: RegistryProblem): string {
  return [entry, field, message].filter((part) => part !== '').join(': ');
}

function describe(problems: readonly RegistryProblem[]): string {
  const lines = problems.map(
    (problem) => `${problem.file}:${problem.line}:${problem.column}: ${problemText(problem)}`,
  );
  if (lines.length === 1) return `The index registry is wrong. ${lines[0]}`;
  return [`The index registry has ${lines.length} problems:`, ...lines.map((line) => `  - ${line}`)].join(
    '\n',
  );
}

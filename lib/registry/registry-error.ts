import { LinesError } from '../../lambdas/shared/errors.ts';
import { hideOwnFrames } from '../files/own-frames.ts';
import type { SourcePlace } from '../sql/places.ts';
import type { RegistryRuleName } from './registry-rules.ts';

/** A problem in a registry and its place. */
export interface RegistryProblem extends SourcePlace {
  readonly rule: RegistryRuleName;
  /** The entry, with its name if it has one: `entry 3 "idx_deals_tenant"`. Empty: the whole file. */
  readonly entry: string;
  /** The wrong field. Empty: the whole entry or file. */
  readonly field: string;
  /** What is wrong, and what to write instead. */
  readonly message: string;
}

/** A registry is wrong. The message lists every problem, so that you can fix all of them at once. */
export class RegistryError extends LinesError {
  override readonly name = 'RegistryError';
  readonly problems: readonly RegistryProblem[];

  constructor(problems: readonly RegistryProblem[], cause?: unknown) {
    super(describe(problems), { cause });
    this.problems = problems;
    hideOwnFrames(this);
  }
}

/** The text of a problem without its place: the same in `lint`, `cdk synth` and `run`. */
export function problemText({
  entry,
  field,
  message,
}: Pick<RegistryProblem, 'entry' | 'field' | 'message'>): string {
  return [entry, field, message].filter((part) => part !== '').join(': ');
}

function describe(problems: readonly RegistryProblem[]): string[] {
  const lines = problems.map(
    (problem) => `${problem.file}:${problem.line}:${problem.column}: ${problemText(problem)}`,
  );
  if (lines.length === 1) return [`The index registry is wrong. ${lines[0]}`];
  return [`The index registry has ${lines.length} problems:`, ...lines.map((line) => `  - ${line}`)];
}

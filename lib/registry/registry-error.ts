/** One thing that is wrong in a registry. */
export interface RegistryProblem {
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

  /** @param source the registry's file, as the reader knows it. */
  constructor(source: string, problems: readonly RegistryProblem[], cause?: unknown) {
    super(describe(source, problems), { cause });
    this.problems = problems;
  }
}

function describe(source: string, problems: readonly RegistryProblem[]): string {
  const lines = problems.map(({ entry, field, message }) =>
    [source, entry, field, message].filter((part) => part !== '').join(': '),
  );
  if (lines.length === 1) return `The index registry is wrong. ${lines[0]}`;
  return [`The index registry has ${lines.length} problems:`, ...lines.map((line) => `  - ${line}`)].join(
    '\n',
  );
}

import type { IndexEntry } from '../registry/define-indexes.ts';

/** What `doctor` can find, in the order of its output. */
export const KINDS = [
  'invalid',
  'not-in-database',
  'foreign-key-without-index',
  'tenant-table-without-index',
  'sequential-scans',
  'slow-statement',
  'duplicate',
  'redundant',
  'unused',
  'bloated',
  'not-in-registry',
  'prepared-transaction',
  'long-transaction',
  'active-session',
] as const;

export type Kind = (typeof KINDS)[number];

/** How certain it is that the fix helps and does no harm. `unknown`: the evidence does not suffice, and says what is missing. */
export const CONFIDENCES = ['high', 'medium', 'unknown'] as const;

export type Confidence = (typeof CONFIDENCES)[number];

export interface Finding {
  readonly kind: Kind;
  /** Null: it concerns no table. */
  readonly schema: string | null;
  readonly table: string | null;
  readonly index: string | null;
  readonly columns: readonly string[];
  /** What was seen, in sentences. Without values of rows. */
  readonly evidence: string;
  /** SQL to run, or what to do. */
  readonly fix: string;
  readonly confidence: Confidence;
  /** The registry entry that fixes it. Null: the fix is another one. */
  readonly entry: IndexEntry | null;
  /** The statement that creates the index again. Null: the fix drops none. */
  readonly restore: string | null;
  /** What the finding costs, for the order of findings of one kind: bytes, rows, or milliseconds. */
  readonly weight: number;
}

/** What could not be examined. */
export interface Unknown {
  readonly kinds: readonly Kind[];
  readonly reason: string;
  /** What to run or to give. Null: nothing helps. */
  readonly fix: string | null;
}

/** A finding with what it does not have. */
export function finding(
  given: Pick<Finding, 'kind' | 'evidence' | 'fix' | 'confidence'> & Partial<Finding>,
): Finding {
  return {
    schema: null,
    table: null,
    index: null,
    columns: [],
    entry: null,
    restore: null,
    weight: 0,
    ...given,
  };
}

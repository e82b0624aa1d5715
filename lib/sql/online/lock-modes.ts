import type { RangeVar } from 'libpg-query';

/** The lock modes of tables, from the weakest to the strongest. */
export type LockMode =
  | 'ACCESS SHARE'
  | 'ROW SHARE'
  | 'ROW EXCLUSIVE'
  | 'SHARE UPDATE EXCLUSIVE'
  | 'SHARE'
  | 'SHARE ROW EXCLUSIVE'
  | 'EXCLUSIVE'
  | 'ACCESS EXCLUSIVE';

/** Modes that writes or reads of the application wait for. */
const BLOCKING: readonly LockMode[] = ['SHARE', 'SHARE ROW EXCLUSIVE', 'EXCLUSIVE', 'ACCESS EXCLUSIVE'];

export function isBlocking(mode: LockMode): boolean {
  return BLOCKING.includes(mode);
}

/**
 * How long a statement runs once it has its locks. `moment`: it changes the catalog only, however large the table is. `long`: it
 * reads or writes rows, so its time grows with them.
 */
export type Duration = 'moment' | 'long';

/** A lock that a statement takes on an existing table, view, index or sequence, and keeps until its transaction ends. */
export interface StatementLock {
  /** What is locked. Undefined: it is not known, so it may exist. */
  readonly relation: RangeVar | undefined;
  /** The statement as people know it: `ALTER TABLE … ADD COLUMN`. */
  readonly what: string;
  readonly mode: LockMode;
  readonly lasts: Duration;
  /** Nothing of an application waits for it, although the mode looks like it. @default false */
  readonly isHarmless?: boolean;
  /** What to write instead, or when it may be allowed: a sentence. @default nothing is better */
  readonly instead?: string;
}

/** `ACCESS EXCLUSIVE blocks reads and writes`, for a message. */
export function effectOf(mode: LockMode): string {
  return mode === 'ACCESS EXCLUSIVE' ? 'blocks reads and writes' : 'blocks writes';
}

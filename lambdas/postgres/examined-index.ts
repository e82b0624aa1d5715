import type { CompiledIndex } from '../shared/registry.ts';
import type { CatalogEntry } from './catalog.ts';
import type { NotBuildable, Obstacle } from './index-properties.ts';

/**
 * The state of a registry entry in the database:
 * - `present`: the index is valid and has the same definition, or that makes no difference: see `Purpose` in index-state.ts;
 * - `equivalent`: another valid index of the table has this definition, so a second one would only slow down writes;
 * - `drifted`: the index is valid and has another definition;
 * - `invalid`: the index exists on the table and is invalid;
 * - `missing`: none of these. Another relation can have the name;
 * - `retired`: the entry is retired, and the index does not exist (any more);
 * - `kept`: the entry is retired, and the index exists, valid or not.
 */
type IndexState = 'present' | 'equivalent' | 'drifted' | 'invalid' | 'missing' | 'retired' | 'kept';

export interface Examined {
  index: CompiledIndex;
  state: IndexState;
  /** The index was not compared, because its table is locked: `present` means that a valid index has the name. */
  locked: boolean;
  /** Why the index was not compared, for another reason than a lock, and how to change that. Null: it was, or it need not be. */
  notCompared: string | null;
  /** The relation that has its name. */
  entry: CatalogEntry | undefined;
  /** `equivalent`: name of the other index. `drifted`: the definition in the database. */
  detail: string | null;
  /** `equivalent`: the other index is attached to the index of a partitioned table. */
  otherIsAttached: boolean;
  /** `drifted`: why a replacement cannot be swapped in. Null: it can. */
  notSwappable: Obstacle | null;
  /** A replacement is built under another name and swapped in, because the index has something that must not be lost. */
  replacement: Replacement | null;
  /** `missing` or `invalid`: why the index cannot be built at all. Null: it can. */
  notBuildable: NotBuildable | null;
  /** An interrupted attempt left an index that must be dropped. */
  hasLeftover: boolean;
  /** Whether the constraint of the entry exists, and whether its index is valid, with or without it. Null: the entry has none. */
  constraint: { attached: boolean; indexValid: boolean } | null;
}

/** What follows from the index itself. */
export type ExaminedIndex = Omit<Examined, 'hasLeftover' | 'constraint'>;

/** Nothing is known but the index and its state. */
export const NOTHING_FOUND = {
  ...{ locked: false, notCompared: null, detail: null, otherIsAttached: false },
  ...{ notSwappable: null, replacement: null, notBuildable: null },
};

export interface Replacement {
  /** From USING on. */
  definition: string;
  /** It replaces an invalid index. */
  repairs: boolean;
}

/** Whether the entry needs a build. */
export function needsWork({ state, hasLeftover, replacement, notBuildable }: Examined): boolean {
  if (notBuildable !== null) return false;
  return state === 'missing' || state === 'invalid' || hasLeftover || replacement !== null;
}

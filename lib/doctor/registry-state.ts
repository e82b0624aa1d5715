import type { Examined } from '../../lambdas/postgres/examined-index.ts';
import { indexKey } from '../../lambdas/postgres/identifiers.ts';

/** A registry as a live database has it. */
export interface RegistryState {
  /** Entries whose table exists. */
  readonly examined: readonly Examined[];
  /** Entries whose table does not exist yet. */
  readonly withoutTable: readonly string[];
  /** The warnings of lint that entries accept, by id of the entry. */
  readonly accepted: ReadonlyMap<string, Readonly<Record<string, string>>>;
}

/** The entries by the index of the database that belongs to them, by `indexKey`: also one of another name. */
export class RegisteredState {
  readonly #byIndex = new Map<string, Examined>();
  readonly #accepted: RegistryState['accepted'];

  constructor(registry: RegistryState | null) {
    this.#accepted = registry?.accepted ?? new Map();
    for (const one of registry?.examined ?? []) {
      const { schema, name, constraint } = one.index;
      for (const own of [name, constraint?.name ?? name])
        this.#byIndex.set(indexKey({ schema, name: own }), one);
      if (one.state === 'equivalent' && one.detail !== null)
        this.#byIndex.set(indexKey({ schema, name: one.detail }), one);
    }
  }

  entryOf(index: { readonly schema: string; readonly name: string }): Examined | undefined {
    return this.#byIndex.get(indexKey(index));
  }

  /** Whether the entry of an index accepts a warning of lint. */
  accepts(index: { readonly schema: string; readonly name: string }, rule: string): boolean {
    const entry = this.entryOf(index);
    return entry !== undefined && this.#accepted.get(entry.index.entryId)?.[rule] !== undefined;
  }
}

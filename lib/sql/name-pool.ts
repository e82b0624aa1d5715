/** The names that are taken in a schema or a table. It finds the next free name without trying all those before it. */
export class NamePool {
  // Each table has a pool for its foreign keys, and most of these stay empty: an empty Map takes 200 bytes.
  /** How often each name is taken. */
  private taken: Map<string, number> | undefined;
  private bases: Map<string, { next: number; readonly freed: number[] }> | undefined;
  /** Where a name stands among the names with the same base. */
  private passes: Map<string, { readonly base: string; readonly pass: number }> | undefined;

  has(name: string): boolean {
    return this.taken?.has(name) ?? false;
  }

  add(name: string): void {
    this.taken ??= new Map();
    this.taken.set(name, (this.taken.get(name) ?? 0) + 1);
  }

  remove(name: string): void {
    const count = this.taken?.get(name) ?? 0;
    if (count > 1) {
      this.taken?.set(name, count - 1);
      return;
    }
    this.taken?.delete(name);
    const known = this.passes?.get(name);
    if (known === undefined) return;
    const freed = this.bases?.get(known.base)?.freed ?? [];
    // In descending order, so that the lowest number is at the end.
    const at = freed.findLastIndex((pass) => pass > known.pass) + 1;
    if (freed[at] !== known.pass) freed.splice(at, 0, known.pass);
  }

  /**
   * The first free one of the names that a base has with the numbers 0, 1, 2, … It stays free until `add`.
   * @param base distinguishes the names
   */
  firstFree(base: string, nameAt: (pass: number) => string): string {
    this.bases ??= new Map();
    const state = this.bases.get(base) ?? { next: 0, freed: [] };
    this.bases.set(base, state);
    for (let pass = state.freed.at(-1); pass !== undefined; pass = state.freed.at(-1)) {
      const name = nameAt(pass);
      if (!this.has(name)) return name;
      state.freed.pop();
    }
    for (;;) {
      const name = nameAt(state.next);
      if (!this.has(name)) return name;
      this.passes ??= new Map();
      this.passes.set(name, { base, pass: state.next });
      state.next += 1;
    }
  }
}

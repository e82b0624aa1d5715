/** A value whose first reads after a change still return the previous one, as in an API that is eventually consistent. */
export class EventualValue<T> {
  #current: T;
  #previous: T;
  #staleReads = 0;

  constructor(value: T) {
    this.#current = value;
    this.#previous = value;
  }

  /** @param staleReads how many reads still return the value before this one */
  change(value: T, staleReads: number): void {
    this.#previous = this.#current;
    this.#current = value;
    this.#staleReads = staleReads;
  }

  read(): T {
    if (this.#staleReads === 0) return this.#current;
    this.#staleReads -= 1;
    return this.#previous;
  }
}

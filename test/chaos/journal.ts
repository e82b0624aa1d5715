/** What happened in a round, with times, for the message of a failure; and the counts of all rounds, for the summary. */
export class Journal {
  readonly lines: string[] = [];
  readonly #counts: Map<string, number>;
  readonly #started = Date.now();

  /** @param counts shared by the journals of all rounds */
  constructor(counts: Map<string, number>) {
    this.#counts = counts;
  }

  note(text: string): void {
    const seconds = ((Date.now() - this.#started) / 1000).toFixed(1).padStart(6);
    this.lines.push(`${seconds} s  ${text}`);
  }

  /** @param what plural, as in the summary: "restarts (fast)" */
  count(what: string, by = 1): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + by);
  }
}

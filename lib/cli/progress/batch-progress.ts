import type { Batch } from '../../../lambdas/shared/build-payloads.ts';
import { grouped } from '../../../lambdas/shared/report-names.ts';

/** One batch of the current round. */
interface BatchProgress {
  builds: number;
  built: number;
  failed: number;
  /** Time of the last line about it, in milliseconds since 1970. */
  reportedAt: number;
}

/** The batches of one phase: those of the current round, and the numbers of all earlier ones. */
export class Batches {
  #current = new Map<number, BatchProgress>();
  #before = { built: 0, failed: 0 };

  /** Begins a round. */
  plan(batches: readonly Batch[], now: number): void {
    this.#before = this.#counts();
    this.#current = new Map(
      batches.map(({ part, builds }) => [part, { builds, built: 0, failed: 0, reportedAt: now }]),
    );
  }

  /** @returns undefined for a batch that no plan contained */
  update(part: number, numbers: Partial<BatchProgress>): BatchProgress | undefined {
    const batch = this.#current.get(part);
    return batch && Object.assign(batch, numbers);
  }

  /** `120 of 500 small indexes built, 2 failed`. Empty: there was no batch. */
  get summary(): string {
    const { built, failed } = this.#counts();
    const planned = [...this.#current.values()].reduce((sum, { builds }) => sum + builds, 0);
    const total = planned + this.#before.built + this.#before.failed;
    if (total === 0) return '';
    return `${grouped(built)} of ${grouped(total)} small indexes built${failed > 0 ? `, ${grouped(failed)} failed` : ''}`;
  }

  #counts(): { built: number; failed: number } {
    const { built, failed } = this.#before;
    return [...this.#current.values()].reduce(
      (sum, batch) => ({ built: sum.built + batch.built, failed: sum.failed + batch.failed }),
      { built, failed },
    );
  }
}

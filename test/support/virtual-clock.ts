import { type EngineClock, REAL_CLOCK } from '../../lib/local/engine.ts';

interface Sleeper {
  readonly until: number;
  readonly wake: () => void;
}

/**
 * A clock whose time passes only in pauses, and at once: ten minutes take a moment. Of several sleepers the earliest wakes
 * first. Work between two pauses takes no time.
 */
export class VirtualClock implements EngineClock {
  readonly #waits: 'virtual' | 'real';
  #now = Date.now();
  readonly #sleepers: Sleeper[] = [];

  /** @param waits real: Wait states take real time, because real processes are waited for @default virtual */
  constructor(waits: 'virtual' | 'real' = 'virtual') {
    this.#waits = waits;
  }

  now(): number {
    return this.#now;
  }

  async sleep(seconds: number, signal: AbortSignal, purpose: 'wait' | 'retry'): Promise<void> {
    if (purpose === 'wait' && this.#waits === 'real') {
      await REAL_CLOCK.sleep(seconds, signal, purpose);
      return;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#sleepers.push({ until: this.#now + seconds * 1000, wake: resolve });
    setImmediate(() => this.#wakeEarliest());
    await promise;
    signal.throwIfAborted();
  }

  #wakeEarliest(): void {
    this.#sleepers.sort((a, b) => a.until - b.until);
    const earliest = this.#sleepers.shift();
    if (earliest === undefined) return;
    this.#now = Math.max(this.#now, earliest.until);
    earliest.wake();
  }
}

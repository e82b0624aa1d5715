import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';

/** The only source of randomness of the chaos test: the same seed gives the same sequence of decisions. */
export class Random {
  readonly #generator: ReturnType<typeof xoroshiro128plus>;

  /** @param round each round has its own sequence, so that a round can be run alone */
  constructor(seed: number, round: number) {
    // The multiplier spreads seeds that are close to each other.
    this.#generator = xoroshiro128plus(Math.imul(seed, 0x9e3779b1) ^ Math.imul(round, 0x85ebca6b));
  }

  /** A whole number, both limits included. */
  integer(from: number, to: number): number {
    return uniformInt(this.#generator, from, to);
  }

  chance(percent: number): boolean {
    return this.integer(1, 100) <= percent;
  }

  /** @throws Error when the list is empty */
  pick<T>(list: readonly T[]): T {
    const picked = list[this.integer(0, list.length - 1)];
    if (picked === undefined) throw new Error('There is nothing to pick from.');
    return picked;
  }

  /** One of the values. A value with weight 3 is picked three times as often as one with weight 1. */
  weighted<T>(choices: readonly (readonly [weight: number, value: T])[]): T {
    return this.pick(choices.flatMap(([weight, value]) => Array.from({ length: weight }, () => value)));
  }
}

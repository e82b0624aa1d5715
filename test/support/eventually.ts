import { expect } from 'vitest';

/** Looks again and again until what it sees is as expected; the limit only ends what hangs. */
export function eventually<T>(look: () => T) {
  return expect.poll(look, { interval: 50, timeout: 60_000 });
}

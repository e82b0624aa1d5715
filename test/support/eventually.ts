import { expect } from 'vitest';

/** Polls a value until it is as expected. The timeout only ends a test that hangs. */
export function eventually<T>(read: () => T) {
  return expect.poll(read, { interval: 50, timeout: 60_000 });
}

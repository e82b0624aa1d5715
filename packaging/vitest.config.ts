import { defineConfig } from 'vitest/config';

/** The tests of the packed package. They install from the npm registry, so `npm test` leaves them out. */
export default defineConfig({
  test: {
    include: ['test/package/**/*.test.ts'],
    testTimeout: 600_000,
    hookTimeout: 600_000,
    maxWorkers: 1,
  },
});

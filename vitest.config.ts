import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    // Real servers on noisy two-core machines: the limits only end what hangs, no test asserts on time.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Most of the time is spent waiting for locks, services and pauses, so that three share two cores well.
    maxWorkers: 3,
    // .ci/run counts the tests from this file.
    reporters: process.env.TEST_RESULTS
      ? ['default', ['json', { outputFile: process.env.TEST_RESULTS }]]
      : ['default'],
  },
});

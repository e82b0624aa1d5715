import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    // Real servers on noisy two-core machines: the limits only end what hangs, no test asserts on time.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    maxWorkers: 2,
    // .ci/run counts the tests from this file.
    reporters: process.env.TEST_RESULTS
      ? ['default', ['json', { outputFile: process.env.TEST_RESULTS }]]
      : ['default'],
  },
});

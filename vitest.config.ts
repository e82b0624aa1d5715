import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    // The tests run real servers, also on busy two-core machines. The limits end tests that hang. No test depends on timing.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Most tests wait for locks, services and pauses, so four workers can share two cores.
    maxWorkers: 4,
    // .ci/run reads the number of tests from this file.
    reporters: process.env.TEST_RESULTS
      ? ['default', ['json', { outputFile: process.env.TEST_RESULTS }]]
      : ['default'],
  },
});

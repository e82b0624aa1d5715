import { defineConfig } from 'vitest/config';
import { SlowestFirst } from './test/support/slowest-first.ts';

const SOURCE = '@pg-deploy-step/source';

export default defineConfig({
  // The package's own name leads to its source: nothing has to be built.
  resolve: { conditions: [SOURCE] },
  ssr: { resolve: { conditions: [SOURCE], externalConditions: [SOURCE] } },
  test: {
    include: ['test/**/*.test.ts'],
    // They install from the npm registry: npm run test:package
    exclude: ['test/package/**'],
    globalSetup: ['test/support/global-setup.ts'],
    // The tests run real servers and synthesise stacks, also on two-core machines that are busy with ten times more. The limits
    // only end tests that hang. No test depends on timing.
    testTimeout: 600_000,
    hookTimeout: 600_000,
    // Most tests wait for locks, services and pauses: on two cores that are not busy, one worker uses 40 % of a core.
    maxWorkers: 5,
    sequence: { sequencer: SlowestFirst },
    // .ci/run reads the number of tests from this file.
    reporters: process.env.TEST_RESULTS
      ? ['default', ['json', { outputFile: process.env.TEST_RESULTS }]]
      : ['default'],
  },
});

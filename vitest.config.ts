import { defineConfig } from 'vitest/config';
import { SlowestFirst } from './test/support/slowest-first.ts';

const SOURCE = '@pg-deploy-step/source';

/** The package's own name leads to its source: nothing has to be built. */
const FROM_SOURCE = {
  resolve: { conditions: [SOURCE] },
  ssr: { resolve: { conditions: [SOURCE], externalConditions: [SOURCE] } },
};

/** vi.mock replaces a module only before its first import, so these files need a process each. */
const WITH_MOCKS = [
  'test/lint/linear-work.test.ts',
  'test/local/valid-definitions.test.ts',
  'test/sql/data-rows.test.ts',
];

// The tests run real servers and synthesise stacks, also on two-core machines that are busy with ten times more. The limits
// only end tests that hang. No test depends on timing.
const LIMITS = { testTimeout: 600_000, hookTimeout: 600_000 };

export default defineConfig({
  ...FROM_SOURCE,
  test: {
    projects: [
      {
        ...FROM_SOURCE,
        test: {
          ...LIMITS,
          name: 'tests',
          include: ['test/**/*.test.ts'],
          // Those of the package install from the npm registry: npm run test:package
          exclude: ['test/package/**', ...WITH_MOCKS],
          // To import aws-cdk-lib again for each file would take a fifth of the time.
          isolate: false,
        },
      },
      { ...FROM_SOURCE, test: { ...LIMITS, name: 'tests with mocks', include: WITH_MOCKS } },
    ],
    globalSetup: ['test/support/global-setup.ts'],
    // Most tests wait for locks, services and pauses: on two cores that are not busy, one worker uses 40 % of a core.
    maxWorkers: 5,
    sequence: { sequencer: SlowestFirst },
    // .ci/run reads the number of tests from this file.
    reporters: process.env.TEST_RESULTS
      ? ['default', ['json', { outputFile: process.env.TEST_RESULTS }]]
      : ['default'],
  },
});

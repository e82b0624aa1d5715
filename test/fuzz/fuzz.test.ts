import { randomInt } from 'node:crypto';
import { expect, test } from 'vitest';
import { RULES } from './properties.ts';

/** Few cases for each run of all tests. `npm run fuzz` runs more. */
const CASES = 100;

test.each(RULES)('$name', async ({ check }) => {
  const { failure } = await check({ seed: randomInt(2 ** 31), numRuns: CASES });
  expect(failure).toBeNull();
});

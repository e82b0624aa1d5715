import { describe } from 'vitest';
import { adminUrlOf, createDatabase, type TestDatabase } from './database.ts';
import { MAJORS, type Major } from './majors.ts';

export { MAJORS, type Major };

/**
 * Runs a suite on each version. The versions run side by side, because the tests mostly wait for locks; the tests of one
 * version run one after the other. `expect.poll` supports only one running test, so such a suite waits with waits.ts.
 */
export function onEachMajor(name: string, tests: (major: Major) => void): void {
  describe.each(MAJORS)(`${name}, PostgreSQL %i`, { concurrent: true }, (major) => {
    describe.sequential('in sequence', () => tests(major));
  });
}

export interface TestServer {
  readonly adminUrl: string;
  createDatabase(): Promise<TestDatabase>;
}

/** The server of the whole test run for a version. Using it throws an Error if that server did not start. */
export function serverOf(major: Major): TestServer {
  return {
    get adminUrl() {
      return adminUrlOf(major);
    },
    createDatabase: () => createDatabase({ adminUrl: adminUrlOf(major) }),
  };
}

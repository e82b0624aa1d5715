import { describe, inject } from 'vitest';
import { startEmbeddedPostgres } from '../../lib/local/embedded-postgres.ts';
import { createDatabase, type TestDatabase } from './database.ts';

/** The newest and the oldest supported major version. */
export const MAJORS = [18, 14] as const;
export type Major = (typeof MAJORS)[number];

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
  stop(): Promise<void>;
}

/** The server of the whole test run for 18. For 14 a server that the test file starts once and stops. */
export async function openServer(major: Major): Promise<TestServer> {
  const own = major === 18 ? undefined : await startEmbeddedPostgres({ major, settings: { fsync: 'off' } });
  const adminUrl = own?.url() ?? inject('adminUrl');
  return {
    adminUrl,
    createDatabase: () => createDatabase({ adminUrl }),
    stop: async () => await own?.stop('immediate'),
  };
}

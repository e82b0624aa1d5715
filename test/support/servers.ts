import { inject } from 'vitest';
import { startEmbeddedPostgres } from '../../lib/local/embedded-postgres.ts';
import { createDatabase, type TestDatabase } from './database.ts';
import type { Major } from './rig.ts';

export interface TestServer {
  readonly adminUrl: string;
  createDatabase(): Promise<TestDatabase>;
  stop(): Promise<void>;
}

/** The run's own server for 18; for 14 one that the test file starts once and stops. */
export async function openServer(major: Major): Promise<TestServer> {
  const own = major === 18 ? undefined : await startEmbeddedPostgres({ major, settings: { fsync: 'off' } });
  const adminUrl = own?.url() ?? inject('adminUrl');
  return {
    adminUrl,
    createDatabase: () => createDatabase({ adminUrl }),
    stop: async () => await own?.stop('immediate'),
  };
}

import { inject } from 'vitest';
import { startEmbeddedPostgres } from '../../lib/local/embedded-postgres.ts';
import { createDatabase, type TestDatabase } from './database.ts';
import type { Major } from './rig.ts';

export interface TestServer {
  readonly adminUrl: string;
  createDatabase(): Promise<TestDatabase>;
  stop(): Promise<void>;
}

/** A server for a test file. For 18 it is the server of the whole run, for 14 a new one that `stop` stops. */
export async function openServer(major: Major): Promise<TestServer> {
  const own = major === 18 ? undefined : await startEmbeddedPostgres({ major, settings: { fsync: 'off' } });
  const adminUrl = own?.url() ?? inject('adminUrl');
  return {
    adminUrl,
    createDatabase: () => createDatabase({ adminUrl }),
    stop: async () => await own?.stop('immediate'),
  };
}

import type { TestProject } from 'vitest/node';
import { startEmbeddedPostgres } from '../../lib/local/embedded-postgres.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Connection string of the server's database postgres, as superuser. */
    adminUrl: string;
  }
}

/** One PostgreSQL server for the whole run; each test file makes databases of its own on it. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await startEmbeddedPostgres();
  project.provide('adminUrl', server.url());
  return () => server.stop();
}

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { startEmbeddedPostgres } from '../../lib/local/embedded-postgres.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Connection string of the server's database postgres, as superuser. */
    adminUrl: string;
    /** Folder for files that test files share; it exists as long as the run. */
    runFolder: string;
  }
}

/** One PostgreSQL server and one folder for the whole run; each test file creates its own databases on the server. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  // Poolers and other names of the host need a port.
  const server = await startEmbeddedPostgres({ tcp: true });
  const runFolder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-tests-'));
  project.provide('adminUrl', server.url());
  project.provide('runFolder', runFolder);
  return async () => {
    rmSync(runFolder, { recursive: true, force: true });
    await server.stop();
  };
}

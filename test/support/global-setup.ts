import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../lib/local/embedded-postgres.ts';
import { MAJORS, type Major } from './majors.ts';

/** A connection string of the database postgres, as superuser, or why the server did not start. */
type ServerOfRun = { readonly adminUrl: string } | { readonly error: string };

declare module 'vitest' {
  interface ProvidedContext {
    /** The servers of the run by their major version. */
    servers: Readonly<Record<Major, ServerOfRun>>;
    /** Folder for files that test files share; it exists as long as the run. */
    runFolder: string;
  }
}

/** One PostgreSQL server of each version, and one folder, for the whole run. Each test file creates its own databases. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const started: EmbeddedPostgres[] = [];
  const start = async (major: Major): Promise<[Major, ServerOfRun]> => {
    try {
      // Poolers and other names of the host need a port. The tests that need durable commits start servers of their own.
      const server = await startEmbeddedPostgres({ major, tcp: true, settings: { fsync: 'off' } });
      started.push(server);
      return [major, { adminUrl: server.url() }];
    } catch (error) {
      // Not every system has binaries of every version. The tests of the other version can run.
      return [major, { error: String(error) }];
    }
  };
  const servers = Object.fromEntries(await Promise.all(MAJORS.map(start))) as Record<Major, ServerOfRun>;
  const runFolder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-tests-'));
  project.provide('servers', servers);
  project.provide('runFolder', runFolder);
  return async () => {
    rmSync(runFolder, { recursive: true, force: true });
    await Promise.all(started.map((server) => server.stop('immediate')));
  };
}

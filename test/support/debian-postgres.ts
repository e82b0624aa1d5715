import { execFileSync } from 'node:child_process';
import { chownSync, existsSync, globSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { initialiseCluster, randomPassword } from '../../lib/local/postgres-cluster.ts';
import { startServer, stopServer } from '../../lib/local/postgres-server.ts';

/*
 * The server of Debian's packages, which has extensions that the embedded one has not: hypopg. `.ci/run` installs the packages.
 */

/** The newest version for which an extension is installed. Undefined: there is none. */
export function debianVersionWith(extension: string): string | undefined {
  return globSync(`/usr/share/postgresql/*/extension/${extension}.control`)
    .flatMap((file) => file.split('/')[4] ?? [])
    .filter((version) => existsSync(`/usr/lib/postgresql/${version}/bin/postgres`))
    .toSorted((one, two) => Number(two) - Number(one))[0];
}

export interface DebianPostgres {
  /** Connection string of a superuser. */
  readonly adminUrl: string;
  stop(): Promise<void>;
}

/** Starts a server in a new temporary folder. */
export async function startDebianPostgres(version: string): Promise<DebianPostgres> {
  const root = mkdtempSync(join(tmpdir(), 'pg-deploy-step-debian-'));
  const bin = (name: string) => `/usr/lib/postgresql/${version}/bin/${name}`;
  const idOf = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  // PostgreSQL does not run as root.
  const user = process.getuid?.() === 0 ? { uid: idOf('-u'), gid: idOf('-g') } : {};
  if (user.uid !== undefined && user.gid !== undefined) chownSync(root, user.uid, user.gid);
  const cluster = {
    binaries: { postgres: bin('postgres'), initdb: bin('initdb'), pgCtl: bin('pg_ctl'), version, user },
    root,
    dataDirectory: join(root, 'data'),
    logFile: join(root, 'postgres.log'),
    socketFolder: null,
    tcp: true,
  };
  const password = randomPassword();
  await initialiseCluster(cluster, { fsync: 'off' }, password);
  const { child, port } = await startServer(cluster);
  return {
    adminUrl: `postgres://postgres:${password}@127.0.0.1:${port}/postgres`,
    stop: async () => {
      await stopServer(child, 'immediate');
      rmSync(root, { recursive: true, force: true });
    },
  };
}

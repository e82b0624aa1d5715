import { execFile } from 'node:child_process';
import { appendFile, chown, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import type { PostgresBinaries } from './postgres-binaries.ts';

/** One database cluster on this machine, with the binaries that run it. */
export interface Cluster {
  readonly binaries: PostgresBinaries;
  /** Folder of the cluster. It contains the data directory and the log. */
  readonly root: string;
  readonly dataDirectory: string;
  readonly logFile: string;
}

export const USER = 'postgres';
export const PASSWORD = 'postgres';

const DEFAULT_SETTINGS = { shared_buffers: '256MB', max_connections: '100' };

/** Runs initdb, unless the data directory already contains a cluster, and writes the settings. */
export async function initialiseCluster(
  { binaries, root, dataDirectory }: Cluster,
  settings: Readonly<Record<string, string>>,
): Promise<void> {
  const exists = await readFile(path.join(dataDirectory, 'PG_VERSION')).then(
    () => true,
    () => false,
  );
  if (!exists) {
    const passwordFile = path.join(root, 'password');
    await writeFile(passwordFile, PASSWORD, { mode: 0o600 });
    const { uid, gid } = binaries.user;
    if (uid !== undefined && gid !== undefined) await chown(passwordFile, uid, gid);
    await promisify(execFile)(
      binaries.initdb,
      [
        ...['-D', dataDirectory, '-U', USER, '--auth=scram-sha-256', `--pwfile=${passwordFile}`],
        ...['--encoding=UTF8', '--locale=C', '--no-sync', '--no-instructions'],
      ],
      { ...binaries.user, cwd: root, env: { PATH: process.env.PATH } },
    );
    await rm(passwordFile);
  }
  const lines = {
    ...DEFAULT_SETTINGS,
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_line_prefix: '%m [%p] %q%a@%d %e ',
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    ...settings,
  };
  const text = Object.entries(lines).map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`);
  // PostgreSQL uses the last line that names a setting.
  await appendFile(path.join(dataDirectory, 'postgresql.conf'), text.join(''));
}

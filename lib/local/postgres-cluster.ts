import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { open, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import type { PostgresBinaries } from './postgres-binaries.ts';

/** One database cluster on this machine, with the binaries that run it. */
export interface Cluster {
  readonly binaries: PostgresBinaries;
  /** Folder of the cluster. It contains the data directory and the log. Only the user of the server can enter it. */
  readonly root: string;
  readonly dataDirectory: string;
  readonly logFile: string;
  /** Folder of the Unix socket, as private as `root`. Null: the server listens on 127.0.0.1 only. */
  readonly socketFolder: string | null;
  /** The server listens on a port of 127.0.0.1. */
  readonly tcp: boolean;
}

export const USER = 'postgres';

const DEFAULT_SETTINGS = { shared_buffers: '256MB', max_connections: '100' };

/** A password that no other account on this machine knows. Its characters have no meaning in a URL, in SQL or in a file. */
export function randomPassword(): string {
  return randomBytes(24).toString('base64url');
}

/**
 * Runs initdb, unless the data directory already contains a cluster, and writes the settings. Every connection, also one
 * over the socket, needs the password.
 * @param password of the superuser. It is only in a file for initdb, which is removed
 * @throws Error when initdb fails
 */
export async function initialiseCluster(
  cluster: Cluster,
  settings: Readonly<Record<string, string>>,
  password: string,
): Promise<void> {
  const { dataDirectory } = cluster;
  const exists = await readFile(path.join(dataDirectory, 'PG_VERSION')).then(
    () => true,
    () => false,
  );
  if (!exists) await runInitdb(cluster, password);
  const lines = {
    ...DEFAULT_SETTINGS,
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_line_prefix: '%m [%p] %q%a@%d %e ',
    ...listenSettings(cluster),
    ...settings,
  };
  const text = Object.entries(lines).map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`);
  // PostgreSQL uses the last line that names a setting.
  const file = await open(
    path.join(dataDirectory, 'postgresql.conf'),
    constants.O_WRONLY | constants.O_APPEND | NO_FOLLOW,
  );
  await file.writeFile(text.join('')).finally(() => file.close());
}

/** If root runs this, the folder belongs to another user, whose links root must not follow. Windows has no such flag. */
const NO_FOLLOW = constants.O_NOFOLLOW ?? 0;

async function runInitdb({ binaries, root, dataDirectory }: Cluster, password: string): Promise<void> {
  const passwordFile = path.join(root, 'password');
  const { uid, gid } = binaries.user;
  const file = await open(
    passwordFile,
    constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | NO_FOLLOW,
    0o600,
  );
  try {
    await file.writeFile(password);
    if (uid !== undefined && gid !== undefined) await file.chown(uid, gid);
  } finally {
    await file.close();
  }
  try {
    await promisify(execFile)(
      binaries.initdb,
      [
        ...['-D', dataDirectory, '-U', USER, '--auth=scram-sha-256', `--pwfile=${passwordFile}`],
        ...['--encoding=UTF8', '--locale=C', '--no-sync', '--no-instructions'],
      ],
      { ...binaries.user, cwd: root, env: { PATH: process.env.PATH } },
    );
  } finally {
    await rm(passwordFile);
  }
}

function listenSettings({ socketFolder, tcp }: Cluster): Record<string, string> {
  return {
    listen_addresses: tcp ? '127.0.0.1' : '',
    // The setting is a list: quotes keep commas in the name of a folder together.
    unix_socket_directories: socketFolder === null ? '' : `"${socketFolder.replaceAll('"', '""')}"`,
    unix_socket_permissions: '0700',
  };
}

import { execFile } from 'node:child_process';
import { appendFile, chown, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import type { PostgresBinaries } from './postgres-binaries.ts';

export const USER = 'postgres';
export const PASSWORD = 'postgres';

const SETTINGS = { shared_buffers: '256MB', max_connections: '100' };

/** Makes a cluster, unless the folder holds one, and writes its settings. */
export async function initialise(
  binaries: PostgresBinaries,
  root: string,
  data: string,
  settings: Readonly<Record<string, string>>,
): Promise<void> {
  const isCluster = await readFile(path.join(data, 'PG_VERSION')).then(
    () => true,
    () => false,
  );
  if (!isCluster) {
    const passwordFile = path.join(root, 'password');
    await writeFile(passwordFile, PASSWORD, { mode: 0o600 });
    const { uid, gid } = binaries.user;
    if (uid !== undefined && gid !== undefined) await chown(passwordFile, uid, gid);
    await promisify(execFile)(
      binaries.initdb,
      [
        ...['-D', data, '-U', USER, '--auth=scram-sha-256', `--pwfile=${passwordFile}`],
        ...['--encoding=UTF8', '--locale=C', '--no-sync', '--no-instructions'],
      ],
      { ...binaries.user, cwd: root, env: { PATH: process.env.PATH } },
    );
    await rm(passwordFile);
  }
  const lines = {
    ...SETTINGS,
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_line_prefix: '%m [%p] %q%a@%d %e ',
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    ...settings,
  };
  const text = Object.entries(lines).map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`);
  await appendFile(path.join(data, 'postgresql.conf'), text.join(''));
}

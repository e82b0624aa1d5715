import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { appendFile, chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { findPostgresBinaries, makePrivateFolder, type PostgresBinaries } from './postgres-binaries.ts';

export const USER = 'postgres';
export const PASSWORD = 'postgres';

/** `fast` ends the sessions and writes everything out; `immediate` is a crash: the next start recovers. */
export type StopMode = 'fast' | 'immediate';

export interface EmbeddedPostgresOptions {
  /** @default 18 */
  readonly major?: 18 | 14;
  /** Lines of postgresql.conf. @default shared_buffers 256MB, max_connections 100 */
  readonly settings?: Readonly<Record<string, string>>;
  /** Where the data lies. A folder that is named here is used again if it holds a cluster, and is kept.
   * @default a fresh temporary folder, removed at the end */
  readonly directory?: string;
}

export interface EmbeddedPostgres {
  readonly port: number;
  readonly dataDirectory: string;
  readonly logFile: string;
  /** The server's version, as in 18.4. */
  readonly version: string;
  /** Connection string of a database. @default the database postgres */
  url(database?: string): string;
  /** Ends the server and removes its temporary folder. A second call does nothing. @default fast */
  stop(mode?: StopMode): Promise<void>;
  /** Ends the server and starts it on the same port. @default fast */
  restart(mode?: StopMode): Promise<void>;
}

const SETTINGS = { shared_buffers: '256MB', max_connections: '100' };
const STARTS_IN_SECONDS = 60;

/**
 * Starts a PostgreSQL server of its own on a free port of 127.0.0.1: user and password `postgres`. Ctrl-C in the
 * terminal does not reach it, so that whoever started it can clean up first; and it ends by itself when the process
 * that started it dies, however it dies.
 * @throws Error with the end of the server's log when it does not come up.
 */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions = {},
): Promise<EmbeddedPostgres> {
  const binaries = await findPostgresBinaries(options.major ?? 18);
  const root = options.directory ?? (await mkdtemp(path.join(tmpdir(), 'pg-deploy-step-db-')));
  await makePrivateFolder(root, binaries.user);
  const data = path.join(root, 'data');
  const logFile = path.join(root, 'postgres.log');
  const watchdog = startWatchdog(binaries, root, data, options.directory === undefined);
  try {
    await initialise(binaries, root, data, options.settings ?? {});
    const first = await startServer(binaries, data, logFile);
    return new Server(binaries, data, logFile, watchdog, first.child, first.port);
  } catch (error) {
    await endWatchdog(watchdog);
    throw error;
  }
}

class Server implements EmbeddedPostgres {
  readonly port: number;
  readonly dataDirectory: string;
  readonly logFile: string;
  readonly version: string;
  readonly #binaries: PostgresBinaries;
  readonly #watchdog: ChildProcess;
  #child: ChildProcess;
  #stopped: Promise<void> | undefined;

  constructor(
    binaries: PostgresBinaries,
    data: string,
    logFile: string,
    watchdog: ChildProcess,
    child: ChildProcess,
    port: number,
  ) {
    this.#binaries = binaries;
    this.#watchdog = watchdog;
    this.#child = child;
    this.dataDirectory = data;
    this.logFile = logFile;
    this.port = port;
    this.version = binaries.version.replace(/-.*$/, '');
  }

  url(database = 'postgres'): string {
    return `postgres://${USER}:${PASSWORD}@127.0.0.1:${this.port}/${encodeURIComponent(database)}`;
  }

  stop(mode: StopMode = 'fast'): Promise<void> {
    this.#stopped ??= endServer(this.#child, mode).then(() => endWatchdog(this.#watchdog));
    return this.#stopped;
  }

  async restart(mode: StopMode = 'fast'): Promise<void> {
    await endServer(this.#child, mode);
    const { child } = await startServer(this.#binaries, this.dataDirectory, this.logFile, this.port);
    this.#child = child;
  }
}

/** Waits, in a session of its own, until the pipe from this process closes; then ends the server, whatever happened. */
function startWatchdog(
  binaries: PostgresBinaries,
  root: string,
  data: string,
  remove: boolean,
): ChildProcess {
  const script = [
    'cat >/dev/null',
    '"$1" stop -D "$2" -m fast -t 20 || "$1" stop -D "$2" -m immediate -t 20',
    ...(remove ? ['rm -rf "$3"'] : []),
  ].join('\n');
  const child = spawn('/bin/sh', ['-c', script, 'watchdog', binaries.pgCtl, data, root], {
    ...binaries.user,
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  child.unref();
  (child.stdin as { unref?: () => void } | null)?.unref?.();
  child.stdin?.on('error', () => undefined);
  return child;
}

async function endWatchdog(watchdog: ChildProcess): Promise<void> {
  if (watchdog.exitCode !== null || watchdog.signalCode !== null) return;
  watchdog.ref();
  const ended = once(watchdog, 'exit');
  watchdog.stdin?.end();
  await ended;
}

async function initialise(
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

async function startServer(binaries: PostgresBinaries, data: string, logFile: string, fixedPort?: number) {
  for (let attempt = 1; ; attempt += 1) {
    const port = fixedPort ?? (await freePort());
    const child = launch(binaries, data, logFile, port);
    if (await isReady(child, data)) return { child, port };
    const log = (await readFile(logFile, 'utf8').catch(() => '')).split('\n').slice(-20).join('\n');
    // Another process took the port between our look and the server's bind.
    if (fixedPort === undefined && attempt < 5 && log.includes('could not bind')) continue;
    child.kill('SIGQUIT');
    throw new Error(`PostgreSQL did not start on port ${port}. The end of its log:\n${log}`);
  }
}

function launch(binaries: PostgresBinaries, data: string, logFile: string, port: number): ChildProcess {
  const log = openSync(logFile, 'a');
  const child = spawn(binaries.postgres, ['-D', data, '-p', String(port)], {
    ...binaries.user,
    cwd: path.dirname(data),
    detached: true,
    stdio: ['ignore', log, log],
    env: { PATH: process.env.PATH },
  });
  closeSync(log);
  child.on('error', () => undefined);
  child.unref();
  return child;
}

/** Reads what the server says of itself in postmaster.pid, as pg_ctl does. */
async function isReady(child: ChildProcess, data: string): Promise<boolean> {
  const deadline = Date.now() + STARTS_IN_SECONDS * 1000;
  while (Date.now() < deadline) {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return false;
    const lines = (await readFile(path.join(data, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
    if (Number(lines[0]) === child.pid && lines[7]?.trim() === 'ready') return true;
    await pause(20);
  }
  return false;
}

async function endServer(child: ChildProcess, mode: StopMode): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.ref();
  const ended = once(child, 'exit');
  child.kill(mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
  await ended;
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('No free port on 127.0.0.1.');
  return address.port;
}

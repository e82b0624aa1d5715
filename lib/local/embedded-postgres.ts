import type { ChildProcess } from 'node:child_process';
import { rmdirSync } from 'node:fs';
import path from 'node:path';
import { createTemporaryFolder, SHORT_TEMPORARY_FOLDER } from '../files/temporary-folder.ts';
import { findPostgresBinaries, makePrivateFolder } from './postgres-binaries.ts';
import { type Cluster, initialiseCluster, randomPassword, USER } from './postgres-cluster.ts';
import { type StopMode, startServer, stopServer } from './postgres-server.ts';
import { endWatchdog, startWatchdog } from './postgres-watchdog.ts';

interface EmbeddedPostgresOptions {
  /** @default 18 */
  readonly major?: 18 | 14;
  /** Settings for postgresql.conf. @default shared_buffers 256MB, max_connections 100 */
  readonly settings?: Readonly<Record<string, string>>;
  /** Folder of the cluster. It is kept, and a cluster that it already contains is used again.
   * @default a new temporary folder, which is removed at the end */
  readonly directory?: string;
  /** Password of the superuser `postgres`. A cluster that `directory` already contains keeps the password it was created with.
   * @default a random password */
  readonly password?: string;
  /** Also listen on a free port of 127.0.0.1, for a program that cannot use a Unix socket.
   * @default only a Unix socket in a private folder, where the operating system has them */
  readonly tcp?: boolean;
}

export interface EmbeddedPostgres {
  /** Folder of the Unix socket, or 127.0.0.1. */
  readonly host: string;
  readonly port: number;
  /** Password of the superuser `postgres`. */
  readonly password: string;
  readonly dataDirectory: string;
  readonly logFile: string;
  /** The server's version, such as 18.4. */
  readonly version: string;
  /** Connection string of a database. @default the database postgres */
  url(database?: string): string;
  /** Stops the server and removes its temporary folder. A second call does nothing. @default fast */
  stop(mode?: StopMode): Promise<void>;
  /** Stops the server and starts it again on the same port. @default fast */
  restart(mode?: StopMode): Promise<void>;
}

/**
 * Starts a PostgreSQL server on a Unix socket that only this user can reach. The superuser is `postgres`, with a random
 * password. Ctrl-C in the terminal does not reach the server, so that the process that started it can clean up first. The
 * server stops when that process ends, also when it is killed.
 * @throws Error with the end of the server's log when the server does not start
 */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions = {},
): Promise<EmbeddedPostgres> {
  const binaries = await findPostgresBinaries(options.major ?? 18);
  const root = options.directory ?? createTemporaryFolder('db');
  await makePrivateFolder(root, binaries.user);
  const socketFolder = socketFolderFor(root);
  if (socketFolder !== null && socketFolder !== root) await makePrivateFolder(socketFolder, binaries.user);
  const cluster: Cluster = {
    binaries,
    root,
    dataDirectory: path.join(root, 'data'),
    logFile: path.join(root, 'postgres.log'),
    socketFolder,
    tcp: options.tcp === true || socketFolder === null,
  };
  const password = options.password ?? randomPassword();
  const temporary = [
    ...(options.directory === undefined ? [root] : []),
    ...(socketFolder === null || socketFolder === root ? [] : [socketFolder]),
  ];
  const watchdog = startWatchdog(cluster, temporary);
  try {
    await initialiseCluster(cluster, options.settings ?? {}, password);
    return new Server(cluster, watchdog, { ...(await startServer(cluster)), password });
  } catch (error) {
    await endWatchdog(watchdog);
    throw error;
  }
}

/** Longest path of a Unix socket in bytes, without the zero at its end. */
const LONGEST_SOCKET_PATH = process.platform === 'linux' ? 107 : 103;
const LONGEST_SOCKET_NAME = '/.s.PGSQL.65535'.length;

/**
 * The folder for the server's socket: that of the cluster, or a folder with a short name if the path would be too long. Null
 * if neither is possible: then the server listens on 127.0.0.1.
 */
function socketFolderFor(root: string): string | null {
  const fits = (folder: string) => Buffer.byteLength(folder) + LONGEST_SOCKET_NAME <= LONGEST_SOCKET_PATH;
  if (process.platform === 'win32') return null;
  if (fits(root)) return root;
  try {
    const folder = createTemporaryFolder('socket', SHORT_TEMPORARY_FOLDER);
    if (fits(folder)) return folder;
    rmdirSync(folder);
  } catch {
    // The system has no such folder.
  }
  return null;
}

class Server implements EmbeddedPostgres {
  readonly port: number;
  readonly password: string;
  readonly #cluster: Cluster;
  readonly #watchdog: ChildProcess;
  #child: ChildProcess;
  #stopped: Promise<void> | undefined;

  constructor(
    cluster: Cluster,
    watchdog: ChildProcess,
    { child, port, password }: { child: ChildProcess; port: number; password: string },
  ) {
    this.#cluster = cluster;
    this.#watchdog = watchdog;
    this.#child = child;
    this.port = port;
    this.password = password;
  }

  get host(): string {
    return this.#cluster.socketFolder ?? '127.0.0.1';
  }

  get dataDirectory(): string {
    return this.#cluster.dataDirectory;
  }

  get logFile(): string {
    return this.#cluster.logFile;
  }

  get version(): string {
    return this.#cluster.binaries.version.replace(/-.*$/, '');
  }

  url(database = 'postgres'): string {
    const password = encodeURIComponent(this.password);
    return `postgres://${USER}:${password}@${encodeURIComponent(this.host)}:${this.port}/${encodeURIComponent(database)}`;
  }

  stop(mode: StopMode = 'fast'): Promise<void> {
    this.#stopped ??= stopServer(this.#child, mode).then(() => endWatchdog(this.#watchdog));
    return this.#stopped;
  }

  async restart(mode: StopMode = 'fast'): Promise<void> {
    await stopServer(this.#child, mode);
    const { child } = await startServer(this.#cluster, this.port);
    this.#child = child;
  }
}

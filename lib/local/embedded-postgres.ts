import type { ChildProcess } from 'node:child_process';
import path from 'node:path';
import { createTemporaryFolder } from '../files/temporary-folder.ts';
import { findPostgresBinaries, makePrivateFolder } from './postgres-binaries.ts';
import { type Cluster, initialiseCluster, PASSWORD, USER } from './postgres-cluster.ts';
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
}

export interface EmbeddedPostgres {
  readonly port: number;
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
 * Starts a PostgreSQL server on a free port of 127.0.0.1. User and password are `postgres`. Ctrl-C in the terminal does
 * not reach the server, so that the process that started it can clean up first. The server stops when that process ends,
 * also when it is killed.
 * @throws Error with the end of the server's log when the server does not start
 */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions = {},
): Promise<EmbeddedPostgres> {
  const binaries = await findPostgresBinaries(options.major ?? 18);
  const root = options.directory ?? createTemporaryFolder('db');
  await makePrivateFolder(root, binaries.user);
  const cluster: Cluster = {
    binaries,
    root,
    dataDirectory: path.join(root, 'data'),
    logFile: path.join(root, 'postgres.log'),
  };
  const watchdog = startWatchdog(cluster, options.directory === undefined);
  try {
    await initialiseCluster(cluster, options.settings ?? {});
    return new Server(cluster, watchdog, await startServer(cluster));
  } catch (error) {
    await endWatchdog(watchdog);
    throw error;
  }
}

class Server implements EmbeddedPostgres {
  readonly port: number;
  readonly #cluster: Cluster;
  readonly #watchdog: ChildProcess;
  #child: ChildProcess;
  #stopped: Promise<void> | undefined;

  constructor(
    cluster: Cluster,
    watchdog: ChildProcess,
    { child, port }: { child: ChildProcess; port: number },
  ) {
    this.#cluster = cluster;
    this.#watchdog = watchdog;
    this.#child = child;
    this.port = port;
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
    return `postgres://${USER}:${PASSWORD}@127.0.0.1:${this.port}/${encodeURIComponent(database)}`;
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

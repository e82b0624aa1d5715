import type { ChildProcess } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { findPostgresBinaries, makePrivateFolder, type PostgresBinaries } from './postgres-binaries.ts';
import { initialise, PASSWORD, USER } from './postgres-cluster.ts';
import { endServer, startServer } from './postgres-server.ts';
import { endWatchdog, startWatchdog } from './postgres-watchdog.ts';

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

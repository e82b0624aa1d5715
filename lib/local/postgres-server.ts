import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { LinesError } from '../../lambdas/shared/errors.ts';
import type { Cluster } from './postgres-cluster.ts';

/** `fast` ends all sessions and writes a checkpoint. `immediate` is a crash: the next start runs recovery. */
export type StopMode = 'fast' | 'immediate';

const START_TIMEOUT_SECONDS = 60;

/** The number in the name of the socket of a server without TCP. Its folder contains no other socket. */
const SOCKET_PORT = 5432;

/**
 * Starts the server and waits until it accepts connections.
 * @param fixedPort @default a free port, or 5432 if the server does not listen on a port
 * @throws LinesError with the end of the server's log when the server does not start
 */
export async function startServer(
  cluster: Cluster,
  fixedPort?: number,
): Promise<{ child: ChildProcess; port: number }> {
  for (let attempt = 1; ; attempt += 1) {
    const port = fixedPort ?? (cluster.tcp ? await freePort() : SOCKET_PORT);
    const child = launch(cluster, port);
    if (await isReady(child, cluster.dataDirectory)) return { child, port };
    const log = (await readFile(cluster.logFile, 'utf8').catch(() => '')).split('\n').slice(-20);
    // Another process took the port. A connection that uses the fixed port as its local port closes soon.
    if (attempt < 5 && log.some((line) => line.includes('could not bind'))) {
      if (fixedPort !== undefined) await pause(500);
      continue;
    }
    child.kill('SIGQUIT');
    throw new LinesError([`PostgreSQL did not start on port ${port}. The end of its log:`, ...log]);
  }
}

function launch({ binaries, dataDirectory, logFile }: Cluster, port: number): ChildProcess {
  // If root runs this, the folder belongs to another user, whose links root must not follow.
  const log = openSync(
    logFile,
    constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0),
    0o600,
  );
  const child = spawn(binaries.postgres, ['-D', dataDirectory, '-p', String(port)], {
    ...binaries.user,
    cwd: path.dirname(dataDirectory),
    detached: true,
    stdio: ['ignore', log, log],
    env: { PATH: process.env.PATH },
  });
  closeSync(log);
  child.on('error', () => undefined);
  child.unref();
  return child;
}

/** Reads the server's status from postmaster.pid, as pg_ctl does. */
async function isReady(child: ChildProcess, dataDirectory: string): Promise<boolean> {
  const deadline = Date.now() + START_TIMEOUT_SECONDS * 1000;
  const pidFile = path.join(dataDirectory, 'postmaster.pid');
  while (Date.now() < deadline) {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return false;
    const lines = (await readFile(pidFile, 'utf8').catch(() => '')).split('\n');
    if (Number(lines[0]) === child.pid && lines[7]?.trim() === 'ready') return true;
    await pause(20);
  }
  return false;
}

/** Stops the server and waits until its process has ended. */
export async function stopServer(child: ChildProcess, mode: StopMode): Promise<void> {
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
  if (address === null || typeof address === 'string') throw new Error('127.0.0.1 has no free port.');
  return address.port;
}

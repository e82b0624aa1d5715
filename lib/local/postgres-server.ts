import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { StopMode } from './embedded-postgres.ts';
import type { PostgresBinaries } from './postgres-binaries.ts';

const STARTS_IN_SECONDS = 60;

/**
 * Starts the server and waits until it takes connections.
 * @param fixedPort @default a free one
 * @throws Error with the end of the server's log
 */
export async function startServer(
  binaries: PostgresBinaries,
  data: string,
  logFile: string,
  fixedPort?: number,
) {
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

/** Ends the server and waits until it is gone. */
export async function endServer(child: ChildProcess, mode: StopMode): Promise<void> {
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

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { PostgresBinaries } from './postgres-binaries.ts';

/** Waits, in a session of its own, until the pipe from this process closes; then ends the server, whatever happened. */
export function startWatchdog(
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

/** Lets the watchdog do its work now and waits for it. */
export async function endWatchdog(watchdog: ChildProcess): Promise<void> {
  if (watchdog.exitCode !== null || watchdog.signalCode !== null) return;
  watchdog.ref();
  const ended = once(watchdog, 'exit');
  watchdog.stdin?.end();
  await ended;
}

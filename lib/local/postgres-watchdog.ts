import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Cluster } from './postgres-cluster.ts';

/**
 * Starts a process in a new session. It waits until the pipe from this process closes. Then it stops the
 * server, however this process ended.
 * @param temporary folders that it removes then
 */
export function startWatchdog(
  { binaries, dataDirectory }: Cluster,
  temporary: readonly string[],
): ChildProcess {
  const script = [
    'cat >/dev/null',
    // pg_ctl signals the process whose id is in the file. If the server was killed, another server's session can have it.
    'pid=$(head -n 1 "$2/postmaster.pid" 2>/dev/null)',
    'if [ -n "$pid" ] && { [ ! -d /proc/self ] || grep -qsF -- "$2" "/proc/$pid/cmdline"; }; then',
    '"$1" stop -D "$2" -m fast -t 20 || "$1" stop -D "$2" -m immediate -t 20',
    'fi',
    'shift 2',
    'rm -rf -- "$@"',
  ].join('\n');
  const child = spawn('/bin/sh', ['-c', script, 'watchdog', binaries.pgCtl, dataDirectory, ...temporary], {
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

/** Closes the watchdog's pipe and waits until the watchdog has ended. */
export async function endWatchdog(watchdog: ChildProcess): Promise<void> {
  if (watchdog.exitCode !== null || watchdog.signalCode !== null) return;
  watchdog.ref();
  const ended = once(watchdog, 'exit');
  watchdog.stdin?.end();
  await ended;
}

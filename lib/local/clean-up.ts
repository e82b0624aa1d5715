import { execFileSync } from 'node:child_process';
import { lstatSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { abandonedFolders, removeFolder, startOf, userId } from '../files/temporary-folder.ts';
import { serverUser } from './postgres-binaries.ts';

/** The signals that stop a server, from fast shutdown to kill, with the time that each gets. */
const STOPS = [
  { signal: 'SIGINT', waitMs: 20_000 },
  { signal: 'SIGQUIT', waitMs: 10_000 },
  { signal: 'SIGKILL', waitMs: 10_000 },
] as const;

/**
 * Removes what runs that were killed have left in the temporary folder, and stops the servers that still use it. What
 * cannot be removed stays for the next run. Never fails.
 */
export async function removeAbandoned(): Promise<void> {
  const folders = abandonedFolders();
  const ofServer = folders.length === 0 ? undefined : await serverUserId();
  for (const folder of folders) {
    const isServers = folder.kind === 'db' || folder.kind === 'socket';
    // Anyone can create such a name in the temporary folder. The folders of a server belong to the server's user.
    if (folder.uid !== userId() && !(isServers && folder.uid === ofServer)) continue;
    try {
      if (folder.kind === 'db') await stopServerOf(folder.path);
      await removeFolder(folder.path);
    } catch {
      // Another run removes it at the same time, or it is in use.
    }
  }
}

async function serverUserId(): Promise<number | undefined> {
  try {
    return (await serverUser()).uid;
  } catch {
    // The machine has no user that can run a server for root.
    return undefined;
  }
}

async function stopServerOf(root: string): Promise<void> {
  const pid = serverOf(root);
  if (pid === null) return;
  const start = startOf(pid);
  for (const { signal, waitMs } of STOPS) {
    const deadline = Date.now() + waitMs;
    process.kill(pid, signal);
    while (Date.now() < deadline) {
      // Another process can have the id by now.
      if (startOf(pid) !== start) return;
      await pause(20);
    }
  }
  throw new Error(`The server with the process id ${pid} does not end.`);
}

/**
 * The process of the server whose cluster is in a folder. The file with its id can be older than the process that has
 * this id now, so the process must belong to the folder's user and name the cluster in its command line.
 */
function serverOf(root: string): number | null {
  const dataDirectory = path.join(root, 'data');
  try {
    const pid = Number(readFileSync(path.join(dataDirectory, 'postmaster.pid'), 'utf8').split('\n')[0]);
    if (!Number.isInteger(pid) || pid <= 1) return null;
    const { uid, command } = describe(pid);
    return uid === lstatSync(dataDirectory).uid && command.split(/[\0 ]/).includes(dataDirectory)
      ? pid
      : null;
  } catch {
    // No server, or it has just ended.
    return null;
  }
}

function describe(pid: number): { uid: number; command: string } {
  if (process.platform === 'linux') {
    return { uid: statSync(`/proc/${pid}`).uid, command: readFileSync(`/proc/${pid}/cmdline`, 'utf8') };
  }
  const text = execFileSync('ps', ['-o', 'uid=,command=', '-p', String(pid)], { encoding: 'utf8' }).trim();
  const [, uid, command = ''] = /^(\d+)\s+(.*)$/s.exec(text) ?? [];
  return { uid: Number(uid), command };
}

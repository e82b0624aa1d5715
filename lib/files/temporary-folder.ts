import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import { messageOf } from '../../lambdas/shared/errors.ts';

/*
 * Temporary folders whose names show the process that uses them: the id of its user, its process id, a hash of its start
 * time, because process ids are used again, and a hash of the machine. So the next run can remove the folders of a
 * process that was killed, and there is no moment at which a folder exists without its owner.
 */

/** Contents of the folders: of a run, of a synthesised stack, a database cluster, the seed's migrations, binaries. */
export type FolderKind = 'run' | 'stack' | 'db' | 'seed' | 'binaries';

/** A folder whose process has ended. */
export interface AbandonedFolder {
  readonly kind: FolderKind;
  readonly path: string;
}

const PREFIX = 'pg-deploy-step-';
const NAME =
  /^pg-deploy-step-(run|stack|db|seed|binaries)-(\d+)\.(\d+)\.([0-9a-f]{12})\.([0-9a-f]{12})-\w{6}$/;
/** Another process may write to the folder while it is removed: a server that ends. */
const REMOVE = { recursive: true, force: true, maxRetries: 5, retryDelay: 100 } as const;

/**
 * Creates a folder in the system's temporary folder that only this user can enter.
 * @returns its path
 * @throws Error when the temporary folder does not exist or cannot be written
 */
export function createTemporaryFolder(kind: FolderKind): string {
  const start = startOf(process.pid) ?? hashOf('unknown');
  const owner = `${userId()}.${process.pid}.${start}.${machine()}`;
  try {
    return mkdtempSync(path.join(tmpdir(), `${PREFIX}${kind}-${owner}-`));
  } catch (cause) {
    throw new Error(
      `The temporary folder ${tmpdir()} cannot be used: ${messageOf(cause)}. Set TMPDIR to a folder that you can write to.`,
      { cause },
    );
  }
}

/** The folders of this user's processes on this machine that have ended without removing them. */
export function abandonedFolders(): AbandonedFolder[] {
  return entriesOf(tmpdir()).flatMap((name) => {
    const [, kind, user, pid, start, onMachine] = NAME.exec(name) ?? [];
    if (kind === undefined || Number(user) !== userId()) return [];
    // Another container or another host can share the folder. Whether its processes run cannot be seen from here.
    if (onMachine !== machine() || startOf(Number(pid)) === start) return [];
    const folder = path.join(tmpdir(), name);
    return isOwnFolder(folder, kind as FolderKind) ? [{ kind: kind as FolderKind, path: folder }] : [];
  });
}

/** Removes a folder. Symbolic links in it are removed, not followed. Several processes may do it at the same time. */
export async function removeFolder(folder: string): Promise<void> {
  await rm(folder, REMOVE);
}

/** Anyone can create such a name in the temporary folder. The folder of a cluster belongs to the user of the server. */
function isOwnFolder(folder: string, kind: FolderKind): boolean {
  const stat = lstatSync(folder, { throwIfNoEntry: false });
  if (stat === undefined || !stat.isDirectory()) return false;
  return stat.uid === userId() || (kind === 'db' && userId() === 0);
}

/**
 * A hash of the time at which a process started, also across restarts of the machine.
 * @returns null when no process has this id, or it has ended and waits for its parent
 */
export function startOf(pid: number): string | null {
  const boot = readText('/proc/sys/kernel/random/boot_id');
  if (boot !== null) {
    // The name in parentheses can contain spaces and parentheses. The state is the first field after it, the start the 20th.
    const fields = /^.*\) (.*)$/s.exec(readText(`/proc/${pid}/stat`) ?? '')?.[1]?.split(' ');
    return fields === undefined || /^[ZX]/.test(fields[0] ?? '') ? null : hashOf(`${boot} ${fields[19]}`);
  }
  try {
    const started = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], {
      encoding: 'utf8',
    }).trim();
    const [, state = 'Z', time = ''] = /^(\S+)\s+(.*)$/s.exec(started) ?? [];
    return state.startsWith('Z') ? null : hashOf(time);
  } catch {
    return null;
  }
}

/** A hash of what process ids belong to: the machine, and in a container its own list of processes. */
function machine(): string {
  const id = readText('/etc/machine-id')?.trim() || hostname();
  let processes = '';
  try {
    processes = readlinkSync('/proc/self/ns/pid');
  } catch {
    // Only Linux has several lists.
  }
  return hashOf(`${id} ${processes}`);
}

/** Windows has no user ids; its temporary folder belongs to one user. */
function userId(): number {
  return process.getuid?.() ?? 0;
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function readText(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}

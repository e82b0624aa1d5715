import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  statSync,
} from 'node:fs';
import { rm } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { messageOf } from '../../lambdas/shared/errors.ts';

/*
 * Temporary folders whose names show the process that uses them: the id of its user, its process id, a hash of its start
 * time, because process ids are used again, and a hash of the machine. So the next run can remove the folders of a
 * process that was killed, and there is no moment at which a folder exists without its owner.
 */

/**
 * Contents of the folders: of a run, of a synthesised stack, a database cluster, its socket, the seed's migrations, binaries.
 */
export type FolderKind = 'run' | 'stack' | 'db' | 'socket' | 'seed' | 'binaries';

/** A folder whose process has ended. */
export interface AbandonedFolder {
  readonly kind: FolderKind;
  readonly path: string;
  /** The user to whom it belongs. Another user can have forged its name. */
  readonly uid: number;
}

/** A temporary folder with a short name, for the path of a socket. */
export const SHORT_TEMPORARY_FOLDER = '/tmp';

const PREFIX = 'pg-deploy-step-';
const NAME =
  /^pg-deploy-step-(run|stack|db|socket|seed|binaries)-(\d+)\.(\d+)\.([0-9a-f]{12})\.([0-9a-f]{12})-\w{6}$/;
/** Another process may write to the folder while it is removed: a server that ends. */
const REMOVE = { recursive: true, force: true, maxRetries: 5, retryDelay: 100 } as const;

/**
 * Creates a folder in the system's temporary folder that only this user can enter, whatever the umask is. Nothing else had
 * its name before.
 * @param parent @default the system's temporary folder
 * @returns its path
 * @throws Error when the temporary folder does not exist, cannot be written, or has no permissions of users
 */
export function createTemporaryFolder(kind: FolderKind, parent = tmpdir()): string {
  const start = startOf(process.pid) ?? hashOf('unknown');
  return createPrivate(parent, `${kind}-${userId()}.${process.pid}.${start}.${machine()}`);
}

/**
 * Creates a folder as `createTemporaryFolder` does. It stays until someone removes it.
 * @throws Error as `createTemporaryFolder` does
 */
export function createLogFolder(): string {
  return createPrivate(tmpdir(), 'log');
}

function createPrivate(parent: string, name: string): string {
  let folder: string;
  try {
    folder = mkdtempSync(path.join(parent, `${PREFIX}${name}-`));
  } catch (cause) {
    throw new Error(
      `The temporary folder ${parent} cannot be used: ${messageOf(cause)}. Set TMPDIR to a folder that you can write to.`,
      { cause },
    );
  }
  const stat = lstatSync(folder);
  if (hasUserIds && (!stat.isDirectory() || stat.uid !== userId() || (stat.mode & 0o077) !== 0)) {
    rmdirSync(folder);
    throw new Error(
      `The temporary folder ${parent} cannot be used: other users can read or change the new folder ${folder} (owner ` +
        `${stat.uid}, mode ${(stat.mode & 0o777).toString(8)}). Set TMPDIR to a folder on a file system with permissions.`,
    );
  }
  return folder;
}

/**
 * Why other users can exchange the folders of this user in the temporary folder. Code in them is run.
 * @returns null: they cannot
 */
export function exposureOfTemporaryFolder(): string | null {
  const parent = tmpdir();
  const { mode } = statSync(parent, { throwIfNoEntry: false }) ?? { mode: 0 };
  const isSticky = (mode & 0o1000) !== 0;
  if (!hasUserIds || (mode & 0o002) === 0 || isSticky) return null;
  return (
    `every user of this machine can replace the files in the temporary folder ${parent}, because it has no sticky bit. ` +
    `Run chmod +t ${parent}, or set TMPDIR to a folder of your own.`
  );
}

/** The folders of this user's processes on this machine that have ended without removing them. */
export function abandonedFolders(): AbandonedFolder[] {
  return [...new Set([tmpdir(), SHORT_TEMPORARY_FOLDER])].flatMap(abandonedIn);
}

function abandonedIn(parent: string): AbandonedFolder[] {
  return entriesOf(parent).flatMap((name) => {
    const [, kind, user, pid, start, onMachine] = NAME.exec(name) ?? [];
    if (kind === undefined || Number(user) !== userId()) return [];
    // Another container or another host can share the folder. Whether its processes run cannot be seen from here.
    if (onMachine !== machine() || startOf(Number(pid)) === start) return [];
    const folder = path.join(parent, name);
    const stat = lstatSync(folder, { throwIfNoEntry: false });
    return stat?.isDirectory() ? [{ kind: kind as FolderKind, path: folder, uid: stat.uid }] : [];
  });
}

/**
 * Removes a folder. Symbolic links in it are removed, not followed. Several processes may do it at the same time.
 *
 * Root removes a folder of another user with the rights of that user: otherwise this user could exchange a folder in it for
 * a link while root removes what it contains.
 */
export async function removeFolder(folder: string): Promise<void> {
  const stat = lstatSync(folder, { throwIfNoEntry: false });
  if (userId() === 0 && stat !== undefined && stat.uid !== 0) {
    const { uid, gid } = stat;
    await promisify(execFile)('rm', ['-rf', '--', folder], { uid, gid, cwd: '/' });
    return;
  }
  await rm(folder, REMOVE);
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
const hasUserIds = process.getuid !== undefined;

export function userId(): number {
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

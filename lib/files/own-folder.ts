import { chmodSync, lstatSync, mkdirSync, type Stats } from 'node:fs';

/** A folder or file that another user controls, or could control. */
class ForeignFileError extends Error {
  override readonly name = 'ForeignFileError';
}

/** Group and others. */
const OTHERS_WRITE = 0o022;

/**
 * Creates a folder that only this user can enter, if it does not exist.
 * @throws ForeignFileError when it is a link, or belongs to another user
 */
export function ensureOwnFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const stat = lstatSync(folder);
  if (stat.isDirectory() && isOwn(stat)) {
    // An earlier run with the umask 000 can have created it.
    if ((stat.mode & OTHERS_WRITE) !== 0) chmodSync(folder, stat.mode & 0o777 & ~OTHERS_WRITE);
    return;
  }
  throw new ForeignFileError(`${describe(folder, stat)}, so the state of a run is not kept there. ${FIX}`);
}

/**
 * Checks a file that an earlier run has written, and that this run believes.
 * @throws ForeignFileError when it is a link, or belongs to another user; the error of the file system when it does not exist
 */
export function ensureOwnFile(file: string): void {
  const stat = lstatSync(file);
  if (stat.isFile() && isOwn(stat)) return;
  throw new ForeignFileError(`${describe(file, stat)}, so it is not read. ${FIX}`);
}

const FIX = 'Remove it, or run the command in a folder of your own.';

function describe(path: string, stat: Stats): string {
  if (stat.isSymbolicLink()) return `${path} is a symbolic link, which another user can have made`;
  return isOwn(stat) ? `${path} has the wrong type` : `${path} belongs to another user (uid ${stat.uid})`;
}

/** Windows has no user ids. */
function isOwn({ uid }: Stats): boolean {
  return process.getuid === undefined || uid === process.getuid();
}

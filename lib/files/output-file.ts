import { randomBytes } from 'node:crypto';
import {
  accessSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fsyncSync,
  lstatSync,
  openSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import type { Writable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';

/** Longest wait for a reader of a named pipe. */
const READER_MS = 10_000;
const MOST_LINKS = 40;

/** How a path is written. */
type Target =
  /** Standard output or standard error, whatever it is connected to. */
  | { readonly kind: 'stream'; readonly stream: Writable }
  /** A regular file, new or existing: a complete file replaces it. */
  | { readonly kind: 'replace'; readonly file: string; readonly existing: Stats | null }
  /** A device, a named pipe, or a file in a folder that allows no new files: it is opened and written. */
  | { readonly kind: 'open'; readonly file: string; readonly isPipe: boolean };

/** A path cannot be written. The message names the path and the reason. */
export class OutputFileError extends Error {
  override readonly name = 'OutputFileError';
}

/**
 * Checks that a file can be written, without changing it, so that the work before is not wasted.
 * @throws OutputFileError
 */
export function checkOutputFile(file: string): void {
  const target = targetOf(file);
  if (target.kind === 'replace') probe(target.file, target.existing);
  if (target.kind === 'open') attempt(target.file, () => accessSync(target.file, constants.W_OK));
}

/**
 * Writes a file. A regular file is replaced by a complete one: if writing fails, it has its previous content, or does not
 * exist as before.
 * @throws OutputFileError
 */
export async function writeOutputFile(file: string, text: string): Promise<void> {
  const target = targetOf(file);
  if (target.kind === 'stream') await writeStream(target.stream, text);
  else if (target.kind === 'open') await writeOpened(target, text);
  else if (mayReplace(target.file)) attempt(target.file, () => replaceFile(target.file, text));
  else await writeOpened({ file: target.file, isPipe: false }, text);
}

/**
 * Writes a text to a stream and waits until the stream has accepted it.
 * @throws OutputFileError, also when the reader has closed the stream
 */
export async function writeStream(stream: Writable, text: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    stream.write(text, (error) => {
      if (error == null) resolve();
      else reject(new OutputFileError(reasonOf(error), { cause: error }));
    });
  });
}

/**
 * Replaces a regular file by one with this content, in one step. It keeps the permissions of an existing file, and its
 * owner if this user may set it.
 * @throws the error of the file system; the file is unchanged then
 */
export function replaceFile(file: string, text: string): void {
  const existing = statSync(file, { throwIfNoEntry: false });
  const draft = draftOf(file);
  try {
    const handle = openSync(draft, 'wx');
    try {
      if (existing !== undefined) keepOwner(handle, existing);
      writeFileSync(handle, text);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    renameSync(draft, file);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}

function keepOwner(handle: number, { uid, gid, mode }: Stats): void {
  try {
    fchownSync(handle, uid, gid);
  } catch {
    // Only root may give a file to another user.
  }
  fchmodSync(handle, mode & 0o777);
}

/** A name for the new content beside the file: a rename works only inside one file system. */
function draftOf(file: string): string {
  return path.join(path.dirname(file), `.pg-deploy-step-${randomBytes(6).toString('hex')}.new`);
}

function targetOf(file: string): Target {
  const stream = streamOf(file);
  if (stream !== null) return { kind: 'stream', stream };
  refuseBelowFile(path.dirname(file));
  const existing = attempt(file, () => statSync(file, { throwIfNoEntry: false }));
  if (existing === undefined) return { kind: 'replace', file: newFile(file, MOST_LINKS), existing: null };
  if (existing.isDirectory()) throw new OutputFileError(`${file} is a folder, not a file.`);
  if (!existing.isFile()) return { kind: 'open', file, isPipe: existing.isFIFO() };
  return { kind: 'replace', file: realpathSync(file), existing };
}

/** @throws OutputFileError when a part of a folder's path is a file */
function refuseBelowFile(folder: string): void {
  const parent = path.dirname(folder);
  if (parent !== folder) refuseBelowFile(parent);
  const stat = attempt(folder, () => statSync(folder, { throwIfNoEntry: false }));
  if (stat?.isDirectory() === false) throw new OutputFileError(`${folder} is a file, not a folder.`);
}

/** The stream that a path of the operating system names. Opening such a path again would overwrite earlier output. */
function streamOf(file: string): Writable | null {
  const [, name, descriptor] = /^\/(?:dev\/(stdout|stderr)|(?:dev|proc\/self)\/fd\/([12]))$/.exec(file) ?? [];
  if (name === 'stdout' || descriptor === '1') return process.stdout;
  return name === 'stderr' || descriptor === '2' ? process.stderr : null;
}

/** The path of a file that does not exist yet. A symbolic link can point to one. */
function newFile(file: string, links: number): string {
  const link = lstatSync(file, { throwIfNoEntry: false });
  if (link?.isSymbolicLink()) {
    if (links === 0)
      throw new OutputFileError(`${file} cannot be written: its symbolic links form a circle.`);
    const target = path.resolve(path.dirname(file), readlinkSync(file));
    refuseBelowFile(path.dirname(target));
    return newFile(target, links - 1);
  }
  const folder = path.dirname(file);
  if (statSync(folder, { throwIfNoEntry: false }) === undefined) {
    throw new OutputFileError(`The folder ${folder} does not exist.`);
  }
  return file;
}

function probe(file: string, existing: Stats | null): void {
  if (existing !== null) {
    attempt(file, () => {
      accessSync(file, constants.W_OK);
      // Detects what the permissions do not show: an immutable file, a file system that is read-only.
      closeSync(openSync(file, 'r+'));
    });
    return;
  }
  attempt(file, () => probeFolderOf(file));
}

/** @throws the error of the file system when the folder of a file allows no new files */
function probeFolderOf(file: string): void {
  const draft = draftOf(file);
  closeSync(openSync(draft, 'wx'));
  rmSync(draft);
}

/** Whether the file's folder allows new files. Otherwise an existing file is overwritten in place. */
function mayReplace(file: string): boolean {
  if (statSync(file, { throwIfNoEntry: false }) === undefined) return true;
  try {
    probeFolderOf(file);
    return true;
  } catch {
    return false;
  }
}

async function writeOpened({ file, isPipe }: { file: string; isPipe: boolean }, text: string): Promise<void> {
  try {
    const reader = isPipe ? await waitForReader(file) : null;
    try {
      const handle = await open(file, 'w');
      try {
        await handle.writeFile(text);
      } finally {
        await handle.close();
      }
    } finally {
      if (reader !== null) closeSync(reader);
    }
  } catch (error) {
    throw asOutputFileError(file, error);
  }
}

/** Opens a named pipe when it has a reader. To open it without this check would wait for a reader without an end. */
async function waitForReader(file: string): Promise<number> {
  const deadline = Date.now() + READER_MS;
  for (;;) {
    try {
      return openSync(file, constants.O_WRONLY | constants.O_NONBLOCK);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENXIO' || Date.now() > deadline) throw error;
      await pause(50);
    }
  }
}

function attempt<T>(file: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw asOutputFileError(file, error);
  }
}

function asOutputFileError(file: string, error: unknown): OutputFileError {
  if (error instanceof OutputFileError) return error;
  return new OutputFileError(`${file} cannot be written: ${reasonOf(error)}.`, { cause: error });
}

/** Such as "no space left on device (ENOSPC)". Node.js writes the path and the system call after it. */
function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED') return 'its reader has closed it (EPIPE)';
  if (code === 'ENXIO') return `no program reads the pipe (waited ${READER_MS / 1000} s)`;
  const [, text] = /^[A-Z]+: (.*?)(?:, \w+(?: .*)?)?$/.exec(message) ?? [];
  return text === undefined ? message : `${text} (${code})`;
}

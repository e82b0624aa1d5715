import { closeSync, openSync, readSync } from 'node:fs';

/** In bytes. */
const PART = 65_536;

/** In characters: what is compared of a line, which can be the rows of a whole table. */
const COMPARED = 1_000;

/**
 * Whether a line of a file matches. The file, which can be large, is not kept in memory.
 * @param pattern for ASCII, from the beginning of a line
 * @returns false also if the file cannot be read
 */
export function hasLine(file: string, pattern: RegExp): boolean {
  let handle: number;
  try {
    handle = openSync(file, 'r');
  } catch {
    return false;
  }
  try {
    return hasLineIn(handle, pattern);
  } catch {
    return false;
  } finally {
    closeSync(handle);
  }
}

function hasLineIn(handle: number, pattern: RegExp): boolean {
  const bytes = Buffer.alloc(PART);
  let unfinished = '';
  for (let size = readSync(handle, bytes); size > 0; size = readSync(handle, bytes)) {
    const lines = (unfinished + bytes.toString('latin1', 0, size)).split('\n');
    unfinished = (lines.pop() ?? '').slice(0, COMPARED);
    if (lines.some((line) => pattern.test(line))) return true;
  }
  return pattern.test(unfinished);
}

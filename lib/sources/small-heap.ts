import { setFlagsFromString } from 'node:v8';

/** From this size on, in bytes, a file decides how much memory the process needs. */
const LARGE_FILE = 1_000_000;

/**
 * Keeps the heap small when a large file is read. V8 doubles the space for new objects, up to 2 × 64 MB on a large machine, each
 * time that as many objects have survived, and the statements of a file survive. With the space that it has, a dump of 10 MB
 * needs 100 MB less, and no more time.
 */
export function keepHeapSmall({ byteLength }: Uint8Array): void {
  if (byteLength >= LARGE_FILE) setFlagsFromString('--semi-space-growth-factor=1');
}

import { isUtf8 } from 'node:buffer';
import type { Place } from './places.ts';

/** The first thing in a file that is not text in UTF-8. */
export interface EncodingProblem extends Place {
  /** Offset of the byte in the file, from 0; a byte order mark counts. */
  readonly offset: number;
  /** The byte, its offset, and how to convert the file. Without the place. */
  readonly message: string;
}

/** PostgreSQL receives UTF-8. Any other byte would reach it as a replacement character, without an error. */
const MUST_BE_UTF8 = 'The file must be UTF-8.';

const LINE_FEED = 0x0a;
const UTF8_MARK = [0xef, 0xbb, 0xbf];

/** Byte order marks of other encodings; those that start with another mark come first. */
const OTHER_MARKS = [
  { encoding: 'UTF-32', order: 'little-endian', mark: [0xff, 0xfe, 0, 0] },
  { encoding: 'UTF-32', order: 'big-endian', mark: [0, 0, 0xfe, 0xff] },
  { encoding: 'UTF-16', order: 'little-endian', mark: [0xff, 0xfe] },
  { encoding: 'UTF-16', order: 'big-endian', mark: [0xfe, 0xff] },
];

/**
 * Decodes the content of a file.
 * @returns the text without its byte order mark, and null; or an empty text and why the content is not text in UTF-8
 */
export function decodeUtf8(bytes: Uint8Array): { text: string; problem: EncodingProblem | null } {
  const problem = problemIn(bytes);
  if (problem !== null) return { text: '', problem };
  const start = startsWith(bytes, UTF8_MARK) ? UTF8_MARK.length : 0;
  return { text: textOf(bytes.subarray(start)), problem: null };
}

/** Not a copy of the bytes, which can be a large file. */
function textOf({ buffer, byteOffset, byteLength }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString('utf8');
}

function problemIn(bytes: Uint8Array): EncodingProblem | null {
  const other = OTHER_MARKS.find(({ mark }) => startsWith(bytes, mark));
  if (other !== undefined) {
    const { encoding, order, mark } = other;
    const message = `The file is ${encoding} (${order}): its byte order mark is ${mark.map(hex).join(' ')}. ${MUST_BE_UTF8} ${conversion(encoding)}`;
    return { line: 1, column: 1, offset: 0, message };
  }
  const wrong = isUtf8(bytes) ? -1 : firstInvalid(bytes);
  const nul = bytes.indexOf(0);
  if (nul !== -1 && (wrong === -1 || nul < wrong)) return nulProblem(bytes, nul);
  if (wrong === -1) return null;
  const message =
    `Byte ${hex(bytes[wrong] ?? 0)} at offset ${wrong} is not valid UTF-8, so PostgreSQL would receive another character. ` +
    `${MUST_BE_UTF8} Convert it from its own encoding: for Windows-1252 or Latin-1, iconv -f WINDOWS-1252 -t UTF-8.`;
  return { ...placeOf(bytes, wrong), offset: wrong, message };
}

function nulProblem(bytes: Uint8Array, offset: number): EncodingProblem {
  const utf16 = utf16Of(bytes);
  const fix =
    utf16 === null
      ? 'PostgreSQL accepts no NUL in a statement. Remove it.'
      : `The file looks like ${utf16} without a byte order mark. ${MUST_BE_UTF8} ${conversion(utf16)}`;
  const message = `Byte 0x00 (NUL) at offset ${offset}. ${fix}`;
  return { ...placeOf(bytes, offset), offset, message };
}

/** In UTF-16, every second byte of SQL is NUL, except in the few characters that are not ASCII. */
function utf16Of(bytes: Uint8Array): string | null {
  const sample = bytes.subarray(0, 1_000);
  const nulsAt = (parity: number) => sample.filter((byte, at) => byte === 0 && at % 2 === parity).length;
  if (nulsAt(1) > sample.length / 4) return 'UTF-16LE';
  return nulsAt(0) > sample.length / 4 ? 'UTF-16BE' : null;
}

/** Offset of the first byte that is not UTF-8. */
function firstInvalid(bytes: Uint8Array): number {
  // A line feed is never a part of another character, so each line is valid or not by itself.
  let start = 0;
  let line = lineFrom(bytes, start);
  while (isUtf8(line)) {
    start += line.length;
    line = lineFrom(bytes, start);
  }
  let at = start;
  while (isUtf8(bytes.subarray(at, at + lengthOf(bytes[at] ?? 0)))) at += lengthOf(bytes[at] ?? 0);
  return at;
}

function lineFrom(bytes: Uint8Array, start: number): Uint8Array {
  const end = bytes.indexOf(LINE_FEED, start);
  return bytes.subarray(start, end === -1 ? undefined : end + 1);
}

/** Number of bytes of the character that starts with this byte. */
function lengthOf(first: number): number {
  if (first < 0xc0) return 1;
  if (first < 0xe0) return 2;
  return first < 0xf0 ? 3 : 4;
}

/** The place of a byte; all bytes before it are UTF-8. */
function placeOf(bytes: Uint8Array, offset: number): Place {
  const start = startsWith(bytes, UTF8_MARK) ? UTF8_MARK.length : 0;
  const before = Buffer.from(bytes.subarray(start, offset)).toString('utf8');
  const lines = before.split('\n');
  return { line: lines.length, column: Array.from(lines.at(-1) ?? '').length + 1 };
}

function conversion(encoding: string): string {
  return `Convert it: iconv -f ${encoding} -t UTF-8.`;
}

function startsWith(bytes: Uint8Array, mark: readonly number[]): boolean {
  return mark.every((byte, at) => bytes[at] === byte);
}

function hex(byte: number): string {
  return `0x${byte.toString(16).toUpperCase().padStart(2, '0')}`;
}

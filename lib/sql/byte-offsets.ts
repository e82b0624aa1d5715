/**
 * Converts offsets in a text in UTF-8, which PostgreSQL's parser and scanner return, to UTF-16 units. The work for the whole
 * text is done once, when the first offset is converted.
 */
export function byteOffsetsIn(text: string): (bytes: number) => number {
  let bytesBefore: Uint32Array | null | undefined;
  return (bytes) => {
    if (bytesBefore === undefined) bytesBefore = isAscii(text) ? null : bytesBeforeUnits(text);
    return bytesBefore === null ? Math.min(bytes, text.length) : unitAt(bytesBefore, bytes);
  };
}

/** Converts offsets in UTF-16 units to offsets in UTF-8. The work for the whole text is done once. */
export function unitOffsetsIn(text: string): (units: number) => number {
  let bytesBefore: Uint32Array | null | undefined;
  return (units) => {
    if (bytesBefore === undefined) bytesBefore = isAscii(text) ? null : bytesBeforeUnits(text);
    return bytesBefore === null ? units : (bytesBefore[Math.min(units, text.length)] ?? 0);
  };
}

function isAscii(text: string): boolean {
  return Buffer.byteLength(text) === text.length;
}

/** For each UTF-16 unit and the end of the text, the number of bytes before it. */
function bytesBeforeUnits(text: string): Uint32Array {
  const before = new Uint32Array(text.length + 1);
  let bytes = 0;
  for (let at = 0; at < text.length; at += 1) {
    before[at] = bytes;
    bytes += bytesOf(text, at);
  }
  before[text.length] = bytes;
  return before;
}

/** The bytes that a UTF-16 unit adds. The second half of a surrogate pair adds those of the whole pair. */
function bytesOf(text: string, at: number): number {
  const unit = text.charCodeAt(at);
  if (unit < 0x80) return 1;
  if (unit < 0x800) return 2;
  const isFirstHalf = unit >= 0xd800 && unit < 0xdc00 && (text.codePointAt(at) ?? 0) > 0xffff;
  if (isFirstHalf) return 0;
  const isSecondHalf = unit >= 0xdc00 && unit < 0xe000 && at > 0 && (text.codePointAt(at - 1) ?? 0) > 0xffff;
  return isSecondHalf ? 4 : 3;
}

/** The first unit that has at least so many bytes before it. */
function unitAt(before: Uint32Array, bytes: number): number {
  let low = 0;
  let high = before.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((before[middle] ?? 0) < bytes) low = middle + 1;
    else high = middle;
  }
  return low;
}

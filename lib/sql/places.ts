/** A place in a text: line and column, both counted from 1; the column in characters. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** A place in a file. */
export interface SourcePlace extends Place {
  /** The path that the user gave, or a path below it. */
  readonly file: string;
}

/** Converts offsets in a text (UTF-16 units from 0) to line and column. */
export function placesIn(text: string): (offset: number) => Place {
  const starts = lineStartsIn(text);
  const pairs = surrogatePairsIn(text);
  return (offset) => {
    const line = countUpTo(starts, offset);
    const start = starts[line - 1] ?? 0;
    // A surrogate pair is one character. The first half of one counts as a character too.
    const halves = countUpTo(pairs, offset - 2) - countUpTo(pairs, start - 1);
    return { line, column: Math.min(offset, text.length) - start - halves + 1 };
  };
}

/** The offset of each line. It is as small as possible, because a dump has a line for every thirty characters. */
function lineStartsIn(text: string): Uint32Array {
  let count = 1;
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) count += 1;
  const starts = new Uint32Array(count);
  for (let line = 1; line < count; line += 1) starts[line] = text.indexOf('\n', starts[line - 1]) + 1;
  return starts;
}

/** The offsets of the surrogate pairs in a text, in order. */
function surrogatePairsIn(text: string): number[] {
  const pairs: number[] = [];
  const pattern = /[\ud800-\udbff][\udc00-\udfff]/g;
  while (pattern.test(text)) pairs.push(pattern.lastIndex - 2);
  return pairs;
}

/** The number of offsets, of an ordered list, that are at most `most`. */
export function countUpTo(offsets: ArrayLike<number>, most: number): number {
  let low = 0;
  let high = offsets.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((offsets[middle] ?? 0) <= most) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The UTF-16 units of the first characters: PostgreSQL's parser counts characters, JavaScript counts UTF-16 units. */
export function unitsOf(text: string, characters: number): number {
  return Array.from(text).slice(0, Math.max(0, characters)).join('').length;
}

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
  const starts = [0];
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return (offset) => {
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    const before = text.slice(starts[low] ?? 0, offset);
    return { line: low + 1, column: Array.from(before).length + 1 };
  };
}

/** The place in the file of an offset in a text that starts at `start`. */
export function placeWithin(start: Place, text: string, offset: number): Place {
  const { line, column } = placesIn(text)(offset);
  return { line: start.line + line - 1, column: line === 1 ? start.column + column - 1 : column };
}

/** The UTF-16 units of the first characters: PostgreSQL's parser counts characters, JavaScript counts UTF-16 units. */
export function unitsOf(text: string, characters: number): number {
  return Array.from(text).slice(0, Math.max(0, characters)).join('').length;
}

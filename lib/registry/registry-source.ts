/*
 * What the parsers report about a registry file: the list of entries and its values, with their places. Offsets are UTF-16
 * units from 0.
 */

/** A value as the file writes it. */
export interface SourceValue {
  readonly start: number;
  /** Offset after the last character. */
  readonly end: number;
  /** Set for a string. */
  readonly text?: SourceText | undefined;
  /** Set for an object: its fields by name. */
  readonly fields?: ReadonlyMap<string, SourceField> | undefined;
  /** True for an element like `...others`: any number of entries. */
  readonly isSpread?: boolean | undefined;
}

interface SourceText {
  readonly value: string;
  /** Offset in the file of a UTF-16 unit of the value, or of the closing quote. Undefined if it is unknown. */
  readonly offsetOf: (unit: number) => number | undefined;
}

export interface SourceField {
  /** Offset of the field's name. */
  readonly start: number;
  readonly value: SourceValue;
}

/** The list of entries. */
export interface SourceList {
  /** Offset of the opening bracket. */
  readonly start: number;
  /** Offset of the closing bracket. */
  readonly close: number;
  readonly elements: readonly SourceValue[];
  readonly hasTrailingComma: boolean;
}

/** Why the file contains no list of entries, and the place that decides it. */
export interface NoList {
  readonly reason: string;
  readonly start: number;
}

export interface RegistrySource {
  readonly list: SourceList | NoList;
  /** The fields beside the list: `schemas`. @default none */
  readonly options?: ReadonlyMap<string, SourceField> | undefined;
  /** Every object in the file, in its order, whether the list contains it or not. */
  readonly objects: readonly SourceValue[];
}

/** An escape sequence, a line break or a single UTF-16 unit of a string literal. */
const PART = /\\u\{[0-9a-f]+\}|\\u[0-9a-f]{4}|\\x[0-9a-f]{2}|\\\r\n|\\.|\r\n|./gis;

/** A string literal. The offsets are computed only when they are needed. */
export function literalText(
  fileText: string,
  { start, end }: { readonly start: number; readonly end: number },
  value: string,
): SourceText {
  const offsetOf = (unit: number) => {
    const offsets: number[] = [];
    for (const { 0: part, index } of fileText.slice(start + 1, end - 1).matchAll(PART)) {
      for (let count = unitsOf(part); count > 0; count -= 1) offsets.push(start + 1 + index);
    }
    // Octal escapes have more digits than the pattern reads.
    return offsets.length === value.length ? [...offsets, end - 1][unit] : undefined;
  };
  return { value, offsetOf };
}

/** The number of UTF-16 units that a part of a literal stands for. */
function unitsOf(part: string): number {
  if (/^\\[\r\n\u2028\u2029]/.test(part)) return 0;
  if (!part.startsWith('\\u{')) return 1;
  return String.fromCodePoint(Number.parseInt(part.slice(3, -1), 16)).length;
}

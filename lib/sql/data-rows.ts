import type { TextCursor } from './text-cursor.ts';

/*
 * Rows of an INSERT … VALUES that consist of plain constants: numbers, strings without an escape syntax, and words such as
 * NULL. PostgreSQL's grammar accepts each of them, they call no function, and no index depends on them. So they need not be
 * parsed. A row with anything else in it, also with a comment, is read as every other part of a statement.
 */

/** @param comma offset of a comma after a row @returns the end of the last row of constants after it; `comma` if there is none */
export function dataRowsEnd(text: TextCursor, comma: number): number {
  let end = comma;
  for (let at = comma; text.unitAt(at) === COMMA; at = afterSpace(text, end)) {
    const rowEnd = dataRowEnd(text, afterSpace(text, at + 1));
    if (rowEnd === null) break;
    end = rowEnd;
  }
  return end;
}

/** The end of a row of constants. Null: something else begins here. */
function dataRowEnd(text: TextCursor, start: number): number | null {
  if (text.unitAt(start) !== OPEN_PARENTHESIS) return null;
  for (let at = start; ; ) {
    const end = constantEnd(text, afterSpace(text, at + 1));
    if (end === null) return null;
    at = afterSpace(text, end);
    const unit = text.unitAt(at);
    if (unit === CLOSE_PARENTHESIS) return at + 1;
    if (unit !== COMMA) return null;
  }
}

function constantEnd(text: TextCursor, start: number): number | null {
  if (text.unitAt(start) === QUOTE) return stringEnd(text, start);
  let end = start;
  while (end - start < LONGEST_CONSTANT && isInConstant(text.unitAt(end))) end += 1;
  return CONSTANT.test(text.slice(start, end)) ? end : null;
}

/** A quote in a string is doubled. Null: the string does not end. */
function stringEnd(text: TextCursor, start: number): number | null {
  let at = text.find("'", start + 1);
  while (text.unitAt(at + 1) === QUOTE) at = text.find("'", at + 2);
  return at < text.length ? at + 1 : null;
}

function afterSpace(text: TextCursor, start: number): number {
  let at = start;
  while (SPACES.includes(text.unitAt(at))) at += 1;
  return at;
}

/** Longer numbers are left to the parser. */
const LONGEST_CONSTANT = 100;

const CONSTANT = /^(?:[+-]?\d+(?:\.\d+)?|null|true|false|default)$/i;

/** A sign, a point, a digit or a letter. */
function isInConstant(unit: number): boolean {
  return (
    unit === PLUS ||
    unit === MINUS ||
    unit === POINT ||
    (unit >= DIGIT_0 && unit <= DIGIT_9) ||
    (unit >= UPPER_A && unit <= UPPER_Z) ||
    (unit >= LOWER_A && unit <= LOWER_Z)
  );
}

const SPACES = [0x20, 0x09, 0x0a, 0x0b, 0x0c, 0x0d];
const [QUOTE, OPEN_PARENTHESIS, CLOSE_PARENTHESIS, COMMA] = [0x27, 0x28, 0x29, 0x2c];
const [PLUS, MINUS, POINT, DIGIT_0, DIGIT_9] = [0x2b, 0x2d, 0x2e, 0x30, 0x39];
const [UPPER_A, UPPER_Z, LOWER_A, LOWER_Z] = [0x41, 0x5a, 0x61, 0x7a];

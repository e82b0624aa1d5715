import { visible } from './visible-text.ts';

/** A number with its noun: `1 table`, `2 tables`, `3 indexes`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : pluralEnding(noun)}`;
}

function pluralEnding(noun: string): string {
  return /(s|x|ch|sh)$/.test(noun) ? 'es' : 's';
}

/** Names for a message, made visible: all of a short list, the first `most` of a long one. */
export function listed(names: readonly string[], most = 40): string {
  return joined(names, most, ', ');
}

/** SQL statements for a message, made visible: all of a short list, the first `most` of a long one. Each ends with a semicolon. */
export function listedStatements(statements: readonly string[], most: number): string {
  return joined(statements, most, ' ');
}

function joined(texts: readonly string[], most: number, separator: string): string {
  if (texts.length === 0) return '(none)';
  const shown = texts.slice(0, most).map(visible).join(separator);
  return texts.length > most ? `${shown} and ${texts.length - most} more` : shown;
}

/** The beginning of a text that is longer than `most` characters, with an ellipsis. Cuts no surrogate pair. */
export function shortened(text: string, most: number): string {
  return text.length <= most ? text : `${withoutHalf(text.slice(0, most - 1))}…`;
}

/**
 * The beginning of a text that has more than `most` bytes in UTF-8, with a note about the rest. Cuts no character.
 * @param note the end of the cut text. It counts: the result has at most `most` bytes, or is the note alone
 */
export function shortenedToBytes(text: string, most: number, note: string): string {
  if (Buffer.byteLength(text) <= most) return text;
  const room = Math.max(0, most - Buffer.byteLength(note));
  const bytes = Buffer.from(text);
  let end = Math.min(room, bytes.length);
  // The bytes of a character after its first one begin with 10.
  while (end > 0 && ((bytes[end] ?? 0) & 0b1100_0000) === 0b1000_0000) end -= 1;
  return `${bytes.toString('utf8', 0, end)}${note}`;
}

/** Number of line ends before an offset. @param at in UTF-16 units */
export function linesBefore(text: string, at: number): number {
  return text.slice(0, at).split('\n').length - 1;
}

/** Without the first half of a surrogate pair at the end. */
function withoutHalf(text: string): string {
  return /[\ud800-\udbff]$/.test(text) ? text.slice(0, -1) : text;
}

/** Separates the headline of a text from its list, and the items from each other. */
const ITEM = '\n- ';

/** A headline with a list below it, one line for each item. */
export function withList(headline: string, items: readonly string[]): string {
  return [headline, ...items].join(ITEM);
}

/** Separates the headline of a text from a text of several lines below it, such as SQL. */
const BODY = '\n\n';

/** A headline with a text below it, which stays as it is. */
export function withText(headline: string, body: string): string {
  return `${headline}${BODY}${body}`;
}

/** The text without the list or the text below its headline. It is the whole text if it has neither. */
export function headlineOf(text: string): string {
  return text.split(ITEM, 1)[0]?.split(BODY, 1)[0] ?? text;
}

/** The text below a headline. Null: there is none. */
export function bodyOf(text: string): string | null {
  const at = text.indexOf(BODY);
  return at === -1 ? null : text.slice(at + BODY.length);
}

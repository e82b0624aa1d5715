import { styleText } from 'node:util';
import { visible } from '../../../lambdas/shared/visible-text.ts';

/*
 * A terminal obeys control characters, and names and messages can contain them. The functions of this file measure and return
 * visible text only.
 */

const STYLES = ['bold', 'dim', 'red', 'green', 'yellow', 'cyan'] as const;
export type Style = (typeof STYLES)[number] | (typeof STYLES)[number][];

/** The escape sequences that `paint` writes, and no others. */
export const STYLE_CODES: readonly string[] = STYLES.flatMap((style) => paint('|', style, true).split('|'));

/** A part of a line: text without escape codes, and its style. */
export type Piece = string | readonly [text: string, style: Style];

/** Characters that a terminal draws two columns wide. */
const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;

const segments = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

export { oneLine as plain } from '../../../lambdas/shared/visible-text.ts';

/** Width in columns of a text as it is shown. */
export function widthOf(text: string): number {
  let width = 0;
  for (const { segment } of segments.segment(visible(text))) width += WIDE.test(segment) ? 2 : 1;
  return width;
}

/** Cuts a text to at most `columns`, with an ellipsis if something is cut off. */
export function cut(raw: string, columns: number): string {
  const text = visible(raw);
  if (widthOf(text) <= columns) return text;
  if (columns < 1) return '';
  let kept = '';
  let width = 0;
  for (const { segment } of segments.segment(text)) {
    width += widthOf(segment);
    if (width > columns - 1) break;
    kept += segment;
  }
  return `${kept}…`;
}

/** Cuts or pads a text to exactly `columns`. */
export function fillTo(text: string, columns: number): string {
  const shown = cut(text, columns);
  return shown + ' '.repeat(Math.max(0, columns - widthOf(shown)));
}

/** Breaks a text at blanks into at most `lines` lines; the last line is cut. */
export function wrap(text: string, columns: number, lines: number): string[] {
  const wrapped: string[] = [];
  let rest = visible(text);
  while (widthOf(rest) > columns && wrapped.length < lines - 1) {
    const head = cut(rest, columns + 1).slice(0, -1);
    const blank = head.lastIndexOf(' ');
    const end = blank > 0 ? blank : head.length;
    wrapped.push(rest.slice(0, end));
    rest = rest.slice(end).trimStart();
  }
  return [...wrapped, cut(rest, columns)];
}

/** A line of at most `width` columns: pieces from the left, cut before the text at the right edge. */
export function row(width: number, colour: boolean, left: readonly Piece[], right = ''): string {
  const room = right === '' ? width : Math.max(0, width - widthOf(right) - 1);
  let used = 0;
  let text = '';
  for (const piece of left) {
    const [raw, style] = typeof piece === 'string' ? [piece, undefined] : piece;
    const shown = cut(raw, room - used);
    used += widthOf(shown);
    text += style === undefined ? shown : paint(shown, style, colour);
    if (shown !== visible(raw)) break;
  }
  if (right === '' || widthOf(right) + 1 > width) return text;
  return text + ' '.repeat(room - used + 1) + paint(right, 'dim', colour);
}

export function paint(text: string, style: Style, colour: boolean): string {
  // The caller has checked its stream; styleText would check process.stdout.
  const shown = visible(text);
  return colour && shown !== '' ? styleText(style, shown, { validateStream: false }) : shown;
}

/** Whether a stream supports colours. Respects NO_COLOR and FORCE_COLOR. */
export function takesColour(stream: NodeJS.WritableStream): boolean {
  return styleText('red', '.', { stream }) !== '.';
}

/** A progress bar for a fraction from 0 to 1. Null: an empty bar. */
export function barOf(fraction: number | null, columns: number): string {
  const full = Math.min(columns, Math.round((fraction ?? 0) * columns));
  return '█'.repeat(full) + '░'.repeat(columns - full);
}

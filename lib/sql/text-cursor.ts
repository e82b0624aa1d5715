/**
 * Reads a text. Everything that the lexer and the splitter inspect goes through it, so that a test can count the work and
 * show that it grows with the length of the text only.
 */
export class TextCursor {
  readonly length: number;
  private readonly text: string;

  constructor(text: string) {
    this.text = text;
    this.length = text.length;
  }

  /** The UTF-16 unit at an offset. NaN after the end. */
  unitAt(at: number): number {
    return this.text.charCodeAt(at);
  }

  /** Offset of the first `part` at or after `from`. The length of the text if there is none. */
  find(part: string, from: number): number {
    const found = this.text.indexOf(part, from);
    return found === -1 ? this.length : found;
  }

  slice(start: number, end: number): string {
    return this.text.slice(start, end);
  }
}

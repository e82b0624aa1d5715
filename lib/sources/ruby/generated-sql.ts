import { countUpTo, placesIn } from '../../sql/places.ts';
import type { SqlSource } from '../sql-source.ts';
import type { RubyFile, RubyNode } from './parse-ruby.ts';

/** The SQL that stands for the calls of a Ruby file. Each part of it knows its place in the file. */
export class GeneratedSql {
  private readonly file: RubyFile;
  private readonly lineOf: (offset: number) => number;
  private text = '';
  private readonly starts: number[] = [];
  private readonly offsets: number[] = [];
  private readonly used = new Set<number>();

  constructor(file: RubyFile) {
    this.file = file;
    const placeOf = placesIn(file.text);
    this.lineOf = (offset) => placeOf(offset).line;
  }

  /**
   * Adds a statement for a call, with the comments directly before the call and at the end of its line: they describe it, or
   * allow it.
   */
  add(sql: string, call: RubyNode): void {
    const { start, end } = this.file.rangeOf(call);
    for (const comment of this.commentsBefore(start)) this.part(`${this.inSql(comment)}\n`, comment.start);
    this.part(`${sql};`, start);
    const after = this.commentAfter(start, end);
    if (after !== undefined) this.part(` ${this.inSql(after)}`, after.start);
    this.text += '\n';
  }

  toSource(path: string): SqlSource {
    const { text, starts, offsets } = this;
    const offsetOf = (at: number) => offsets[countUpTo(starts, at) - 1] ?? 0;
    return { file: path, text, hasLines: false, origin: { text: this.file.text, offsetOf } };
  }

  private part(text: string, offset: number): void {
    this.starts.push(this.text.length);
    this.offsets.push(offset);
    this.text += text;
  }

  /** The comments on the lines directly before a line, in order. A comment counts for the first call after it. */
  private commentsBefore(start: number): RubyFile['comments'] {
    const found: { readonly start: number; readonly end: number }[] = [];
    let line = this.lineOf(start) - 1;
    for (const comment of this.file.comments.toReversed()) {
      if (comment.start > start) continue;
      if (this.lineOf(comment.start) !== line || !this.isAlone(comment.start) || this.used.has(comment.start))
        break;
      found.unshift(comment);
      this.used.add(comment.start);
      line -= 1;
    }
    return found;
  }

  /** The comment after a call on the line on which it starts or ends. */
  private commentAfter(start: number, end: number): RubyFile['comments'][number] | undefined {
    const lines = [this.lineOf(start), this.lineOf(end)];
    const after = this.file.comments.find(
      (comment) =>
        comment.start > start && lines.includes(this.lineOf(comment.start)) && !this.used.has(comment.start),
    );
    if (after !== undefined) this.used.add(after.start);
    return after;
  }

  private isAlone(start: number): boolean {
    return this.file.text.slice(this.file.text.lastIndexOf('\n', start - 1) + 1, start).trim() === '';
  }

  private inSql({ start, end }: { readonly start: number; readonly end: number }): string {
    const lines = this.file.text.slice(start, end).replaceAll(/[\r\n]+/g, ' ');
    return `-- ${lines.replace(/^#+/, '').trim()}`;
  }
}

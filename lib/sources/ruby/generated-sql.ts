import { countUpTo, placesIn } from '../../sql/places.ts';
import type { SqlSource } from '../sql-source.ts';
import type { RubyFile, RubyNode } from './parse-ruby.ts';

type Comment = RubyFile['comments'][number];

/** The SQL that stands for the calls of a Ruby file. Each part of it knows its place in the file. */
export class GeneratedSql {
  private readonly file: RubyFile;
  private readonly lineOf: (offset: number) => number;
  private text = '';
  private readonly starts: number[] = [];
  private readonly offsets: number[] = [];
  /** The comments that no statement has yet, by their lines. */
  private readonly byLine: Map<number, Comment>;

  constructor(file: RubyFile) {
    this.file = file;
    const placeOf = placesIn(file.text);
    this.lineOf = (offset) => placeOf(offset).line;
    this.byLine = new Map(file.comments.map((comment) => [this.lineOf(comment.start), comment]));
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
  private commentsBefore(start: number): Comment[] {
    const found: Comment[] = [];
    for (let line = this.lineOf(start) - 1; ; line -= 1) {
      const comment = this.commentOn(line, 0);
      if (comment === undefined || !this.isAlone(comment.start)) return found;
      this.byLine.delete(line);
      found.unshift(comment);
    }
  }

  /** The comment after a call on the line on which it starts or ends. */
  private commentAfter(start: number, end: number): Comment | undefined {
    for (const line of [this.lineOf(start), this.lineOf(end)]) {
      const comment = this.commentOn(line, start);
      if (comment === undefined) continue;
      this.byLine.delete(line);
      return comment;
    }
    return undefined;
  }

  private commentOn(line: number, after: number): Comment | undefined {
    const comment = this.byLine.get(line);
    return comment !== undefined && comment.start >= after ? comment : undefined;
  }

  private isAlone(start: number): boolean {
    return this.file.text.slice(this.file.text.lastIndexOf('\n', start - 1) + 1, start).trim() === '';
  }

  private inSql({ start, end }: Comment): string {
    const lines = this.file.text.slice(start, end).replaceAll(/[\r\n]+/g, ' ');
    return `-- ${lines.replace(/^#+/, '').trim()}`;
  }
}

import { countUpTo } from './places.ts';
import type { TextCursor } from './text-cursor.ts';

/** A comment, with and without its marks. */
export interface SqlComment {
  readonly start: number;
  readonly end: number;
  /** Its text without `--`, `/*` and the stars of a block, trimmed. */
  readonly text: string;
  /** Relative to its statement: directly before it, inside it, or after it on its last line. */
  readonly where: 'before' | 'inside' | 'after';
}

/** One statement's part of a text; offsets are UTF-16 units from the start of the text. */
export interface SqlPiece {
  /** Offset of its first character. */
  readonly start: number;
  /** Offset after its last character, without the semicolon. */
  readonly end: number;
  /** Offset after its semicolon; the same as `end` without one. */
  readonly next: number;
  /**
   * The text for the parser: with a name of the same length in place of each placeholder, and one space in place of the rows of
   * constants that an INSERT adds after its first row, which can be nearly all of a file.
   */
  readonly sql: string;
  /** Converts an offset in `sql` to one in the text. */
  readonly offsetOf: (at: number) => number;
  /** The placeholders of a migration tool in it: `${schema}`, `{{schema}}`. */
  readonly placeholders: readonly string[];
  readonly comments: readonly SqlComment[];
}

/** What all pieces of a text share. */
export interface PieceSource {
  readonly text: TextCursor;
}

/** What the splitter has read of a statement; offsets in the text. */
export interface ReadPiece {
  readonly start: number;
  readonly end: number;
  readonly placeholders: readonly { readonly start: number; readonly text: string }[];
  /** Rows of constants, which the parser does not read. */
  readonly data: readonly { readonly start: number; readonly end: number }[];
}

export interface FinishedPiece extends ReadPiece {
  /** Offset after its semicolon. */
  readonly next: number;
}

/** The text of a piece, if it is not the one in the file. */
interface ChangedText {
  readonly sql: string;
  readonly placeholders: readonly string[];
  /** For each place where data is left out, the offset in `sql` after it, and the offset in the text. */
  readonly gaps: { readonly at: number[]; readonly textAt: number[] };
}

/** Replaces each placeholder with a name of the same length, and data with a space. */
function changedText(text: TextCursor, { start, end, placeholders, data }: ReadPiece): ChangedText {
  const names = placeholders.map((one) => ({
    start: one.start,
    end: one.start + one.text.length,
    by: one.text.replaceAll(/\W/g, '_'),
  }));
  const replaced = [...names, ...data.map((rows) => ({ ...rows, by: ' ' }))];
  const parts: string[] = [];
  const gaps: ChangedText['gaps'] = { at: [], textAt: [] };
  let from = start;
  let length = 0;
  for (const part of replaced.toSorted((one, other) => one.start - other.start)) {
    parts.push(text.slice(from, part.start), part.by);
    length += part.start - from + part.by.length;
    from = part.end;
    if (part.by.length === part.end - part.start) continue;
    gaps.at.push(length);
    gaps.textAt.push(from);
  }
  const sql = parts.join('') + text.slice(from, end);
  return { sql, placeholders: placeholders.map((one) => one.text), gaps };
}

/** A dump has a piece for every hundred characters, so a piece keeps little: most are a part of the text as it is. */
export class Piece<Source extends PieceSource = PieceSource> implements SqlPiece {
  readonly start: number;
  readonly end: number;
  readonly next: number;
  protected readonly source: Source;
  private readonly changed: ChangedText | null;
  /** Null: it has none. */
  private ownComments: SqlComment[] | null;

  constructor(source: Source, piece: FinishedPiece, comments: SqlComment[]) {
    this.start = piece.start;
    this.end = piece.end;
    this.next = piece.next;
    this.source = source;
    const isChanged = piece.placeholders.length + piece.data.length > 0;
    this.changed = isChanged ? changedText(source.text, piece) : null;
    this.ownComments = comments.length === 0 ? null : comments;
  }

  get sql(): string {
    return this.changed?.sql ?? this.source.text.slice(this.start, this.end);
  }

  get placeholders(): readonly string[] {
    return this.changed?.placeholders ?? NONE;
  }

  get comments(): readonly SqlComment[] {
    return this.ownComments ?? NONE;
  }

  add(comment: SqlComment): void {
    this.ownComments ??= [];
    this.ownComments.push(comment);
  }

  offsetOf(at: number): number {
    if (this.changed === null) return this.start + at;
    const { gaps } = this.changed;
    const last = countUpTo(gaps.at, at) - 1;
    return (gaps.textAt[last] ?? this.start) + at - (gaps.at[last] ?? 0);
  }
}

const NONE: readonly never[] = [];

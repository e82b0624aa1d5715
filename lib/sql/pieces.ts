/** A comment, as written and without its marks. */
export interface SqlComment {
  readonly start: number;
  readonly end: number;
  /** What it says, without `--`, without the slashes and stars, trimmed. */
  readonly text: string;
  /** Against its statement: directly before it, within it, or behind it on its last line. */
  readonly where: 'before' | 'inside' | 'behind';
}

/** One statement's stretch of a text; offsets are UTF-16 units from the text's start. */
export interface SqlPiece {
  /** Its first character. */
  readonly start: number;
  /** Behind its last character, without the semicolon. */
  readonly end: number;
  /** Behind its semicolon; as `end` where it has none. */
  readonly next: number;
  /** What the parser is to read: of the same length, with placeholders written as names. */
  readonly sql: string;
  /** Placeholders of a migration tool in it, `${schema}`. */
  readonly placeholders: readonly string[];
  readonly comments: readonly SqlComment[];
}

/** A command of psql: where it begins, and all of its line. */
export interface PsqlCommand {
  readonly start: number;
  readonly text: string;
}

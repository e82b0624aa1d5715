import { dataRowsEnd } from './data-rows.ts';
import { type Lexeme, Lexer } from './lexer.ts';
import { type PsqlCommand, sendsStatement } from './psql-commands.ts';
import { type FinishedPiece, Piece, type ReadPiece, type SqlComment, type SqlPiece } from './sql-piece.ts';
import { TextCursor } from './text-cursor.ts';

/** Statements and commands of psql, each in the order of the text. */
export interface SplitText<One extends SqlPiece = SqlPiece> {
  readonly pieces: readonly One[];
  readonly commands: readonly PsqlCommand[];
}

/**
 * Splits a text into statements as psql does: at semicolons outside of quotes, comments, parentheses and the bodies of
 * functions in standard SQL. psql's commands are returned separately, and the data of COPY is skipped. This does not check
 * whether PostgreSQL can parse a statement. The work grows with the length of the text only.
 */
export function splitSql(text: string): SplitText {
  return splitText(new TextCursor(text));
}

/** The same for a cursor, which a test can replace to count what is read. */
export function splitText(text: TextCursor): SplitText {
  return splitInto(text, (piece, comments) => new Piece({ text }, piece, comments));
}

/** The same, with pieces of another class. */
export function splitInto<One extends Piece>(text: TextCursor, create: CreatePiece<One>): SplitText<One> {
  return new Splitter(text, create).split();
}

type CreatePiece<One> = (piece: FinishedPiece, comments: SqlComment[]) => One;

/** A statement while it is read. */
interface OpenStatement extends ReadPiece {
  readonly start: number;
  end: number;
  parentheses: number;
  /** The blocks of a function's body in standard SQL that are open. */
  blocks: number;
  /** Its first words, in lower case: they show its kind. */
  readonly words: string[];
  /** The word directly before this place, in lower case. Empty: something else is there. */
  previous: string;
  /** Whether it is a COPY that reads data from the lines after it. */
  readsData: boolean;
  /** Whether it is an INSERT that lists rows, and this place is between two of them. */
  listsRows: boolean;
  readonly placeholders: ReadPiece['placeholders'][number][];
  readonly data: ReadPiece['data'][number][];
}

const MOST_WORDS = 4;

/** A placeholder in an identifier: no other identifier contains one of these. */
const IN_NAMES = /\$\{[^{}\n]+\}|\{\{[^{}\n]+\}\}/g;

/** A placeholder with a plain name. `{{1,2}}` is an array. */
const IN_QUOTES = /\$\{[\w.:-]+\}|\{\{-? *\.?[A-Za-z_][\w.]* *-?\}\}/g;

class Splitter<One extends Piece> {
  private readonly text: TextCursor;
  private readonly lexer: Lexer;
  private readonly create: CreatePiece<One>;
  private readonly pieces: One[] = [];
  private readonly commands: PsqlCommand[] = [];
  private at = 0;
  private statement: OpenStatement | null = null;
  /** The comments of the current statement, or before the next one. */
  private comments: SqlComment[] = [];
  /** Whether the text since the last statement is on the line on which that statement ends. */
  private onLastLine = false;
  /** Number of COPY statements on this line whose data is in the next lines. */
  private copies = 0;

  constructor(text: TextCursor, create: CreatePiece<One>) {
    this.text = text;
    this.create = create;
    this.lexer = new Lexer(text);
  }

  split(): SplitText<One> {
    while (this.at < this.text.length) this.step();
    this.finish(this.statement?.end ?? 0);
    return { pieces: this.pieces, commands: this.commands };
  }

  private step(): void {
    const lexeme = this.lexer.next(this.at);
    this.at = lexeme.end;
    const { kind, start, unterminated } = lexeme;
    if (kind === 'space') this.space(lexeme);
    else if (kind === 'line-comment')
      this.comment(lexeme, this.text.slice(start, this.at).replace(/^-+/, ''));
    else if (kind === 'block-comment' && !unterminated) this.blockComment(lexeme);
    else if (kind === 'backslash') this.metaCommand(start);
    else this.part(lexeme);
  }

  /** A part of a statement, or its end. PostgreSQL's parser reports an unterminated comment. */
  private part(lexeme: Lexeme): void {
    const { kind, start, end } = lexeme;
    const unit = kind === 'other' ? this.text.unitAt(start) : 0;
    const { statement } = this;
    if (
      unit === SEMICOLON &&
      (statement === null || (statement.parentheses === 0 && statement.blocks === 0))
    ) {
      this.semicolon();
      return;
    }
    const open = statement ?? this.open(start);
    const { previous } = open;
    open.previous = '';
    if (kind === 'placeholder') open.placeholders.push({ start, text: this.text.slice(start, end) });
    else if (kind === 'quoted' || kind === 'string') this.quotes(open, lexeme);
    else if (kind === 'word') this.word(open, { word: this.text.slice(start, end).toLowerCase(), previous });
    else if (unit === OPEN_PARENTHESIS) open.parentheses += 1;
    else if (unit === CLOSE_PARENTHESIS) open.parentheses = Math.max(0, open.parentheses - 1);
    else if (unit === COMMA && open.listsRows && open.parentheses === 0) this.dataRows(open, start);
    open.end = this.at;
  }

  /** The rows after this comma of which nothing depends on the data: a parse tree has a hundred times their size. */
  private dataRows({ data }: OpenStatement, comma: number): void {
    const end = dataRowsEnd(this.text, comma);
    if (end === comma) return;
    data.push({ start: comma, end });
    this.at = end;
  }

  /** Tools replace placeholders in quotes too. The values of INSERT are data: nothing depends on them here. */
  private quotes({ placeholders, words }: OpenStatement, { start, end }: Lexeme): void {
    if (words[0] === 'insert') return;
    const text = this.text.slice(start, end);
    if (!text.includes('${') && !text.includes('{{')) return;
    for (const match of text.matchAll(text.startsWith('"') ? IN_NAMES : IN_QUOTES)) {
      placeholders.push({ start: start + match.index, text: match[0] });
    }
  }

  private open(start: number): OpenStatement {
    const counts = { parentheses: 0, blocks: 0 };
    this.statement = {
      start,
      end: start,
      ...counts,
      words: [],
      previous: '',
      readsData: false,
      listsRows: false,
      placeholders: [],
      data: [],
    };
    return this.statement;
  }

  /** An empty line separates a comment from the next statement. */
  private space({ start, end }: Lexeme): void {
    const lineEnd = this.lineEndIn(start, end);
    if (lineEnd === end) return;
    this.onLastLine = false;
    if (this.copies > 0) this.skipData(lineEnd);
    else if (this.statement === null && this.lineEndIn(lineEnd + 1, end) < end) this.comments = [];
  }

  /** The first line feed between two offsets; `end` if there is none. */
  private lineEndIn(start: number, end: number): number {
    let at = start;
    while (at < end && this.text.unitAt(at) !== LINE_FEED) at += 1;
    return at;
  }

  private comment({ start, end }: Lexeme, inner: string): void {
    const text = inner.trim();
    const last = this.pieces.at(-1);
    if (this.statement === null && this.onLastLine && last !== undefined) {
      last.add({ start, end, text, where: 'after' });
      return;
    }
    this.comments.push({ start, end, text, where: this.statement === null ? 'before' : 'inside' });
  }

  private blockComment(lexeme: Lexeme): void {
    const inner = this.text.slice(lexeme.start + 2, lexeme.end - 2);
    this.comment(lexeme, inner.replaceAll(/^[ \t]*\*+/gm, ''));
    if (inner.includes('\n')) this.onLastLine = false;
  }

  /** A command of psql takes the rest of its line. */
  private metaCommand(start: number): void {
    this.at = this.text.find('\n', start);
    const command = this.text.slice(start, this.at);
    this.commands.push({ start, text: command.trim() });
    if (sendsStatement(command)) this.finish(start);
  }

  private word(open: OpenStatement, { word, previous }: { word: string; previous: string }): void {
    open.previous = word;
    if (open.words.length < MOST_WORDS) open.words.push(word);
    if (open.parentheses > 0) return;
    open.listsRows = word === 'values' && open.words[0] === 'insert';
    const [first, second, third, fourth] = open.words;
    if (first === 'copy' && previous === 'from' && (word === 'stdin' || word === 'stdout')) {
      open.readsData = true;
    }
    // psql detects the body of a function in standard SQL by these words: begin atomic …; …; end.
    const kind = second === 'or' && third === 'replace' ? fourth : second;
    if (first !== 'create' || (kind !== 'function' && kind !== 'procedure')) return;
    if (word === 'begin') open.blocks += 1;
    else if (word === 'case' && open.blocks > 0) open.blocks += 1;
    else if (word === 'end' && open.blocks > 0) open.blocks -= 1;
  }

  private semicolon(): void {
    if (this.statement?.readsData) this.copies += 1;
    this.finish(this.at);
  }

  /** The data of each COPY ends with a line that contains only a backslash and a dot. */
  private skipData(lineEnd: number): void {
    let at = lineEnd;
    while (this.copies > 0 && at < this.text.length) {
      const end = this.text.find('\n', at + 1);
      const line = this.text.slice(at + 1, Math.min(end, at + 4));
      if (line === '\\.' || line === '\\.\r') this.copies -= 1;
      at = end;
    }
    this.copies = 0;
    this.at = at;
  }

  private finish(next: number): void {
    const { statement } = this;
    this.statement = null;
    if (statement === null) return;
    this.pieces.push(this.create({ ...statement, next }, this.comments));
    this.comments = [];
    this.onLastLine = true;
  }
}

const [LINE_FEED, OPEN_PARENTHESIS, CLOSE_PARENTHESIS, COMMA, SEMICOLON] = [0x0a, 0x28, 0x29, 0x2c, 0x3b];

import { type PsqlCommand, sendsStatement } from './psql-commands.ts';

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
  /** The text for the parser: of the same length, with a name in place of each placeholder. */
  readonly sql: string;
  /** The placeholders of a migration tool in it: `${schema}`. */
  readonly placeholders: readonly string[];
  readonly comments: readonly SqlComment[];
}

const TOKENS = [
  /(?<comment>--[^\n]*)/,
  /(?<block>\/\*)/,
  /(?<space>\s+)/,
  /(?<escaped>[eE]'[^'\\]*(?:(?:\\[\s\S]|'')[^'\\]*)*')/,
  /(?<text>'[^']*(?:''[^']*)*')/,
  /(?<quoted>"[^"]*(?:""[^"]*)*")/,
  /(?<dollar>\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$)/,
  /(?<placeholder>\$\{[^}\n]*\})/,
  /(?<word>[A-Za-z_\u0080-\uffff](?:[\w\u0080-\uffff]|\$(?!\{))*)/,
  /(?<meta>\\[^\n]*)/,
  /(?<unterminated>['"])/,
  /[\s\S]/,
];
const TOKEN = new RegExp(TOKENS.map((token) => token.source).join('|'), 'y');

/**
 * Splits a text into statements as psql does: at semicolons outside of quotes, comments, parentheses and the bodies of
 * functions in standard SQL. psql's commands are returned separately, and the data of COPY is skipped. This does not check
 * whether PostgreSQL can parse a statement.
 */
export function splitSql(text: string): { pieces: SqlPiece[]; commands: PsqlCommand[] } {
  return new Splitter(text).split();
}

class Splitter {
  private readonly text: string;
  private readonly pieces: SqlPiece[] = [];
  private readonly commands: PsqlCommand[] = [];
  private at = 0;
  /** Start of the current statement; -1 before its first word. */
  private start = -1;
  private end = 0;
  private parentheses = 0;
  private blocks = 0;
  private words: string[] = [];
  private placeholders: { start: number; text: string }[] = [];
  private comments: SqlComment[] = [];

  constructor(text: string) {
    this.text = text;
  }

  split(): { pieces: SqlPiece[]; commands: PsqlCommand[] } {
    while (this.at < this.text.length) this.step();
    this.finish(this.end);
    return { pieces: this.pieces, commands: this.commands };
  }

  private step(): void {
    const from = this.at;
    TOKEN.lastIndex = from;
    const match = TOKEN.exec(this.text);
    const kind = match?.groups ?? {};
    const token = match?.[0] ?? '';
    this.at = from + token.length;
    if (kind.space !== undefined) this.space(token);
    else if (kind.comment !== undefined) this.comment(from, this.at, token.replace(/^-+/, ''));
    else if (kind.block !== undefined) this.blockComment(from);
    else if (kind.meta !== undefined) this.metaCommand(from, token);
    else if (token === ';' && this.parentheses === 0 && this.blocks === 0) this.semicolon();
    else this.part(from, token, kind);
  }

  /** A token of a statement. */
  private part(from: number, token: string, kind: Record<string, string | undefined>): void {
    if (this.start < 0) this.start = from;
    if (kind.dollar !== undefined) this.skipTo(token);
    else if (kind.unterminated !== undefined) this.at = this.text.length;
    else if (kind.placeholder !== undefined) this.placeholders.push({ start: from, text: token });
    else if (kind.word !== undefined) this.word(token.toLowerCase());
    else if (token === '(') this.parentheses += 1;
    else if (token === ')') this.parentheses = Math.max(0, this.parentheses - 1);
    this.end = this.at;
  }

  /** An empty line separates a comment from the next statement. */
  private space(space: string): void {
    if (this.start < 0 && /\n\s*\n/.test(space)) this.comments = [];
  }

  private comment(start: number, end: number, inner: string): void {
    const text = inner.trim();
    const last = this.pieces.at(-1);
    if (this.start < 0 && last !== undefined && !this.text.slice(last.next, start).includes('\n')) {
      this.pieces[this.pieces.length - 1] = {
        ...last,
        comments: [...last.comments, { start, end, text, where: 'after' }],
      };
      return;
    }
    this.comments.push({ start, end, text, where: this.start < 0 ? 'before' : 'inside' });
  }

  private blockComment(from: number): void {
    const mark = /\/\*|\*\//g;
    mark.lastIndex = from;
    let depth = 0;
    for (let match = mark.exec(this.text); match !== null; match = mark.exec(this.text)) {
      depth += match[0] === '/*' ? 1 : -1;
      if (depth > 0) continue;
      this.at = mark.lastIndex;
      const inner = this.text.slice(from + 2, this.at - 2).replaceAll(/^\s*\*+/gm, '');
      this.comment(from, this.at, inner);
      return;
    }
    // Not terminated: PostgreSQL's parser reports the error.
    if (this.start < 0) this.start = from;
    this.at = this.text.length;
    this.end = this.at;
  }

  private metaCommand(from: number, command: string): void {
    this.commands.push({ start: from, text: command.trim() });
    if (sendsStatement(command)) this.finish(from);
  }

  private word(word: string): void {
    this.words.push(word);
    // psql detects the body of a function in standard SQL by these words: begin atomic …; …; end.
    const [first, second, third, fourth] = this.words;
    const kind = second === 'or' && third === 'replace' ? fourth : second;
    if (first !== 'create' || (kind !== 'function' && kind !== 'procedure')) return;
    if (word === 'begin') this.blocks += 1;
    else if (word === 'case' && this.blocks > 0) this.blocks += 1;
    else if (word === 'end' && this.blocks > 0) this.blocks -= 1;
  }

  private semicolon(): void {
    const copiesData = this.words[0] === 'copy' && this.words.includes('stdin');
    this.finish(this.at);
    if (!copiesData) return;
    const terminator = /^\\\.\r?$/gm;
    terminator.lastIndex = this.at;
    this.at = terminator.exec(this.text) === null ? this.text.length : terminator.lastIndex;
  }

  private skipTo(delimiter: string): void {
    const end = this.text.indexOf(delimiter, this.at);
    this.at = end === -1 ? this.text.length : end + delimiter.length;
  }

  private finish(next: number): void {
    if (this.start >= 0) {
      this.pieces.push({
        start: this.start,
        end: this.end,
        next,
        sql: this.readable(),
        placeholders: this.placeholders.map((one) => one.text),
        comments: this.comments,
      });
      this.comments = [];
    }
    this.start = -1;
    this.parentheses = 0;
    this.blocks = 0;
    this.words = [];
    this.placeholders = [];
  }

  /** Replaces each placeholder with a name of the same length, so that all offsets stay valid. */
  private readable(): string {
    let sql = this.text.slice(this.start, this.end);
    for (const { start, text } of this.placeholders) {
      const name = text.replaceAll(/\W/g, '_');
      sql = sql.slice(0, start - this.start) + name + sql.slice(start - this.start + text.length);
    }
    return sql;
  }
}

import { TextCursor } from './text-cursor.ts';

/**
 * What a part of a text is. `string` and `quoted` (an identifier) include their quotes, `dollar` both of its delimiters.
 * `placeholder` is that of a migration tool, `${schema}` or `{{schema}}`. `backslash` is a backslash outside of quotes.
 */
export type LexemeKind =
  | 'space'
  | 'line-comment'
  | 'block-comment'
  | 'string'
  | 'quoted'
  | 'dollar'
  | 'placeholder'
  | 'word'
  | 'operator'
  | 'backslash'
  | 'other';

export interface Lexeme {
  readonly kind: LexemeKind;
  readonly start: number;
  readonly end: number;
  /** The text ends inside of a comment or of quotes. */
  readonly unterminated: boolean;
}

/**
 * The lexical rules of PostgreSQL, as far as they decide where strings, comments and words begin and end. It reads each
 * character a limited number of times, also in a text that is not SQL.
 */
export class Lexer {
  private readonly text: TextCursor;
  /** The next `}`, `}}` and line feed after the last placeholder: they are searched once, and not for each `${` or `{{`. */
  private brace = -1;
  private braces = -1;
  private lineFeed = -1;

  constructor(text: TextCursor) {
    this.text = text;
  }

  /** The part that starts at an offset before the end of the text. */
  next(start: number): Lexeme {
    const unit = this.text.unitAt(start);
    const second = this.text.unitAt(start + 1);
    if (isSpace(unit)) return { ...ENDED, kind: 'space', start, end: this.skip(start + 1, isSpace) };
    if (unit === DASH && second === DASH) {
      return { ...ENDED, kind: 'line-comment', start, end: this.skip(start + 2, isInLine) };
    }
    if (unit === SLASH && second === STAR) return this.blockComment(start);
    if (unit === QUOTE) return this.quotes(start, { kind: 'string', open: start, escapes: false });
    if (unit === DOUBLE_QUOTE) return this.quotes(start, { kind: 'quoted', open: start, escapes: false });
    if ((unit === LOWER_E || unit === UPPER_E) && second === QUOTE) {
      return this.quotes(start, { kind: 'string', open: start + 1, escapes: true });
    }
    if (unit === DOLLAR) return this.dollar(start);
    if (unit === OPEN_BRACE && second === OPEN_BRACE) return this.template(start);
    if (isWordStart(unit)) return this.word(start);
    if (unit === BACKSLASH) return { ...ENDED, kind: 'backslash', start, end: start + 1 };
    return { ...ENDED, kind: isOperator(unit) ? 'operator' : 'other', start, end: start + 1 };
  }

  private skip(from: number, belongs: (unit: number) => boolean): number {
    let at = from;
    while (at < this.text.length && belongs(this.text.unitAt(at))) at += 1;
    return at;
  }

  /** Block comments nest. */
  private blockComment(start: number): Lexeme {
    const kind = 'block-comment';
    let depth = 1;
    let at = start + 2;
    while (at < this.text.length) {
      const unit = this.text.unitAt(at);
      const second = unit === SLASH || unit === STAR ? this.text.unitAt(at + 1) : 0;
      if (unit === SLASH && second === STAR) {
        depth += 1;
        at += 2;
      } else if (unit === STAR && second === SLASH) {
        depth -= 1;
        at += 2;
        if (depth === 0) return { ...ENDED, kind, start, end: at };
      } else at += 1;
    }
    return { kind, start, end: this.text.length, unterminated: true };
  }

  /** A quote in quotes is doubled; with escapes, a backslash hides the next character too. */
  private quotes(start: number, { kind, open, escapes }: Quotes): Lexeme {
    const quote = this.text.unitAt(open);
    let at = open + 1;
    while (at < this.text.length) {
      const unit = this.text.unitAt(at);
      // The quotes of a template in an identifier do not end it: "{{ identifier "t" }}".
      if (quote === DOUBLE_QUOTE && unit === OPEN_BRACE && this.text.unitAt(at + 1) === OPEN_BRACE) {
        at = this.template(at).end;
        continue;
      }
      if (unit === quote && this.text.unitAt(at + 1) !== quote) {
        return { ...ENDED, kind, start, end: at + 1 };
      }
      at += unit === quote || (escapes && unit === BACKSLASH) ? 2 : 1;
    }
    return { kind, start, end: this.text.length, unterminated: true };
  }

  /** `$tag$ … $tag$`, a placeholder, or a dollar sign alone. */
  private dollar(start: number): Lexeme {
    if (this.text.unitAt(start + 1) === OPEN_BRACE) return this.placeholder(start);
    const tagEnd = isWordStart(this.text.unitAt(start + 1)) ? this.skip(start + 2, isInTag) : start + 1;
    if (this.text.unitAt(tagEnd) !== DOLLAR) return { ...ENDED, kind: 'other', start, end: start + 1 };
    const delimiter = this.text.slice(start, tagEnd + 1);
    const close = this.text.find(delimiter, tagEnd + 1);
    const isOpen = close === this.text.length;
    const end = isOpen ? close : close + delimiter.length;
    return { kind: 'dollar', start, end, unterminated: isOpen };
  }

  private placeholder(start: number): Lexeme {
    if (this.brace < start) this.brace = this.text.find('}', start);
    if (this.lineFeed < start) this.lineFeed = this.text.find('\n', start);
    const isClosed = this.brace < this.text.length && this.brace < this.lineFeed;
    if (!isClosed) return { ...ENDED, kind: 'other', start, end: start + 1 };
    return { ...ENDED, kind: 'placeholder', start, end: this.brace + 1 };
  }

  /** `{{ schema }}` on one line, as templates write it. Braces are no part of SQL. */
  private template(start: number): Lexeme {
    if (this.braces < start) this.braces = this.text.find('}}', start);
    if (this.lineFeed < start) this.lineFeed = this.text.find('\n', start);
    const isClosed = this.braces < this.text.length && this.braces < this.lineFeed;
    if (!isClosed) return { ...ENDED, kind: 'other', start, end: start + 1 };
    const end = this.braces + 2;
    return { ...ENDED, kind: isDirective(this.text.slice(start, end)) ? 'space' : 'placeholder', start, end };
  }

  /** A word can contain dollar signs, but a placeholder ends it. */
  private word(start: number): Lexeme {
    let end = this.skip(start + 1, isInTag);
    while (this.text.unitAt(end) === DOLLAR && this.text.unitAt(end + 1) !== OPEN_BRACE) {
      end = this.skip(end + 1, isInTag);
    }
    return { ...ENDED, kind: 'word', start, end };
  }
}

/** The first words of a statement, in lower case, without comments. A part that is no word is empty. */
export function wordsAtStart(sql: string, count: number): string[] {
  const lexer = new Lexer(new TextCursor(sql));
  const words: string[] = [];
  for (let at = 0; at < sql.length && words.length < count; ) {
    const { kind, start, end } = lexer.next(at);
    at = end;
    if (kind === 'space' || kind === 'line-comment' || kind === 'block-comment') continue;
    words.push(kind === 'word' ? sql.slice(start, end).toLowerCase() : '');
  }
  return words;
}

/**
 * Whether `{{…}}` is a part of a template that becomes no text: `{{ if .X }}`, `{{ else }}`, `{{ end }}`, `{{#if x}}`. The
 * statements between two of them are read as if all of them applied.
 */
export function isDirective(template: string): boolean {
  return /^\{\{-?\s*(?:[#/^!>]|(?:if|else|end|range|with|define|template|block|break|continue)\b)/.test(
    template,
  );
}

interface Quotes {
  readonly kind: 'string' | 'quoted';
  /** Offset of the opening quote. */
  readonly open: number;
  readonly escapes: boolean;
}

const ENDED = { unterminated: false } as const;

const [QUOTE, DOUBLE_QUOTE, DOLLAR, STAR, DASH, SLASH] = [0x27, 0x22, 0x24, 0x2a, 0x2d, 0x2f];
const [BACKSLASH, OPEN_BRACE, UPPER_E, LOWER_E] = [0x5c, 0x7b, 0x45, 0x65];
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const BYTE_ORDER_MARK = 0xfeff;

/** White space of PostgreSQL: no other spaces of Unicode, which are a part of words. A byte order mark counts as one. */
function isSpace(unit: number): boolean {
  return unit === 0x20 || (unit >= 0x09 && unit <= 0x0d) || unit === BYTE_ORDER_MARK;
}

/** A comment ends before either line end. */
function isInLine(unit: number): boolean {
  return unit !== LINE_FEED && unit !== CARRIAGE_RETURN;
}

function isWordStart(unit: number): boolean {
  const isLetter = (unit >= 0x41 && unit <= 0x5a) || (unit >= 0x61 && unit <= 0x7a) || unit === 0x5f;
  return isLetter || (unit >= 0x80 && unit !== BYTE_ORDER_MARK);
}

/** Characters of a dollar quote's tag, and of a word without its dollar signs. */
function isInTag(unit: number): boolean {
  return isWordStart(unit) || (unit >= 0x30 && unit <= 0x39);
}

const OPERATORS = new Set(Array.from('~!@#^&|`?+-*/%<>=', (character) => character.charCodeAt(0)));

function isOperator(unit: number): boolean {
  return OPERATORS.has(unit);
}

import { setFlagsFromString } from 'node:v8';
import { hasSqlDetails, loadModule, parseSync, type ScanToken, scanSync } from 'libpg-query';
import { messageOf } from '../../lambdas/shared/errors.ts';
import { shortened } from '../../lambdas/shared/text.ts';
import { Lexer } from './lexer.ts';
import type { StatementNode } from './parse-tree.ts';
import { unitsOf } from './places.ts';
import { TextCursor } from './text-cursor.ts';

/*
 * PostgreSQL's own parser and scanner, for text that anyone can have written. Three kinds of text harm them, so such text does
 * not reach them:
 *
 * - Slashes and stars in comments, and long runs of operators: the scanner reads the rest of the run for each of them.
 * - Deep nesting: the parser's stack overflows, and after some of these errors it parses no statement any more.
 */

// V8 would compile the parser's functions, one of them huge, a second time with its optimizing compiler. That takes hundreds of MB,
// and more time than it saves: 100,000 statements need 1.4 s and 650 MB with it, 0.9 s and 75 MB without it.
setFlagsFromString('--no-wasm-tier-up');
setFlagsFromString('--no-wasm-dynamic-tiering');
await loadModule();

/** A text cannot be parsed or scanned. The message is PostgreSQL's own, or says which limit the text exceeds. */
export class SqlSyntaxError extends Error {
  override readonly name = 'SqlSyntaxError';
  /** The place in the text, in UTF-16 units. */
  readonly offset: number;

  constructor(message: string, offset: number, cause?: unknown) {
    super(message, { cause });
    this.offset = offset;
  }
}

/** PostgreSQL's messages repeat the text from the error on: of an unterminated string, the rest of the file. */
const LONGEST_MESSAGE = 200;

/** A statement of a text. */
export interface ParsedStatement {
  readonly node: StatementNode;
  /** Where it starts in the text, in bytes of UTF-8: after the semicolon before it. */
  readonly location: number;
}

/**
 * Parses a text.
 * @throws SqlSyntaxError if PostgreSQL cannot parse it, or a limit does not allow to try it
 */
export function parseSql(sql: string): ParsedStatement[] {
  const text = harmless(sql, true);
  try {
    return (parseSync(text).stmts ?? []).map(({ stmt, stmt_location: location = 0 }) => ({
      node: (stmt ?? {}) as StatementNode,
      location,
    }));
  } catch (error) {
    if (!hasSqlDetails(error))
      throw new SqlSyntaxError(shortened(messageOf(error), LONGEST_MESSAGE), 0, error);
    throw new SqlSyntaxError(
      shortened(error.message, LONGEST_MESSAGE),
      unitsOf(sql, error.sqlDetails?.cursorPosition ?? 0),
      error,
    );
  }
}

/**
 * The tokens of a text without its comments; offsets in bytes of UTF-8.
 * @throws SqlSyntaxError if PostgreSQL's scanner reports an error, or a limit does not allow to try it
 */
export function scanSql(sql: string): ScanToken[] {
  const text = harmless(sql, false);
  try {
    return scanSync(text).tokens.filter(
      ({ tokenName }) => tokenName !== 'SQL_COMMENT' && tokenName !== 'C_COMMENT',
    );
  } catch (error) {
    throw new SqlSyntaxError(shortened(messageOf(error), LONGEST_MESSAGE), 0, error);
  }
}

/** PostgreSQL refuses an operator of more than 63 characters. */
const MOST_OPERATORS = 200;

/** The parser's stack overflows at about twice as many. */
const MOST_NESTED = 2_000;

/**
 * A text of the same length in bytes, with the same statements, that the parser and the scanner read in time that grows with
 * its length only.
 * @param isParsed whether the parser reads it, and not only the scanner, which knows no nesting
 * @throws SqlSyntaxError if there is none
 */
function harmless(sql: string, isParsed: boolean): string {
  const text = new TextCursor(sql);
  const lexer = new Lexer(text);
  const nesting = new Nesting();
  const parts: string[] = [];
  let copied = 0;
  let operators = 0;
  for (let at = 0; at < sql.length; ) {
    const { kind, start, end } = lexer.next(at);
    at = end;
    operators = kind === 'operator' ? operators + 1 : 0;
    if (operators > MOST_OPERATORS) {
      throw new SqlSyntaxError(`it has more than ${MOST_OPERATORS} operators in a row`, start);
    }
    if (kind === 'block-comment') {
      parts.push(sql.slice(copied, start), withoutMarks(sql.slice(start, end)));
      copied = end;
    } else if (isParsed && kind !== 'space' && kind !== 'line-comment') {
      const word = kind === 'word' ? sql.slice(start, end) : (sql[start] ?? '');
      if (nesting.add(word, operators > 1) > MOST_NESTED) {
        throw new SqlSyntaxError(
          `it is nested too deeply, or has more than ${MOST_NESTED} words without a comma`,
          start,
        );
      }
    }
  }
  return parts.length === 0 ? sql : parts.join('') + sql.slice(copied);
}

/** A comment without slashes and stars, except its own marks. */
function withoutMarks(comment: string): string {
  if (comment.length < 5) return comment.replaceAll(/[*/]/g, ' ');
  const isClosed = comment.endsWith('*/');
  const inner = comment.slice(2, isClosed ? -2 : undefined).replaceAll(/[*/]/g, ' ');
  return `/*${inner}${isClosed ? '*/' : ''}`;
}

/** Each of these nests all queries before it, also across commas. */
const SETS = ['union', 'intersect', 'except'];

/**
 * An upper limit for the depth of a parse tree. Each word can nest the words before or after it, up to a comma or the end of
 * its parentheses.
 */
class Nesting {
  private total = 0;
  private words = 0;
  private sets = 0;
  private readonly outer: { readonly words: number; readonly sets: number }[] = [];

  /** Counts a word or a sign. @param continues it is a part of the operator before it @returns the depth at this place */
  add(word: string, continues: boolean): number {
    if (word === ',' || word === ';') {
      const ended = word === ';' ? this.sets : 0;
      this.total -= this.words + ended;
      this.words = 0;
      this.sets -= ended;
    } else if (word === ')' || word === ']') this.close();
    else if (!continues) this.open(word);
    return this.total;
  }

  private open(word: string): void {
    this.total += 1;
    if (word.length > 1 && SETS.includes(word.toLowerCase())) {
      this.sets += 1;
      this.total -= this.words;
      this.words = 0;
    } else this.words += 1;
    if (word !== '(' && word !== '[') return;
    this.outer.push({ words: this.words, sets: this.sets });
    this.words = 0;
    this.sets = 0;
  }

  private close(): void {
    const outer = this.outer.pop();
    if (outer === undefined) return;
    this.total -= this.words + this.sets;
    this.words = outer.words;
    this.sets = outer.sets;
  }
}

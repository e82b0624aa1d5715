import { byteOffsetsIn } from './byte-offsets.ts';
import type { StatementNode } from './parse-tree.ts';
import { parseSql, SqlSyntaxError } from './parser.ts';
import { type Place, placesIn } from './places.ts';
import type { PsqlCommand } from './psql-commands.ts';
import { splitSql } from './split-sql.ts';
import type { SqlComment, SqlPiece } from './sql-piece.ts';
import { CONTROL_CHARACTERS } from './tokens.ts';

/** A statement, parsed by PostgreSQL's own parser. It is no plain object: a copy with `...` has no fields. */
export interface SqlStatement extends SqlPiece, Place {
  /** The parse tree; its `location`s count bytes of `sql` in UTF-8. Undefined: the statement cannot be parsed. */
  readonly node: StatementNode | undefined;
  /** Why and where it cannot be parsed. Undefined: it can. */
  readonly error: (Place & { readonly message: string }) | undefined;
  /** Line and column of a `location` of the parse tree. */
  readonly placeAt: (location: number) => Place;
}

export interface SqlText {
  readonly statements: readonly SqlStatement[];
  /** psql's commands, which are in no statement. */
  readonly commands: readonly PsqlCommand[];
  /** Line and column of an offset (UTF-16 units) in the text. */
  readonly placeOf: (offset: number) => Place;
}

/**
 * Reads a file of SQL. Each statement is parsed separately, so that one with a syntax error does not hide the others; and only
 * when its tree is needed, because the trees of all statements of a dump have a hundred times its size.
 * @param placeOf line and column of an offset @default those in the text
 */
export function readSql(text: string, placeOf = placesIn(text)): SqlText {
  const { pieces, commands } = splitSql(text);
  const last = new LastRead(placeOf);
  return { statements: pieces.map((piece) => new ReadStatement(piece, last)), commands, placeOf };
}

/** A statement with another text at the same place. */
export function withSql(statement: SqlStatement, sql: string): SqlStatement {
  const { start, end, next, placeholders, comments, line, column, error } = statement;
  return {
    ...{ start, end, next, sql, placeholders, comments, line, column, error },
    node: parsePiece(sql).node,
    offsetOf: (at) => statement.offsetOf(at),
    placeAt: (location) => statement.placeAt(location),
  };
}

/** There are as many statements as a dump has, so each keeps two references only. */
class ReadStatement implements SqlStatement {
  private readonly piece: SqlPiece;
  private readonly last: LastRead;

  constructor(piece: SqlPiece, last: LastRead) {
    this.piece = piece;
    this.last = last;
  }

  get start(): number {
    return this.piece.start;
  }

  get end(): number {
    return this.piece.end;
  }

  get next(): number {
    return this.piece.next;
  }

  get sql(): string {
    return this.piece.sql;
  }

  get placeholders(): readonly string[] {
    return this.piece.placeholders;
  }

  get comments(): readonly SqlComment[] {
    return this.piece.comments;
  }

  get line(): number {
    return this.last.placeOf(this.piece.start).line;
  }

  get column(): number {
    return this.last.placeOf(this.piece.start).column;
  }

  get node(): StatementNode | undefined {
    return this.last.parsed(this.piece).node;
  }

  get error(): SqlStatement['error'] {
    const { error } = this.last.parsed(this.piece);
    return error && { ...this.last.placeOf(this.piece.offsetOf(error.offset)), message: error.message };
  }

  offsetOf(at: number): number {
    return this.piece.offsetOf(at);
  }

  placeAt(location: number): Place {
    return this.last.placeOf(this.piece.offsetOf(this.last.unitsBefore(this.piece)(location)));
  }
}

interface ParsedText {
  readonly node: StatementNode | undefined;
  readonly error: { readonly message: string; readonly offset: number } | undefined;
}

/** Reads statements, and keeps the last one: readers ask for one after the other, and several times for each. */
class LastRead {
  readonly placeOf: (offset: number) => Place;
  private lastParsed: { readonly piece: SqlPiece; readonly parsed: ParsedText } | undefined;
  private lastOffsets:
    | { readonly piece: SqlPiece; readonly unitsBefore: (bytes: number) => number }
    | undefined;

  constructor(placeOf: (offset: number) => Place) {
    this.placeOf = placeOf;
  }

  parsed(piece: SqlPiece): ParsedText {
    if (this.lastParsed?.piece !== piece) this.lastParsed = { piece, parsed: parsePiece(piece.sql) };
    return this.lastParsed.parsed;
  }

  /** Converts the parser's locations in the text of a piece. */
  unitsBefore(piece: SqlPiece): (bytes: number) => number {
    if (this.lastOffsets?.piece !== piece)
      this.lastOffsets = { piece, unitsBefore: byteOffsetsIn(piece.sql) };
    return this.lastOffsets.unitsBefore;
  }
}

function parsePiece(sql: string): ParsedText {
  try {
    const [statement] = parseSql(sql.replaceAll(CONTROL_CHARACTERS, ' '));
    return { node: statement?.node, error: undefined };
  } catch (error) {
    if (!(error instanceof SqlSyntaxError)) throw error;
    const { message, offset } = error;
    return { node: undefined, error: { message, offset } };
  }
}

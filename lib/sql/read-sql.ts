import { byteOffsetsIn } from './byte-offsets.ts';
import type { StatementNode } from './parse-tree.ts';
import { parseSql, SqlSyntaxError } from './parser.ts';
import { type Place, placesIn } from './places.ts';
import type { PsqlCommand } from './psql-commands.ts';
import { splitInto } from './split-sql.ts';
import { Piece, type PieceSource, type SqlPiece } from './sql-piece.ts';
import { TextCursor } from './text-cursor.ts';
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
  const source = new StatementSource(new TextCursor(text), placeOf);
  const { pieces, commands } = splitInto(
    source.text,
    (piece, comments) => new ReadStatement(source, piece, comments),
  );
  return { statements: pieces, commands, placeOf };
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

class ReadStatement extends Piece<StatementSource> implements SqlStatement {
  get line(): number {
    return this.source.placeOf(this.start).line;
  }

  get column(): number {
    return this.source.placeOf(this.start).column;
  }

  get node(): StatementNode | undefined {
    return this.source.parsed(this).node;
  }

  get error(): SqlStatement['error'] {
    const { error } = this.source.parsed(this);
    return error && { ...this.source.placeOf(this.offsetOf(error.offset)), message: error.message };
  }

  placeAt(location: number): Place {
    return this.source.placeOf(this.offsetOf(this.source.unitsBefore(this)(location)));
  }
}

interface ParsedText {
  readonly node: StatementNode | undefined;
  readonly error: { readonly message: string; readonly offset: number } | undefined;
}

/** A text whose statements are parsed. It keeps the last one: readers ask for one after the other, and several times for each. */
class StatementSource implements PieceSource {
  readonly text: TextCursor;
  readonly placeOf: (offset: number) => Place;
  private lastParsed: { readonly piece: SqlPiece; readonly parsed: ParsedText } | undefined;
  private lastOffsets:
    | { readonly piece: SqlPiece; readonly unitsBefore: (bytes: number) => number }
    | undefined;

  constructor(text: TextCursor, placeOf: (offset: number) => Place) {
    this.text = text;
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

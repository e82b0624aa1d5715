import { byteOffsetsIn } from './byte-offsets.ts';
import type { StatementNode } from './parse-tree.ts';
import { parseSql, SqlSyntaxError } from './parser.ts';
import { type Place, placesIn } from './places.ts';
import type { PsqlCommand } from './psql-commands.ts';
import { type SqlPiece, splitSql } from './split-sql.ts';
import { CONTROL_CHARACTERS } from './tokens.ts';

/** A statement, parsed by PostgreSQL's own parser. */
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
  const parsed = lastParsed();
  const statements = pieces.map((piece): SqlStatement => {
    const unitsBefore = byteOffsetsIn(piece.sql);
    return {
      ...piece,
      ...placeOf(piece.start),
      get node() {
        return parsed(piece).node;
      },
      get error() {
        const { error } = parsed(piece);
        return error && { ...placeOf(piece.start + error.offset), message: error.message };
      },
      placeAt: (location) => placeOf(piece.start + unitsBefore(location)),
    };
  });
  return { statements, commands, placeOf };
}

interface ParsedPiece {
  readonly node: StatementNode | undefined;
  readonly error: { readonly message: string; readonly offset: number } | undefined;
}

/** Parses statements, and keeps the last one: readers ask for one after the other, and several times for each. */
function lastParsed(): (piece: SqlPiece) => ParsedPiece {
  let last: { readonly piece: SqlPiece; readonly parsed: ParsedPiece } | undefined;
  return (piece) => {
    if (last?.piece !== piece) last = { piece, parsed: parsePiece(piece) };
    return last.parsed;
  };
}

function parsePiece({ sql }: SqlPiece): ParsedPiece {
  try {
    const [statement] = parseSql(sql.replaceAll(CONTROL_CHARACTERS, ' '));
    return { node: statement?.node, error: undefined };
  } catch (error) {
    if (!(error instanceof SqlSyntaxError)) throw error;
    const { message, offset } = error;
    return { node: undefined, error: { message, offset } };
  }
}

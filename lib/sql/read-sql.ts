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
 * Reads a file of SQL. Each statement is parsed separately, so that one with a syntax error does not hide the others.
 * @param placeOf line and column of an offset @default those in the text
 */
export function readSql(text: string, placeOf = placesIn(text)): SqlText {
  const { pieces, commands } = splitSql(text);
  const statements = pieces.map((piece) => {
    const parsed = parsePiece(piece);
    const error = parsed.error && {
      ...placeOf(piece.start + parsed.error.offset),
      message: parsed.error.message,
    };
    const unitsBefore = byteOffsetsIn(piece.sql);
    const placeAt = (location: number) => placeOf(piece.start + unitsBefore(location));
    return { ...piece, ...placeOf(piece.start), node: parsed.node, error, placeAt };
  });
  return { statements, commands, placeOf };
}

function parsePiece({ sql }: SqlPiece): {
  node: StatementNode | undefined;
  error: { message: string; offset: number } | undefined;
} {
  try {
    const [statement] = parseSql(sql.replaceAll(CONTROL_CHARACTERS, ' '));
    return { node: statement?.node, error: undefined };
  } catch (error) {
    if (!(error instanceof SqlSyntaxError)) throw error;
    const { message, offset } = error;
    return { node: undefined, error: { message, offset } };
  }
}

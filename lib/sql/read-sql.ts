import { hasSqlDetails, loadModule, parseSync } from 'libpg-query';
import type { StatementNode } from './parse-tree.ts';
import { type Place, placesIn, unitsOf } from './places.ts';
import type { PsqlCommand } from './psql-commands.ts';
import { type SqlPiece, splitSql } from './split-sql.ts';
import { CONTROL_CHARACTERS } from './tokens.ts';

await loadModule();

/** A statement, parsed by PostgreSQL's own parser. */
export interface SqlStatement extends SqlPiece, Place {
  /** The parse tree; its `location`s count bytes of `sql` in UTF-8. Undefined: the statement cannot be parsed. */
  readonly node: StatementNode | undefined;
  /** Why and where it cannot be parsed. Undefined: it can. */
  readonly error: (Place & { readonly message: string }) | undefined;
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
 */
export function readSql(text: string): SqlText {
  const placeOf = placesIn(text);
  const { pieces, commands } = splitSql(text);
  const statements = pieces.map((piece) => {
    const parsed = parsePiece(piece);
    const error = parsed.error && {
      ...placeOf(piece.start + parsed.error.offset),
      message: parsed.error.message,
    };
    return { ...piece, ...placeOf(piece.start), node: parsed.node, error };
  });
  return { statements, commands, placeOf };
}

/** Converts a `location` of the parser, in bytes of a statement, to UTF-16 units. */
export function offsetOfLocation(sql: string, location: number): number {
  return Buffer.from(sql).toString('utf8', 0, location).length;
}

function parsePiece({ sql }: SqlPiece): {
  node: StatementNode | undefined;
  error: { message: string; offset: number } | undefined;
} {
  try {
    const [statement] = parseSync(sql.replaceAll(CONTROL_CHARACTERS, ' ')).stmts ?? [];
    return { node: statement?.stmt as StatementNode | undefined, error: undefined };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const characters = hasSqlDetails(error) ? (error.sqlDetails?.cursorPosition ?? 0) : 0;
    return { node: undefined, error: { message, offset: unitsOf(sql, characters) } };
  }
}

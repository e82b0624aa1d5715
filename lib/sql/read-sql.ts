import { hasSqlDetails, loadModule, type Node, parseSync } from 'libpg-query';
import type { PsqlCommand, SqlPiece } from './pieces.ts';
import { type Place, placesIn, unitsOf } from './places.ts';
import { splitSql } from './split-sql.ts';
import { CONTROL_CHARACTERS } from './tokens.ts';

await loadModule();

/** A statement, as PostgreSQL's own parser reads it. */
export interface SqlStatement extends SqlPiece, Place {
  /** `{ IndexStmt: … }` and the like; its `location`s count bytes of `sql` in UTF-8. Undefined: it cannot be read. */
  readonly node: StatementNode | undefined;
  /** Why it cannot be read, and where. Undefined: it can. */
  readonly error: (Place & { readonly message: string }) | undefined;
}

/** The one kind of statement that it is, and the statement. */
export type StatementNode = Partial<UnionToIntersection<Node>>;

type UnionToIntersection<Union> = (Union extends unknown ? (member: Union) => void : never) extends (
  all: infer All,
) => void
  ? All
  : never;

export interface SqlText {
  readonly statements: readonly SqlStatement[];
  /** Commands of psql, in no statement. */
  readonly commands: readonly PsqlCommand[];
  /** Line and column of an offset (UTF-16 units) in the text. */
  readonly placeOf: (offset: number) => Place;
}

/**
 * Reads a file of SQL: each statement by itself, so that one that cannot be read hides none of the others. Commands of
 * psql stand by themselves, and the data of COPY is passed over.
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

/** UTF-16 units before a `location` of the parser, which counts bytes, in its statement. */
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

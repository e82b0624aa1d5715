import type { Named } from '../../../lambdas/postgres/identifiers.ts';
import type { IndexConstraint } from '../index-name.ts';
import type { NamePool } from '../name-pool.ts';
import type { SourcePlace } from '../places.ts';
import type { SqlStatement } from '../read-sql.ts';
import type { SqlComment } from '../sql-piece.ts';
import type { WrittenStatement } from './written-statement.ts';

/** A table, partitioned or not, a foreign table, a materialized view, or a view. */
export interface SchemaTable {
  schema: string;
  name: string;
  readonly kind: 'table' | 'foreign table' | 'materialized view' | 'view';
  readonly place: SourcePlace;
  readonly temporary: boolean;
  /** Names of its columns, in order. Null: unknown, because a query creates the table. */
  columns: string[] | null;
  /** Those of its columns that come only from tables that it inherits from. Undefined: none, as of nearly all tables. */
  inheritedColumns: Set<string> | undefined;
  /** The names in the type of each known column: `['citext']`, `['pg_catalog', 'int4']`. Empty: unknown. */
  readonly columnTypes: Map<string, readonly string[]>;
  /** `keyOf` the tables that it inherits from with INHERITS. */
  inherits: string[];
  /** A statement that may not run creates or changes it, so the server may not have it like this. */
  inDoubt: boolean;
  /** What the query of a view reads, by `keyOf` the relation. Empty: it is no view. */
  reads: ReadonlyMap<string, ReadColumns>;
  /** Change them with the methods of `Schema` only. */
  foreignKeys: SchemaForeignKey[];
  readonly foreignKeyNames: NamePool;
  /** Whether it has partitions, or can get them. */
  readonly partitioned: boolean;
  /** `keyOf` the partitioned table that it is a partition of. */
  partitionOf: string | null;
}

/** Notes that a table has a column that none of its own statements defines, as far as is known. */
export function markInherited(table: SchemaTable, column: string): void {
  table.inheritedColumns ??= new Set();
  table.inheritedColumns.add(column);
}

/** The columns of a relation that the query of a view reads. */
export interface ReadColumns {
  columns: Set<string>;
  /** Names without a table, which can also be columns of another relation of the query. */
  unclear: Set<string>;
}

export interface SchemaForeignKey {
  name: string;
  columns: string[];
  /** The referenced table. */
  references: Named;
  readonly place: SourcePlace;
}

export interface SchemaIndex {
  schema: string;
  name: string;
  /** A table of the same schema. */
  table: string;
  readonly place: SourcePlace;
  /** The server copies it from the index of the same place: for a partition, or LIKE … INCLUDING INDEXES. */
  readonly isCopy: boolean;
  /**
   * The statement, with the current names of its columns. Null: a constraint or CREATE SCHEMA creates the index, so it has
   * no statement of its own.
   */
  written: WrittenStatement | null;
  /** Its columns, without INCLUDE; null for an expression. */
  columns: (string | null)[];
  /** The names of its own columns, with INCLUDE. They stay if a column of the table is renamed. */
  readonly attributes: readonly string[];
  unique: boolean;
  partial: boolean;
  /** The columns of INCLUDE in a constraint. @default none, or those of its statement */
  include?: string[];
  /** Of a constraint. @default false */
  readonly nullsNotDistinct?: boolean;
  /** Of a constraint. @default false */
  readonly deferrable?: boolean;
  /** Name of the constraint that it belongs to. */
  constraint: string | null;
  /** Null: it belongs to none. */
  constraintKind: IndexConstraint | null;
  /** `keyOf` the index of a partitioned table that it is a part of. */
  attachedTo: string | null;
  /** Why the server may not have it, or may have another definition of it. Null: the model is sure. */
  doubt: Doubt | null;
  /** From COMMENT ON INDEX. */
  description: string | null;
  /** The comments of its statement. */
  readonly comments: readonly SqlComment[];
}

/** A statement that may change indexes: only the server knows whether it does. */
export interface Doubt {
  readonly place: SourcePlace;
  /** What it does to the index, as a sentence without its end: `DROP INDEX i runs only if a condition holds`. */
  readonly reason: string;
}

/** A function or a procedure that statements can call. */
export interface SchemaFunction {
  readonly file: string;
  /** Its CREATE FUNCTION statement. */
  readonly statement: SqlStatement;
}

/** A statement, or a part of some code, whose effect on indexes is unknown. */
export interface Unfollowed {
  readonly place: SourcePlace;
  /** `code in a DO block` */
  readonly what: string;
  readonly reason: string;
}

/** An index that a later statement drops. */
export interface DroppedIndex {
  readonly index: SchemaIndex;
  readonly place: SourcePlace;
  /** What drops it: `DROP INDEX`, `DROP TABLE deals`. */
  readonly by: string;
}

/** Key of a table or an index: the two share the names of a schema. */
export function keyOf({ schema, name }: Named): string {
  // A template string would keep its parts beside the key.
  return [schema, name].join('.');
}

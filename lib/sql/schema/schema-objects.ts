import type { IndexStmt } from 'libpg-query';
import type { Named } from '../../../lambdas/postgres/identifiers.ts';
import type { NamePool } from '../name-pool.ts';
import type { SourcePlace } from '../places.ts';
import type { SqlComment } from '../split-sql.ts';

/** A table, partitioned or not, a foreign table, or a materialized view. */
export interface SchemaTable {
  schema: string;
  name: string;
  readonly place: SourcePlace;
  readonly temporary: boolean;
  /** Names of its columns, in order. Null: unknown, because a query creates the table. */
  columns: string[] | null;
  /** Change them with the methods of `Schema` only. */
  foreignKeys: SchemaForeignKey[];
  readonly foreignKeyNames: NamePool;
  /** Whether it has partitions, or can get them. */
  readonly partitioned: boolean;
  /** `keyOf` the partitioned table that it is a partition of. */
  partitionOf: string | null;
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
  /**
   * The statement, with the current names of its columns. Null: a constraint or CREATE SCHEMA creates the index, so it has
   * no statement of its own.
   */
  written: WrittenStatement | null;
  /** Its columns, without INCLUDE; null for an expression. */
  columns: (string | null)[];
  unique: boolean;
  partial: boolean;
  /** Name of the constraint that it belongs to. */
  constraint: string | null;
  /** `keyOf` the index of a partitioned table that it is a part of. */
  attachedTo: string | null;
  /** From COMMENT ON INDEX. */
  description: string | null;
  /** The comments of its statement. */
  readonly comments: readonly SqlComment[];
}

/** A CREATE INDEX statement: its text, without the semicolon, and its parse tree. */
export interface WrittenStatement {
  readonly sql: string;
  readonly statement: IndexStmt;
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
  return `${schema}.${name}`;
}

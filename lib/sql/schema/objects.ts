import type { IndexStmt } from 'libpg-query';
import type { SqlComment } from '../pieces.ts';
import type { SourcePlace } from '../places.ts';

/** A statement, where what is in it has places of its own. */
export interface StatementPlace extends SourcePlace {
  /** Its text. */
  readonly sql: string;
}

/** A table, partitioned or not, a foreign table, or a materialized view. */
export interface SchemaTable {
  schema: string;
  name: string;
  readonly place: SourcePlace;
  readonly temporary: boolean;
  /** Names of its columns, in order; null: nothing says them, as of what a query makes. */
  columns: string[] | null;
  foreignKeys: SchemaForeignKey[];
  /** The partitioned table that it is a part of, as `schema.name`. */
  partitionOf: string | null;
}

export interface SchemaForeignKey {
  name: string;
  columns: string[];
  /** The table that it refers to. */
  references: ObjectName;
  readonly place: SourcePlace;
}

export interface SchemaIndex {
  schema: string;
  name: string;
  /** Of the same schema. */
  table: string;
  readonly place: SourcePlace;
  /** The statement, with its columns' present names. Null: a constraint's own, or one that CREATE SCHEMA makes with it. */
  written: { sql: string; statement: IndexStmt } | null;
  /** Its columns, without INCLUDE; of an expression null. */
  columns: (string | null)[];
  unique: boolean;
  partial: boolean;
  /** Name of the constraint that it belongs to. */
  constraint: string | null;
  /** The index of a partitioned table that it is a part of, as `schema.name`. */
  attachedTo: string | null;
  /** Of COMMENT ON INDEX. */
  description: string | null;
  /** Those of its statement. */
  readonly comments: readonly SqlComment[];
}

/** Something that is not there any more, and what took it away. */
export interface Gone {
  readonly index: SchemaIndex;
  readonly place: SourcePlace;
  /** `DROP INDEX`, `DROP TABLE deals`. */
  readonly by: string;
}

/** Name with its schema, as it is looked up. */
export interface ObjectName {
  readonly schema: string;
  readonly name: string;
}

export function keyOf({ schema, name }: ObjectName): string {
  return `${schema}.${name}`;
}

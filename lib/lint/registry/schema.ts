import type { Place } from '../../sql/places.ts';

/** What the rules ask of a database's schema. Names as the catalog has them. */
export interface RegistrySchema {
  readonly tables: readonly SchemaTable[];
}

export interface SchemaTable {
  readonly schema: string;
  readonly table: string;
  readonly columns: readonly string[];
  readonly foreignKeys: readonly SchemaForeignKey[];
  /** The columns, in their order, of each index that a PRIMARY KEY or UNIQUE constraint brings. */
  readonly constraintIndexes: readonly (readonly string[])[];
}

/** With the place where the constraint is written. */
export interface SchemaForeignKey extends Place {
  readonly columns: readonly string[];
  /** The table that it refers to. */
  readonly references: { readonly schema: string; readonly table: string };
  readonly file: string;
}

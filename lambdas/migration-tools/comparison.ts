import type { ToolMigration } from '../shared/tool-migrations.ts';

/** A row of a tool's table. A bigint is text. */
export type Row = Readonly<Record<string, unknown>>;

/** What a tool's table says about the shipped migrations. */
export interface Comparison {
  /** The migrations that the tool would apply. */
  readonly pending: readonly ToolMigration[];
  /** Why the tool would apply nothing, and its own way out. */
  readonly problem?: string;
  /** What the report must warn of. */
  readonly warning?: string;
  /** Why it cannot be known what is pending. */
  readonly unknown?: string;
}

/** How the table of a tool is read. */
export interface ToolTable {
  readonly columns: readonly string[];
  /** @param table SCHEMA.TABLE, for messages */
  compare(migrations: readonly ToolMigration[], rows: readonly Row[], table: string): Comparison;
}

/** The migrations whose keys are not among those of the rows. */
export function notIn(
  migrations: readonly ToolMigration[],
  keys: readonly string[],
): readonly ToolMigration[] {
  const known = new Set(keys);
  return migrations.filter(({ key }) => !known.has(key));
}

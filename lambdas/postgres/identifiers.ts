import pg from 'pg';

/** Quotes one identifier. */
export const quoteIdentifier = pg.escapeIdentifier;

/** Quotes a name together with its schema. */
export function qualified(schema: string, name: string): string {
  return `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;
}

/** A table, or the table of an index. */
export interface Table {
  schema: string;
  table: string;
}

/** The table, quoted. */
export function quotedTable(table: Table): string {
  return qualified(table.schema, table.table);
}

import pg from 'pg';
import type { CompiledIndex } from '../shared/registry.ts';

/** Quotes one identifier. */
export const quoteIdentifier = pg.escapeIdentifier;

/** Quotes a name together with its schema. */
export function qualified(schema: string, name: string): string {
  return `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;
}

/** The table of a registry entry, quoted. */
export function quotedTable(index: CompiledIndex): string {
  return qualified(index.schema, index.table);
}

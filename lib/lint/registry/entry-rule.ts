import type { ExaminedEntry } from '../../registry/compile-registry.ts';
import { type IndexShape, shapeOf } from '../../registry/index-shape.ts';
import type { RegistryRuleName } from '../../registry/registry-rules.ts';

/** What a rule about entries reads: an entry and the shape of its index. */
export interface EntryShape extends IndexShape {
  readonly entry: ExaminedEntry;
  /** Where the table of the entry is, also if its statement names no schema. */
  readonly schema: string;
}

/** What a rule about entries returns: a warning about a valid entry. */
export interface EntryWarning {
  readonly rule: RegistryRuleName;
  readonly entry: ExaminedEntry;
  readonly message: string;
  /** The second entry of a pair; it may accept the warning as well. */
  readonly other?: ExaminedEntry;
}

/** @param schemaOf finds the schema of a table that a statement names without one */
export function entryShape(entry: ExaminedEntry, schemaOf: (table: string) => string): EntryShape {
  const { schemaname, relname = '' } = entry.statement.relation ?? {};
  const schema = schemaname ?? schemaOf(relname);
  return { entry, schema, ...shapeOf(entry.statement, () => schema) };
}

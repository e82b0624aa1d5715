import type { SchemaIndex, SchemaTable } from '../sql/schema/objects.ts';

/**
 * A column that an index's text names with its table (`deals.status`), where one of the two has another name since: such
 * names are not followed. Null: there is none.
 */
export function staleReference(index: SchemaIndex, table: SchemaTable | undefined): string | null {
  for (const fields of qualified(index.written?.statement)) {
    const [owner, column] = fields.slice(-2);
    const known = table?.columns;
    if (owner !== index.table || (known && !known.includes(column ?? ''))) return fields.join('.');
  }
  return null;
}

function qualified(node: unknown): string[][] {
  if (Array.isArray(node)) return node.flatMap(qualified);
  if (typeof node !== 'object' || node === null) return [];
  return Object.entries(node).flatMap(([key, value]) => {
    if (key !== 'ColumnRef') return qualified(value);
    const { fields = [] } = value as { fields?: { String?: { sval?: string } }[] };
    return fields.length > 1 ? [fields.map((field) => field.String?.sval ?? '*')] : [];
  });
}

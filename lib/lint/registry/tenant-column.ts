import { tableId } from '../../../lambdas/shared/registry.ts';
import { tableKey } from '../../registry/index-shape.ts';
import type { ExaminedShape } from './examined-shape.ts';
import type { RegistrySchema } from './schema.ts';
import type { EntryWarning } from './warning.ts';

export interface TenantTables {
  readonly column: string;
  /** Undefined: neither the schema nor another index tells. */
  readonly has: (shape: ExaminedShape) => boolean | undefined;
}

/** Tables of tenants: those with the column, and, of tables that the schema does not know, those it is indexed on. */
export function tenantTables(
  column: string,
  shapes: readonly ExaminedShape[],
  schema: RegistrySchema | undefined,
): TenantTables {
  const known = new Map(
    (schema?.tables ?? []).map((table) => [tableKey(table), table.columns.includes(column)]),
  );
  const indexed = new Set(
    shapes
      .filter(({ keys, include }) => keys.some((key) => key.column === column) || include.includes(column))
      .map(({ table }) => table),
  );
  return { column, has: ({ table }) => known.get(table) ?? (indexed.has(table) || undefined) };
}

/** B-trees of several columns that begin with another column than the tenant's, on a table of any kind. */
export function beginsElsewhere({ method, keys }: ExaminedShape, column: string): boolean {
  return method === 'btree' && keys.length > 1 && keys[0]?.column !== column;
}

/** Such indexes on tables of tenants: a query of one tenant reads past the rows of all the others. */
export function tenantColumnLast(shapes: readonly ExaminedShape[], tenants: TenantTables): EntryWarning[] {
  const { column } = tenants;
  return shapes.flatMap((shape): EntryWarning[] => {
    if (!beginsElsewhere(shape, column) || tenants.has(shape) !== true) return [];
    const message =
      `${tableId(shape.entry.index)} is a table of tenants, and the index does not begin with ${column}, so that ` +
      `queries of one tenant read past the rows of the others; put ${column} first, ` +
      "or say why not: accept: { 'tenant-column-first': 'reason' }";
    return [{ rule: 'tenant-column-first', entry: shape.entry, message }];
  });
}

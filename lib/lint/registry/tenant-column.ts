import { tableKey } from '../../../lambdas/postgres/identifiers.ts';
import { tableId } from '../../../lambdas/shared/registry.ts';
import type { Schema } from '../../sql/schema/schema-model.ts';
import type { EntryShape, EntryWarning } from './entry-rule.ts';

/** Tenant tables: tables with a column for the tenant of each row. */
export interface TenantTables {
  readonly column: string;
  /** Undefined: unknown, because neither the schema nor another index shows it. */
  readonly has: (shape: EntryShape) => boolean | undefined;
}

/** A table that the schema does not contain counts as a tenant table if an index of the registry contains the column. */
export function tenantTables(
  column: string,
  shapes: readonly EntryShape[],
  schema: Schema | undefined,
): TenantTables {
  const known = new Map(
    (schema?.registryTables ?? []).map(({ schema: namespace, name, columns }) => [
      tableKey({ schema: namespace, table: name }),
      columns?.includes(column) ?? false,
    ]),
  );
  const indexed = new Set(
    shapes
      .filter(({ keys, include }) => keys.some((key) => key.column === column) || include.includes(column))
      .map(({ table }) => table),
  );
  return { column, has: ({ table }) => known.get(table) ?? (indexed.has(table) || undefined) };
}

/** Whether an index is a B-tree of several columns and the first one is not the tenant column, whatever its table holds. */
export function startsWithOtherColumn({ method, keys }: EntryShape, tenantColumn: string): boolean {
  return method === 'btree' && keys.length > 1 && keys[0]?.column !== tenantColumn;
}

/** Reports such indexes on tenant tables: a query for one tenant also reads the rows of the others. */
export function tenantColumnNotFirst(shapes: readonly EntryShape[], tenants: TenantTables): EntryWarning[] {
  const { column } = tenants;
  return shapes.flatMap((shape): EntryWarning[] => {
    if (!startsWithOtherColumn(shape, column) || tenants.has(shape) !== true) return [];
    const [schema = '', table = ''] = JSON.parse(shape.table) as string[];
    const message =
      `${tableId({ schema, table })} is a tenant table, and the index does not start with ${column}, so a ` +
      `query for one tenant also reads the rows of the others; put ${column} first, ` +
      "or give the reason: accept: { 'tenant-column-first': 'reason' }";
    return [{ rule: 'tenant-column-first', entry: shape.entry, message }];
  });
}

import type { Node } from 'libpg-query';
import { tableKey } from '../../../lambdas/postgres/identifiers.ts';
import { tableId } from '../../../lambdas/shared/registry.ts';
import { entryOnColumns } from '../../registry/entry-on-columns.ts';
import { entryText, type RegistryKind } from '../../registry/registry-text.ts';
import { quoteWhereNeeded } from '../../sql/quote-where-needed.ts';
import type { Schema } from '../../sql/schema/schema-model.ts';
import type { SchemaForeignKey, SchemaIndex, SchemaTable } from '../../sql/schema/schema-objects.ts';
import type { Finding } from '../finding.ts';
import type { AcceptedForeignKeys } from './accepted-foreign-keys.ts';
import type { EntryShape } from './entry-rule.ts';

/**
 * Reports each foreign key whose columns no index starts with, once for each list of columns. An index that starts with the
 * tenant column and continues with them counts: queries on a tenant table name the tenant. A partial index counts only
 * if its predicate is that a column of the key is not null.
 */
export function foreignKeysWithoutIndex(
  schema: Schema,
  shapes: readonly EntryShape[],
  { tenantColumn, kind = 'ts', accepted }: ForeignKeyOptions,
): Finding[] {
  const names = new Set(shapes.map(({ entry }) => entry.index.name));
  const byTable = Map.groupBy(shapes, (shape) => shape.table);
  return schema.registryTables.flatMap((table) => {
    const registered = byTable.get(tableKey({ schema: table.schema, table: table.name })) ?? [];
    const prefixes: IndexPrefix[] = [
      ...schema.indexesOf(table).flatMap(prefixOfSchemaIndex),
      ...registered.flatMap(prefixOfEntry),
    ];
    const reported = new Set<string>();
    return table.foreignKeys.flatMap((key) => {
      const columns = key.columns.toSorted().join('\0');
      if (reported.has(columns) || prefixes.some((prefix) => covers(prefix, key.columns, tenantColumn)))
        return [];
      reported.add(columns);
      if (accepted?.accepts(table, key.columns)) return [];
      return [finding(table, key, { names, kind, firstSchema: schema.path.firstConfigured })];
    });
  });
}

interface ForeignKeyOptions {
  /** Null: the tables have no tenant column. */
  readonly tenantColumn: string | null;
  /** How the entries to paste are written. @default 'ts' */
  readonly kind?: RegistryKind;
  /** Foreign keys that need no index. @default none */
  readonly accepted?: AcceptedForeignKeys | undefined;
}

/** The columns that an index starts with. */
interface IndexPrefix {
  readonly columns: readonly string[];
  /** Of a partial index: the column that has a value in each of its rows. */
  readonly notNull?: string | undefined;
}

/** Of a B-tree that a constraint or a migration creates, if it covers all rows and has no expression. */
function prefixOfSchemaIndex({ columns, partial, unique, constraint, written }: SchemaIndex): IndexPrefix[] {
  const isBtree = constraint === null ? written?.statement.accessMethod === 'btree' : unique;
  const named = columns.flatMap((column) => column ?? []);
  return isBtree && !partial && named.length === columns.length ? [{ columns: named }] : [];
}

/** Of a B-tree, the columns before its first expression. */
function prefixOfEntry({ entry, method, where, keys }: EntryShape): IndexPrefix[] {
  const notNull = notNullColumn(entry.statement.whereClause);
  if (method !== 'btree' || (where !== '' && notNull === undefined)) return [];
  const expression = keys.findIndex(({ column }) => column === undefined);
  const plain = expression === -1 ? keys : keys.slice(0, expression);
  return [{ columns: plain.flatMap(({ column }) => column ?? []), notNull }];
}

/** The column of a predicate `COLUMN is not null`: a lookup by foreign key never searches for null. */
function notNullColumn(predicate: Node | undefined): string | undefined {
  if (predicate === undefined || !('NullTest' in predicate)) return undefined;
  const { arg, nulltesttype } = predicate.NullTest;
  if (nulltesttype !== 'IS_NOT_NULL' || arg === undefined || !('ColumnRef' in arg)) return undefined;
  const field = arg.ColumnRef.fields?.at(-1);
  return field !== undefined && 'String' in field ? field.String.sval : undefined;
}

function covers(prefix: IndexPrefix, columns: readonly string[], tenantColumn: string | null): boolean {
  if (prefix.notNull !== undefined && !columns.includes(prefix.notNull)) return false;
  const [first = ''] = prefix.columns;
  const skip = first === tenantColumn && !columns.includes(first) ? 1 : 0;
  const start = prefix.columns.slice(skip, skip + columns.length);
  return start.length === columns.length && columns.every((column) => start.includes(column));
}

function finding(
  table: SchemaTable,
  key: SchemaForeignKey,
  options: { readonly names: Set<string>; readonly kind: RegistryKind; readonly firstSchema: string },
): Finding {
  const { names, kind, firstSchema } = options;
  const { columns, place } = key;
  const on = columns.map(quoteWhereNeeded).join(', ');
  const tableName = tableId({ schema: table.schema, table: table.name });
  const referenced = tableId({ schema: key.references.schema, table: key.references.name });
  const description = `${tableName} by ${columns.join(', ')}, which references ${referenced}`;
  const entry = entryOnColumns({ table, columns, description }, { names, firstSchema });
  return {
    rule: 'foreign-key-without-index',
    severity: 'warning',
    ...{ file: place.file, line: place.line, column: place.column },
    message:
      `Foreign key (${on}) of ${tableName} has no index. PostgreSQL indexes only the referenced columns, so joins and ` +
      `every delete from ${referenced} read the whole table. Add this entry to the registry.`,
    entry: entryText(entry, kind),
  };
}

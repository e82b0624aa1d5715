import type { Node } from 'libpg-query';
import { tableId } from '../../../lambdas/shared/registry.ts';
import type { IndexEntry } from '../../registry/define-indexes.ts';
import { entryText } from '../../registry/entry-text.ts';
import { tableKey } from '../../registry/index-shape.ts';
import { clipBytes, MAX_NAME_BYTES } from '../../sql/object-name.ts';
import { quotedTable, quoteWhereNeeded } from '../../sql/tokens.ts';
import type { Finding } from '../finding.ts';
import type { ExaminedShape } from './examined-shape.ts';
import type { RegistrySchema, SchemaForeignKey, SchemaTable } from './schema.ts';

/**
 * Foreign keys that no index begins with, once for each list of columns. Behind the tenant column counts as a beginning:
 * queries of tenant tables name the tenant. An index with a predicate does not count, unless it is that a column of the key
 * is not null.
 * @param tenantColumn null: there is none.
 */
export function foreignKeysWithoutIndex(
  schema: RegistrySchema,
  shapes: readonly ExaminedShape[],
  tenantColumn: string | null,
): Finding[] {
  const names = new Set(shapes.map(({ entry }) => entry.index.name));
  const byTable = Map.groupBy(shapes, (shape) => shape.table);
  return schema.tables.flatMap((table) => {
    const beginnings: Beginning[] = [
      ...table.constraintIndexes.map((columns) => ({ columns })),
      ...(byTable.get(tableKey(table)) ?? []).flatMap(beginningOf),
    ];
    const told = new Set<string>();
    return table.foreignKeys.flatMap((key) => {
      const columns = key.columns.toSorted().join('\0');
      if (told.has(columns) || beginnings.some((index) => covers(index, key.columns, tenantColumn)))
        return [];
      told.add(columns);
      return [finding(table, key, names)];
    });
  });
}

/** The columns that an index begins with, and those that have a value in all of its rows, where not all rows are in it. */
interface Beginning {
  readonly columns: readonly string[];
  readonly notNull?: string | undefined;
}

/** Of a B-tree, up to the first expression; of a partial one, where its predicate is that a column is not null. */
function beginningOf({ entry, method, where, keys }: ExaminedShape): Beginning[] {
  const notNull = notNullColumn(entry.statement.whereClause);
  if (method !== 'btree' || (where !== '' && notNull === undefined)) return [];
  const expression = keys.findIndex(({ column }) => column === undefined);
  const plain = expression === -1 ? keys : keys.slice(0, expression);
  return [{ columns: plain.flatMap(({ column }) => column ?? []), notNull }];
}

/** The column of a predicate `COLUMN is not null`: no foreign key is looked up by null. */
function notNullColumn(predicate: Node | undefined): string | undefined {
  if (predicate === undefined || !('NullTest' in predicate)) return undefined;
  const { arg, nulltesttype } = predicate.NullTest;
  if (nulltesttype !== 'IS_NOT_NULL' || arg === undefined || !('ColumnRef' in arg)) return undefined;
  const field = arg.ColumnRef.fields?.at(-1);
  return field !== undefined && 'String' in field ? field.String.sval : undefined;
}

function covers(index: Beginning, columns: readonly string[], tenantColumn: string | null): boolean {
  if (index.notNull !== undefined && !columns.includes(index.notNull)) return false;
  const [first = ''] = index.columns;
  const skip = first === tenantColumn && !columns.includes(first) ? 1 : 0;
  const beginning = index.columns.slice(skip, skip + columns.length);
  return beginning.length === columns.length && columns.every((column) => beginning.includes(column));
}

function finding(table: SchemaTable, key: SchemaForeignKey, names: Set<string>): Finding {
  const { file, line, column, columns } = key;
  const name = freeName(`idx_${table.table}_${columns.join('_')}`, names);
  const on = columns.map(quoteWhereNeeded).join(', ');
  const target = quotedTable({ schema: table.schema, name: table.table });
  const referenced = tableId(key.references);
  const entry: IndexEntry = {
    name,
    sql: `create index concurrently if not exists ${quoteWhereNeeded(name)} on ${target} (${on})`,
    description: `${tableId(table)} by ${columns.join(', ')}, which refers to ${referenced}`,
  };
  return {
    rule: 'foreign-key-without-index',
    severity: 'warning',
    file,
    line,
    column,
    message:
      `foreign key (${on}) of ${tableId(table)} has no index: PostgreSQL indexes only what it refers to, so that joins ` +
      `and each delete from ${referenced} read the whole table; add the entry`,
    entry: entryText(entry, 'ts', ''),
  };
}

/** The name, cut to what PostgreSQL keeps and numbered where it is taken; it is taken from then on. */
function freeName(wanted: string, names: Set<string>): string {
  for (let number = 1; ; number += 1) {
    const end = number === 1 ? '' : `_${number}`;
    const name = clipBytes(wanted, MAX_NAME_BYTES - Buffer.byteLength(end)) + end;
    if (names.has(name)) continue;
    names.add(name);
    return name;
  }
}

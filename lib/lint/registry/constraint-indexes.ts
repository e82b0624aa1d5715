import type { Named } from '../../../lambdas/postgres/identifiers.ts';
import { shapeOf } from '../../registry/index-shape.ts';
import { treeText } from '../../sql/parse-tree.ts';
import { quoteWhereNeeded } from '../../sql/quote-where-needed.ts';
import type { Schema } from '../../sql/schema/schema-model.ts';
import type { SchemaIndex } from '../../sql/schema/schema-objects.ts';
import type { EntryShape, EntryWarning } from './entry-rule.ts';

/**
 * Reports entries that a primary key or unique constraint makes superfluous: PostgreSQL has created the same index for it. An index
 * that is not unique has the same columns, and queries use the unique one instead.
 */
export function constraintIndexes(shapes: readonly EntryShape[], schema: Schema): EntryWarning[] {
  return shapes.flatMap((shape): EntryWarning[] => {
    const same = schema
      .indexesOf(tableOf(shape))
      .find((index) => isConstraint(index, shape) && hasSameKeys(index, shape));
    return same === undefined
      ? []
      : [{ rule: 'constraint-index', entry: shape.entry, message: messageOf(shape, same) }];
  });
}

/** Whether the schema has the table of an entry, and so shows its constraints. */
export function isTableKnown(shape: EntryShape, schema: Schema): boolean {
  return schema.table(tableOf(shape)) !== undefined;
}

function tableOf({ entry, schema }: EntryShape): Named {
  return { schema, name: entry.statement.relation?.relname ?? '' };
}

/** A constraint that is not the entry's own. */
function isConstraint({ constraint, unique, partial }: SchemaIndex, { entry }: EntryShape): boolean {
  return constraint !== null && unique && !partial && entry.index.constraint?.name !== constraint;
}

function hasSameKeys(index: SchemaIndex, shape: EntryShape): boolean {
  if (index.written !== null)
    return shapeOf(index.written.statement, () => index.schema).identity === shape.identity;
  const { columns, include = [], nullsNotDistinct = false, deferrable = false } = index;
  const isPlain = shape.method === 'btree' && shape.where === '' && shape.keys.length === columns.length;
  if (!isPlain || !shape.keys.every((key, at) => isPlainKey(key, columns[at] ?? ''))) return false;
  if (shape.include.toSorted().join('\0') !== include.toSorted().join('\0')) return false;
  // A deferrable constraint checks its rows later, and ON CONFLICT cannot use it.
  const nulls = shape.entry.statement.nulls_not_distinct ?? false;
  return !shape.unique || (!deferrable && nulls === nullsNotDistinct);
}

/** A key with the collation, operator class and order that the index of a constraint has. */
function isPlainKey({ tree, descending, nullsFirst }: EntryShape['keys'][number], column: string): boolean {
  const plain = treeText([column, undefined, undefined, undefined, undefined]);
  return tree === plain && !descending && !nullsFirst;
}

function messageOf({ unique }: EntryShape, { constraint, place }: SchemaIndex): string {
  const found = `constraint ${quoteWhereNeeded(constraint ?? '')} (${place.file}:${place.line})`;
  const why = unique
    ? `${found} has the same index, so the deploy reports this entry as equivalent and builds nothing`
    : `the index of ${found} has the same columns and serves the same queries, and every write would update both`;
  return `${why}; remove this entry, or give the reason to keep it: accept: { 'constraint-index': 'reason' }`;
}

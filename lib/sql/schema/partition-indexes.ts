import type { IndexElem, IndexStmt } from 'libpg-query';
import { constraintName, nameOfCopy } from '../index-name.ts';
import { stringsIn, treeText } from '../parse-tree.ts';
import type { Schema } from './schema-model.ts';
import { keyOf, type SchemaIndex, type SchemaTable } from './schema-objects.ts';
import type { WrittenStatement } from './written-statement.ts';

/*
 * The indexes that PostgreSQL creates or attaches by itself: each index of a partitioned table has a part on each partition.
 */

/** Partitions times indexes can be many in a short text. The server needs minutes for as many as this. */
const MOST_PARTS = 100_000;

/** Gives the partitions of its table the parts of a new index. */
export function addParts(schema: Schema, index: SchemaIndex): void {
  const next = [index];
  for (let one = next.pop(); one !== undefined; one = next.pop()) {
    if (schema.indexCount > MOST_PARTS) return;
    for (const partition of schema.partitionsOf({ schema: one.schema, name: one.table })) {
      const part = addPart(schema, one, partition);
      if (part !== null) next.push(part);
    }
  }
}

/** Gives a new partition the parts of all indexes of its table. */
export function addAllParts(schema: Schema, partition: SchemaTable): void {
  const indexes = schema.indexCount > MOST_PARTS ? [] : schema.indexesOfKey(partition.partitionOf);
  for (const index of indexes) {
    const part = addPart(schema, index, partition);
    if (part !== null) addParts(schema, part);
  }
}

/** After DETACH, the parts on a partition are indexes of their own. */
export function detachParts(schema: Schema, partition: SchemaTable, parent: string): void {
  const parents = new Set(schema.indexesOfKey(parent).map(keyOf));
  for (const index of schema.indexesOf(partition)) {
    if (index.attachedTo !== null && parents.has(index.attachedTo)) schema.attachIndex(index, null);
  }
}

/** Copies the indexes of a table to another one: LIKE … INCLUDING INDEXES. */
export function copyIndexes(schema: Schema, from: SchemaTable, to: SchemaTable): void {
  for (const index of schema.indexesOf(from)) schema.addIndex(copyOf(schema, index, to));
}

/** The new part of an index on a partition. Null: an index of the partition becomes the part, or the partition can have none. */
function addPart(schema: Schema, index: SchemaIndex, partition: SchemaTable): SchemaIndex | null {
  if (partition.kind === 'foreign table') return null;
  const shape = shapeOf(index);
  const own = schema
    .indexesOf(partition)
    .find(
      (one) =>
        one.attachedTo === null &&
        (index.constraint === null || one.constraintKind === index.constraintKind) &&
        shape !== null &&
        shapeOf(one) === shape,
    );
  const part = own ?? copyOf(schema, index, partition);
  if (own === undefined && !schema.addIndex(part)) return null;
  schema.attachIndex(part, index);
  return own === undefined ? part : null;
}

function copyOf(schema: Schema, index: SchemaIndex, table: SchemaTable): SchemaIndex {
  const taken = schema.namesIn(table.schema);
  const { attributes, constraintKind: kind } = index;
  const name =
    kind === null
      ? nameOfCopy(table.name, attributes, taken)
      : constraintName(kind, table.name, attributes, taken);
  const constraint = kind === null ? null : name;
  return {
    ...index,
    schema: table.schema,
    name,
    table: table.name,
    constraint,
    attachedTo: null,
    description: null,
    isCopy: true,
  };
}

/**
 * What PostgreSQL compares to decide whether an index can be a part of another one: not the order of the keys. Null: no index is
 * like this one.
 */
function shapeOf({ written, columns, attributes, unique, constraintKind }: SchemaIndex): string | null {
  if (constraintKind === 'exclusion') return null;
  const keyOfColumn = (name: string | null) => [name, '', '', ''];
  if (written === null) {
    const included = attributes.slice(columns.length);
    return `${unique} ${JSON.stringify(['btree', columns.map(keyOfColumn), included, '', false])}`;
  }
  const known = shapes.get(written) ?? shapeOfWritten(written.statement);
  shapes.set(written, known);
  return `${unique} ${known}`;
}

/** A partition is compared with all indexes of its table: each statement is read once. */
const shapes = new WeakMap<WrittenStatement, string>();

function shapeOfWritten(statement: IndexStmt): string {
  return JSON.stringify([
    statement.accessMethod ?? 'btree',
    elements(statement.indexParams).map(({ name, expr, collation, opclass }) => [
      name ?? null,
      expr === undefined ? '' : treeText(expr),
      stringsIn(collation).at(-1) ?? '',
      operatorClass(stringsIn(opclass).at(-1)),
    ]),
    elements(statement.indexIncludingParams).map(({ name }) => name),
    statement.whereClause === undefined ? '' : treeText(statement.whereClause),
    statement.nulls_not_distinct ?? false,
  ]);
}

function elements(params: IndexStmt['indexParams']): IndexElem[] {
  return (params ?? []).flatMap((node) => ('IndexElem' in node ? [node.IndexElem] : []));
}

/** Empty for the default of a built-in type, so that a stated default is equal to none. */
function operatorClass(name: string | undefined): string {
  return name === undefined || DEFAULT.test(name) ? '' : name;
}

const DEFAULT =
  /^(?:text|varchar|bpchar|name|char|int[248]|oid|float[48]|numeric|bool|date|time|timetz|timestamp|timestamptz|interval|uuid|bytea|inet|cidr|jsonb|array|tsvector|enum|range|record)_ops$/;

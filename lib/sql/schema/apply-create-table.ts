import type { ColumnDef, RangeVar, TableLikeClause } from 'libpg-query';
import { columnConstraints } from '../column-constraints.ts';
import { NamePool } from '../name-pool.ts';
import { type StatementNode, stringsIn } from '../parse-tree.ts';
import { addConstraint } from './apply-constraint.ts';
import { addAllParts, copyIndexes } from './partition-indexes.ts';
import { TEMPORARY } from './relation-store.ts';
import type { ApplyContext } from './schema-model.ts';
import { keyOf, markInherited, type SchemaTable } from './schema-objects.ts';

const NO_READS: SchemaTable['reads'] = new Map();

/** @param columns null: a query defines them */
export function newTable(
  { schema, place }: ApplyContext,
  relation: RangeVar,
  kind: SchemaTable['kind'],
  columns: string[] | null,
): SchemaTable {
  const temporary = relation.relpersistence === 't' || relation.schemaname === TEMPORARY;
  const { schemaname = temporary ? TEMPORARY : schema.path.first, relname: name = '' } = relation;
  return {
    ...{ schema: schemaname, name, kind, place, temporary, columns },
    inheritedColumns: undefined,
    columnTypes: new Map(),
    foreignKeys: [],
    foreignKeyNames: new NamePool(),
    partitioned: false,
    partitionOf: null,
    inherits: [],
    inDoubt: schema.doubt !== null,
    reads: NO_READS,
  };
}

export function applyCreateTable(
  context: ApplyContext,
  { relation, tableElts, inhRelations, partbound, partspec }: NonNullable<StatementNode['CreateStmt']>,
  kind: SchemaTable['kind'] = 'table',
): void {
  const { schema } = context;
  if (relation === undefined) return;
  const table = { ...newTable(context, relation, kind, []), partitioned: partspec !== undefined };
  if (schema.isTaken(table)) return;
  const parents = (inhRelations ?? []).flatMap((parent) =>
    'RangeVar' in parent ? [schema.nameOf(parent.RangeVar)] : [],
  );
  for (const parent of parents) inheritColumns(table, schema.table(parent));
  schema.addTable(table);
  const [first] = parents;
  if (partbound === undefined) schema.inherit(table, parents.map(keyOf));
  else if (first !== undefined) schema.attachTable(table, first);
  for (const element of tableElts ?? []) {
    if ('ColumnDef' in element) addColumn(context, table, element.ColumnDef);
    else if ('Constraint' in element) addConstraint(context, table, element.Constraint);
    else if ('TableLikeClause' in element) {
      addLikeColumns(table, schema.table(schema.nameOf(element.TableLikeClause.relation)));
    }
  }
  // The server creates these after the table and its own constraints.
  if (partbound !== undefined) addAllParts(schema, table);
  for (const element of tableElts ?? []) {
    if ('TableLikeClause' in element) addLikeIndexes(context, table, element.TableLikeClause);
  }
}

function inheritColumns(table: SchemaTable, parent: SchemaTable | undefined): void {
  for (const column of parent?.columns ?? []) {
    if (!table.columnTypes.has(column)) pushInherited(table, column);
    setType(table, column, parent?.columnTypes.get(column));
  }
}

function pushInherited(table: SchemaTable, column: string): void {
  table.columns?.push(column);
  markInherited(table, column);
}

function addLikeColumns(table: SchemaTable, like: SchemaTable | undefined): void {
  for (const column of like?.columns ?? []) {
    table.columns?.push(column);
    table.inheritedColumns?.delete(column);
    setType(table, column, like?.columnTypes.get(column));
  }
}

/** CREATE_TABLE_LIKE_INDEXES of PostgreSQL's parse nodes. INCLUDING ALL sets every bit. */
const LIKE_INDEXES = 1 << 6;

function addLikeIndexes(
  { schema, place }: ApplyContext,
  table: SchemaTable,
  { relation, options = 0 }: TableLikeClause,
): void {
  if ((options & LIKE_INDEXES) === 0) return;
  const name = schema.nameOf(relation);
  const like = schema.table(name);
  if (like !== undefined) copyIndexes(schema, like, table);
  else {
    const reason = `LIKE … INCLUDING INDEXES copies the indexes of ${name.name}, which no statement before it creates`;
    schema.unfollowed.push({ place, what: `table ${table.name}`, reason });
  }
}

export function addColumn(
  context: ApplyContext,
  table: SchemaTable,
  { colname = '', constraints, typeName }: ColumnDef,
): void {
  const { schema } = context;
  schema.doubtTable(table);
  table.inheritedColumns?.delete(colname);
  const type = schema.typeOf(stringsIn(typeName?.names));
  for (const one of [table, ...schema.heirsOf(table)]) {
    if (!one.columnTypes.has(colname)) {
      if (one === table) one.columns?.push(colname);
      else pushInherited(one, colname);
    }
    setType(one, colname, type);
  }
  for (const constraint of columnConstraints(constraints)) addConstraint(context, table, constraint, colname);
}

function setType(table: SchemaTable, column: string, type: readonly string[] = []): void {
  table.columnTypes.set(column, type);
}

import type { IndexStmt, Node } from 'libpg-query';
import { indexName } from '../index-name.ts';
import type { SqlStatement, StatementNode } from '../read-sql.ts';
import { applyAlterTable } from './alter-table.ts';
import { nameOf, strings } from './names.ts';
import type { ObjectName, StatementPlace } from './objects.ts';
import type { Schema } from './schema.ts';
import { createTable, newTable } from './tables.ts';

/**
 * Applies one statement to a schema; what does not concern tables and indexes changes nothing, nor does what code runs.
 * @param file as the reader knows it
 */
export function applyStatement(schema: Schema, file: string, statement: SqlStatement): void {
  const { node, line, column, sql } = statement;
  if (node !== undefined) applyNode(schema, node, { file, line, column, sql }, statement);
}

function applyNode(
  schema: Schema,
  node: StatementNode,
  place: StatementPlace,
  statement: SqlStatement,
): void {
  if (node.CreateStmt !== undefined) createTable(schema, node.CreateStmt, place);
  else if (node.CreateForeignTableStmt?.base !== undefined)
    createTable(schema, node.CreateForeignTableStmt.base, place);
  else if (node.CreateTableAsStmt?.into?.rel !== undefined)
    schema.addTable(newTable(schema, node.CreateTableAsStmt.into.rel, place, null));
  else if (node.SelectStmt !== undefined) applySelect(schema, node.SelectStmt, place);
  else if (node.IndexStmt !== undefined) createIndex(schema, node.IndexStmt, place, statement);
  else if (node.AlterTableStmt !== undefined) applyAlterTable(schema, node.AlterTableStmt, place);
  else if (node.RenameStmt !== undefined) rename(schema, node.RenameStmt);
  else if (node.AlterObjectSchemaStmt !== undefined) setSchema(schema, node.AlterObjectSchemaStmt);
  else if (node.DropStmt !== undefined) drop(schema, node.DropStmt, place);
  else if (node.CommentStmt !== undefined) comment(schema, node.CommentStmt);
  else if (node.VariableSetStmt?.name === 'search_path') setSearchPath(schema, node.VariableSetStmt.args);
  else if (node.CreateSchemaStmt !== undefined) {
    const { schemaname, schemaElts } = node.CreateSchemaStmt;
    const before = schema.defaultSchema;
    schema.defaultSchema = schemaname ?? before;
    for (const element of (schemaElts ?? []) as StatementNode[]) applyNode(schema, element, place, statement);
    schema.defaultSchema = before;
  }
}

function createIndex(
  schema: Schema,
  statement: IndexStmt,
  place: StatementPlace,
  { sql, comments, node = {} }: SqlStatement,
): void {
  const table = nameOf(schema, statement.relation);
  const taken = (name: string) => schema.isTaken({ schema: table.schema, name });
  schema.addIndex({
    schema: table.schema,
    name: indexName(statement, taken),
    table: table.name,
    place: { file: place.file, line: place.line, column: place.column },
    // The parser gives no text of what CREATE SCHEMA makes with it.
    written: node.IndexStmt === undefined ? null : { sql, statement },
    columns: (statement.indexParams ?? []).map((element) =>
      'IndexElem' in element ? (element.IndexElem.name ?? null) : null,
    ),
    unique: statement.unique ?? false,
    partial: statement.whereClause !== undefined,
    constraint: null,
    attachedTo: null,
    description: null,
    comments,
  });
}

function applySelect(
  schema: Schema,
  { intoClause, targetList }: NonNullable<StatementNode['SelectStmt']>,
  place: StatementPlace,
): void {
  if (intoClause?.rel !== undefined) schema.addTable(newTable(schema, intoClause.rel, place, null));
  // As pg_dump sets it: select pg_catalog.set_config('search_path', '', false).
  for (const target of targetList ?? []) {
    const value = 'ResTarget' in target ? target.ResTarget.val : undefined;
    if (value === undefined || !('FuncCall' in value)) continue;
    const { funcname, args } = value.FuncCall;
    if (strings(funcname).at(-1) !== 'set_config' || textOf(args?.[0]) !== 'search_path') continue;
    setSearchPath(schema, args?.slice(1, 2));
  }
}

function setSearchPath(schema: Schema, args: readonly Node[] | undefined): void {
  const first = textOf(args?.[0])?.split(',')[0]?.trim().replaceAll('"', '');
  schema.defaultSchema = first === undefined || first === '' || first === '$user' ? 'public' : first;
}

function textOf(node: Node | undefined): string | undefined {
  return node !== undefined && 'A_Const' in node ? node.A_Const.sval?.sval : undefined;
}

function rename(
  schema: Schema,
  { renameType, relation, subname = '', newname = '' }: NonNullable<StatementNode['RenameStmt']>,
): void {
  const name = nameOf(schema, relation);
  // ALTER TABLE renames indexes as well.
  const isIndex = schema.index(name) !== undefined;
  if (renameType === 'OBJECT_COLUMN') schema.renameColumn(name, subname, newname);
  else if (renameType === 'OBJECT_INDEX' || (renameType === 'OBJECT_TABLE' && isIndex)) {
    schema.moveIndex(name, { name: newname });
  } else if (renameType === 'OBJECT_TABLE' || renameType === 'OBJECT_MATVIEW') {
    schema.moveTable(name, { name: newname });
  } else if (renameType === 'OBJECT_TABCONSTRAINT') renameConstraint(schema, name, subname, newname);
  else if (renameType === 'OBJECT_SCHEMA') {
    for (const table of schema.tables.filter((one) => one.schema === subname)) {
      schema.moveTable(table, { schema: newname });
    }
  }
}

function renameConstraint(schema: Schema, table: ObjectName, from: string, to: string): void {
  const own = schema.index({ schema: table.schema, name: from });
  if (own?.constraint === from) {
    own.constraint = to;
    schema.moveIndex(own, { name: to });
  }
  for (const key of schema.table(table)?.foreignKeys ?? []) if (key.name === from) key.name = to;
}

function setSchema(
  schema: Schema,
  { objectType, relation, newschema = '' }: NonNullable<StatementNode['AlterObjectSchemaStmt']>,
): void {
  if (objectType !== 'OBJECT_TABLE' && objectType !== 'OBJECT_MATVIEW') return;
  schema.moveTable(nameOf(schema, relation), { schema: newschema });
}

function drop(
  schema: Schema,
  { removeType, objects }: NonNullable<StatementNode['DropStmt']>,
  place: StatementPlace,
): void {
  for (const object of objects ?? []) {
    if (removeType === 'OBJECT_SCHEMA') {
      if ('String' in object) schema.dropSchema(object.String.sval ?? '', place);
      continue;
    }
    const name = listedName(schema, object);
    if (removeType === 'OBJECT_INDEX') schema.dropIndex(name, place, 'DROP INDEX');
    else if (['OBJECT_TABLE', 'OBJECT_MATVIEW', 'OBJECT_FOREIGN_TABLE'].includes(removeType ?? '')) {
      schema.dropTable(name, place);
    }
  }
}

function comment(
  schema: Schema,
  { objtype, object, comment: text }: NonNullable<StatementNode['CommentStmt']>,
): void {
  if (objtype !== 'OBJECT_INDEX' || object === undefined) return;
  const index = schema.index(listedName(schema, object));
  if (index !== undefined) index.description = text ?? null;
}

function listedName(schema: Schema, object: Node): ObjectName {
  const parts = 'List' in object ? strings(object.List.items) : [];
  return { schema: parts.at(-2) ?? schema.defaultSchema, name: parts.at(-1) ?? '' };
}

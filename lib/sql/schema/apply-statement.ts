import type { IndexStmt, Node } from 'libpg-query';
import type { Named } from '../../../lambdas/postgres/identifiers.ts';
import { indexName } from '../index-name.ts';
import { type StatementNode, stringsIn } from '../parse-tree.ts';
import type { SqlStatement } from '../read-sql.ts';
import { applyAlterTable } from './apply-alter-table.ts';
import { applyCreateTable, newTable } from './apply-create-table.ts';
import type { ApplyContext, Schema } from './schema-model.ts';

/**
 * Applies one statement to a schema. Statements that do not concern tables and indexes change nothing, and neither does the
 * code of DO blocks and functions.
 * @param file the path for the places of tables and indexes
 */
export function applyStatement(schema: Schema, file: string, statement: SqlStatement): void {
  const { node, line, column } = statement;
  if (node !== undefined) applyNode({ schema, statement, place: { file, line, column } }, node);
}

function applyNode(context: ApplyContext, node: StatementNode): void {
  const { schema } = context;
  if (node.CreateStmt !== undefined) applyCreateTable(context, node.CreateStmt);
  else if (node.CreateForeignTableStmt?.base !== undefined)
    applyCreateTable(context, node.CreateForeignTableStmt.base);
  else if (node.CreateTableAsStmt?.into?.rel !== undefined)
    schema.addTable(newTable(context, node.CreateTableAsStmt.into.rel, null));
  else if (node.SelectStmt !== undefined) applySelect(context, node.SelectStmt);
  else if (node.IndexStmt !== undefined) createIndex(context, node.IndexStmt);
  else if (node.AlterTableStmt !== undefined) applyAlterTable(context, node.AlterTableStmt);
  else if (node.RenameStmt !== undefined) rename(schema, node.RenameStmt);
  else if (node.AlterObjectSchemaStmt !== undefined) setSchema(schema, node.AlterObjectSchemaStmt);
  else if (node.DropStmt !== undefined) drop(context, node.DropStmt);
  else if (node.CommentStmt !== undefined) comment(schema, node.CommentStmt);
  else if (node.VariableSetStmt?.name === 'search_path') setSearchPath(schema, node.VariableSetStmt.args);
  else if (node.CreateSchemaStmt !== undefined) {
    const { schemaname, schemaElts } = node.CreateSchemaStmt;
    const before = schema.defaultSchema;
    schema.defaultSchema = schemaname ?? before;
    for (const element of (schemaElts ?? []) as StatementNode[]) applyNode(context, element);
    schema.defaultSchema = before;
  }
}

function createIndex({ schema, statement, place }: ApplyContext, index: IndexStmt): void {
  const table = schema.nameOf(index.relation);
  schema.addIndex({
    schema: table.schema,
    name: indexName(index, schema.namesIn(table.schema)),
    table: table.name,
    place,
    // The parser returns no text for an index inside CREATE SCHEMA.
    written: statement.node?.IndexStmt === undefined ? null : { sql: statement.sql, statement: index },
    columns: (index.indexParams ?? []).map((element) =>
      'IndexElem' in element ? (element.IndexElem.name ?? null) : null,
    ),
    unique: index.unique ?? false,
    partial: index.whereClause !== undefined,
    constraint: null,
    attachedTo: null,
    description: null,
    comments: statement.comments,
  });
}

function applySelect(
  context: ApplyContext,
  { intoClause, targetList }: NonNullable<StatementNode['SelectStmt']>,
): void {
  const { schema } = context;
  if (intoClause?.rel !== undefined) schema.addTable(newTable(context, intoClause.rel, null));
  // pg_dump sets the search path like this: select pg_catalog.set_config('search_path', '', false).
  for (const target of targetList ?? []) {
    const value = 'ResTarget' in target ? target.ResTarget.val : undefined;
    if (value === undefined || !('FuncCall' in value)) continue;
    const { funcname, args } = value.FuncCall;
    if (stringsIn(funcname).at(-1) !== 'set_config' || textOf(args?.[0]) !== 'search_path') continue;
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
  const name = schema.nameOf(relation);
  // ALTER TABLE renames indexes too.
  const isIndex = schema.index(name) !== undefined;
  if (renameType === 'OBJECT_COLUMN') schema.renameColumn(name, subname, newname);
  else if (renameType === 'OBJECT_INDEX' || (renameType === 'OBJECT_TABLE' && isIndex)) {
    schema.moveIndex(name, { name: newname });
  } else if (renameType === 'OBJECT_TABLE' || renameType === 'OBJECT_MATVIEW') {
    schema.moveTable(name, { name: newname });
  } else if (renameType === 'OBJECT_TABCONSTRAINT') renameConstraint(schema, name, subname, newname);
  else if (renameType === 'OBJECT_SCHEMA') {
    for (const table of schema.tablesIn(subname)) {
      schema.moveTable(table, { schema: newname });
    }
  }
}

function renameConstraint(schema: Schema, table: Named, from: string, to: string): void {
  const own = schema.index({ schema: table.schema, name: from });
  if (own?.constraint === from) {
    own.constraint = to;
    schema.moveIndex(own, { name: to });
  }
  schema.renameForeignKey(table, from, to);
}

function setSchema(
  schema: Schema,
  { objectType, relation, newschema = '' }: NonNullable<StatementNode['AlterObjectSchemaStmt']>,
): void {
  if (objectType !== 'OBJECT_TABLE' && objectType !== 'OBJECT_MATVIEW') return;
  schema.moveTable(schema.nameOf(relation), { schema: newschema });
}

function drop(
  { schema, place }: ApplyContext,
  { removeType, objects }: NonNullable<StatementNode['DropStmt']>,
): void {
  for (const object of objects ?? []) {
    if (removeType === 'OBJECT_SCHEMA') {
      if ('String' in object) schema.dropSchema(object.String.sval ?? '', place);
      continue;
    }
    const name = nameInList(schema, object);
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
  const index = schema.index(nameInList(schema, object));
  if (index !== undefined) index.description = text ?? null;
}

function nameInList(schema: Schema, object: Node): Named {
  const parts = 'List' in object ? stringsIn(object.List.items) : [];
  return { schema: parts.at(-2) ?? schema.defaultSchema, name: parts.at(-1) ?? '' };
}

import type { CreateTableAsStmt, IndexStmt, ViewStmt } from 'libpg-query';
import { runCode } from '../code/run-code.ts';
import { indexAttributes, indexName } from '../index-name.ts';
import type { StatementNode } from '../parse-tree.ts';
import type { SqlStatement } from '../read-sql.ts';
import { applyAlterTable } from './apply-alter-table.ts';
import { applyCreateTable, newTable } from './apply-create-table.ts';
import { applyDrop, nameInList } from './apply-drop.ts';
import { applyRename, applyRenameValue, applySetSchema } from './apply-rename.ts';
import { addParts } from './partition-indexes.ts';
import type { ApplyContext, Schema } from './schema-model.ts';
import { readsOf } from './view-reads.ts';
import { writtenStatement } from './written-statement.ts';

/**
 * Applies one statement to a schema. Statements that do not concern tables and indexes change nothing. The code
 * of DO blocks runs, and so does that of the functions that a statement calls (see runCode).
 * @param file the path for the places of tables and indexes
 */
export function applyStatement(schema: Schema, file: string, statement: SqlStatement): void {
  const { node, line, column } = statement;
  if (node === undefined) return;
  const context = { schema, statement, place: { file, line, column } };
  applyNode(context, node);
  runCode(context, applyStatement);
}

function applyNode(context: ApplyContext, node: StatementNode): void {
  const { schema } = context;
  schema.path.apply(node);
  if (node.CreateStmt !== undefined) applyCreateTable(context, node.CreateStmt);
  else if (node.CreateForeignTableStmt?.base !== undefined)
    applyCreateTable(context, node.CreateForeignTableStmt.base, 'foreign table');
  else if (node.CreateTableAsStmt !== undefined) createFromQuery(context, node.CreateTableAsStmt);
  else if (node.ViewStmt !== undefined) createView(context, node.ViewStmt);
  else if (node.SelectStmt !== undefined) applySelect(context, node.SelectStmt);
  else if (node.IndexStmt !== undefined) createIndex(context, node.IndexStmt);
  else if (node.AlterTableStmt !== undefined) applyAlterTable(context, node.AlterTableStmt);
  else if (node.RenameStmt !== undefined) applyRename(context, node.RenameStmt);
  else if (node.AlterObjectSchemaStmt !== undefined) applySetSchema(context, node.AlterObjectSchemaStmt);
  else if (node.AlterEnumStmt !== undefined) applyRenameValue(context, node.AlterEnumStmt);
  else if (node.DropStmt !== undefined || node.DropOwnedStmt !== undefined) applyDrop(context, node);
  else if (node.CommentStmt !== undefined) comment(schema, node.CommentStmt);
  else if (node.CreateSchemaStmt !== undefined) {
    const { schemaname, schemaElts } = node.CreateSchemaStmt;
    schema.path.restoring(() => {
      schema.path.prepend(schemaname ?? schema.path.first);
      for (const element of (schemaElts ?? []) as StatementNode[]) applyNode(context, element);
    });
  }
}

function createIndex({ schema, statement, place }: ApplyContext, index: IndexStmt): void {
  const table = schema.nameOf(index.relation);
  const added = {
    schema: table.schema,
    name: indexName(index, schema.namesIn(table.schema)),
    table: table.name,
    place,
    // The parser returns no text for an index inside CREATE SCHEMA.
    written: statement.node?.IndexStmt === undefined ? null : writtenStatement(statement.sql),
    columns: (index.indexParams ?? []).map((element) =>
      'IndexElem' in element ? (element.IndexElem.name ?? null) : null,
    ),
    attributes: indexAttributes(index),
    unique: index.unique ?? false,
    partial: index.whereClause !== undefined,
    constraint: null,
    constraintKind: null,
    attachedTo: null,
    isCopy: false,
    doubt: null,
    description: null,
    comments: statement.comments,
  };
  if (schema.addIndex(added, index.if_not_exists !== true) && index.relation?.inh === true)
    addParts(schema, added);
}

function createFromQuery(context: ApplyContext, { into, objtype, query }: CreateTableAsStmt): void {
  const { schema } = context;
  if (into?.rel === undefined) return;
  const isView = objtype === 'OBJECT_MATVIEW';
  const table = newTable(context, into.rel, isView ? 'materialized view' : 'table', null);
  if (isView) table.reads = readsOf(schema, query);
  schema.addTable(table);
}

function createView(context: ApplyContext, { view, query, replace }: ViewStmt): void {
  const { schema } = context;
  if (view === undefined) return;
  const created = { ...newTable(context, view, 'view', null), reads: readsOf(schema, query) };
  const other = schema.table(created);
  if (replace && other?.kind === 'view' && schema.doubt === null) schema.readInstead(other, created.reads);
  else schema.addTable(created);
}

function applySelect(context: ApplyContext, { intoClause }: NonNullable<StatementNode['SelectStmt']>): void {
  if (intoClause?.rel !== undefined)
    context.schema.addTable(newTable(context, intoClause.rel, 'table', null));
}

function comment(
  schema: Schema,
  { objtype, object, comment: text }: NonNullable<StatementNode['CommentStmt']>,
): void {
  if (objtype !== 'OBJECT_INDEX' || object === undefined) return;
  const index = schema.index(nameInList(schema, object));
  if (index !== undefined) index.description = text ?? null;
}

import type { AlterTableCmd } from 'libpg-query';
import type { StatementNode } from '../parse-tree.ts';
import { nameInList } from '../schema/apply-drop.ts';
import type { Schema } from '../schema/schema-model.ts';
import type { SchemaTable } from '../schema/schema-objects.ts';

/** Whether PostgreSQL refuses a statement because of what exists already, or does not exist. */
export type Failure = 'yes' | 'no' | 'unknown';

/**
 * Whether a statement fails in a schema. Code that handles errors often runs statements that fail the second time. Errors because
 * of the rows of a table are left out.
 */
export function failure(schema: Schema, node: StatementNode): Failure {
  if (node.IndexStmt !== undefined) return failureOfIndex(schema, node.IndexStmt);
  if (node.CreateStmt !== undefined) {
    const { relation, if_not_exists = false } = node.CreateStmt;
    return !if_not_exists && schema.isTaken(schema.nameOf(relation)) ? 'yes' : 'no';
  }
  if (node.RenameStmt !== undefined) return failureOfRename(schema, node.RenameStmt);
  if (node.AlterTableStmt !== undefined) return failureOfAlter(schema, node.AlterTableStmt);
  if (node.DropStmt !== undefined) {
    const { objects = [], missing_ok = false } = node.DropStmt;
    const isKnown = objects.every((object) => schema.isTaken(nameInList(schema, object)));
    return missing_ok || isKnown ? 'no' : 'unknown';
  }
  return 'no';
}

function failureOfIndex(
  schema: Schema,
  { idxname, if_not_exists = false, relation, indexParams = [] }: NonNullable<StatementNode['IndexStmt']>,
): Failure {
  const on = schema.nameOf(relation);
  const name = { schema: on.schema, name: idxname ?? '' };
  if (idxname !== undefined && schema.isTaken(name)) {
    if (if_not_exists) return 'no';
    return schema.index(name)?.doubt == null ? 'yes' : 'unknown';
  }
  const table = schema.table(on);
  if (table === undefined || table.inDoubt) return 'unknown';
  const columns = indexParams.flatMap((element) =>
    'IndexElem' in element ? (element.IndexElem.name ?? []) : [],
  );
  return columns.every((column) => hasColumn(table, column)) ? 'no' : 'yes';
}

function hasColumn({ columns }: SchemaTable, column: string): boolean {
  return columns === null || columns.includes(column);
}

function failureOfRename(
  schema: Schema,
  {
    relation,
    renameType,
    subname = '',
    newname = '',
    missing_ok = false,
  }: NonNullable<StatementNode['RenameStmt']>,
): Failure {
  if (relation === undefined) return 'unknown';
  const name = schema.nameOf(relation);
  const table = schema.table(name);
  if (table === undefined && schema.index(name) === undefined) return missing_ok ? 'no' : 'unknown';
  if (table?.inDoubt) return 'unknown';
  if (renameType === 'OBJECT_COLUMN') {
    if (table?.columns == null) return 'unknown';
    return hasColumn(table, subname) && !hasColumn(table, newname) ? 'no' : 'yes';
  }
  if (renameType === 'OBJECT_TABCONSTRAINT') return 'unknown';
  return schema.isTaken({ schema: name.schema, name: newname }) ? 'yes' : 'no';
}

function failureOfAlter(
  schema: Schema,
  { relation, cmds = [], missing_ok }: NonNullable<StatementNode['AlterTableStmt']>,
): Failure {
  const name = schema.nameOf(relation);
  const table = schema.table(name);
  if (table === undefined) return missing_ok || schema.index(name) !== undefined ? 'no' : 'unknown';
  if (table.inDoubt) return 'unknown';
  const failures = cmds.map((command) =>
    'AlterTableCmd' in command ? failureOfCommand(schema, table, command.AlterTableCmd) : 'no',
  );
  return failures.find((one) => one !== 'no') ?? 'no';
}

function failureOfCommand(schema: Schema, table: SchemaTable, command: AlterTableCmd): Failure {
  const { subtype, name = '', def, missing_ok = false } = command;
  if (subtype === 'AT_DropColumn') return missing_ok || hasColumn(table, name) ? 'no' : 'yes';
  if (subtype === 'AT_AddColumn' && def !== undefined && 'ColumnDef' in def) {
    if (table.columns === null) return 'unknown';
    return !missing_ok && hasColumn(table, def.ColumnDef.colname ?? '') ? 'yes' : 'no';
  }
  if (subtype !== 'AT_AddConstraint' || def === undefined || !('Constraint' in def)) return 'no';
  const { contype, conname, indexname } = def.Constraint;
  if (conname === undefined || indexname !== undefined) return indexname === undefined ? 'no' : 'unknown';
  if (contype === 'CONSTR_FOREIGN') return table.foreignKeyNames.has(conname) ? 'yes' : 'no';
  if (contype === 'CONSTR_CHECK') return 'no';
  return schema.isTaken({ schema: table.schema, name: conname }) ? 'yes' : 'no';
}

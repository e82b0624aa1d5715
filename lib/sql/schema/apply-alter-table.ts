import type { AlterTableCmd, ColumnDef } from 'libpg-query';
import type { Named } from '../../../lambdas/postgres/identifiers.ts';
import { type StatementNode, stringsIn } from '../parse-tree.ts';
import { addConstraint } from './apply-constraint.ts';
import { addColumn } from './apply-create-table.ts';
import { computesWith } from './index-columns.ts';
import { withStorage } from './index-storage.ts';
import { addAllParts, detachParts } from './partition-indexes.ts';
import type { ApplyContext } from './schema-model.ts';
import { keyOf, markInherited, type SchemaTable } from './schema-objects.ts';

type AlterTable = NonNullable<StatementNode['AlterTableStmt']>;

/** Applies ALTER TABLE and ALTER INDEX, which have the same node in the parse tree. */
export function applyAlterTable(context: ApplyContext, { relation, cmds }: AlterTable): void {
  const { schema, place } = context;
  const name = schema.nameOf(relation);
  for (const node of cmds ?? []) {
    if (!('AlterTableCmd' in node)) continue;
    const command = node.AlterTableCmd;
    const { subtype, name: part = '' } = command;
    const table = schema.table(name);
    if (subtype === 'AT_DropColumn') schema.dropColumn(name, part, place, relation?.inh !== true);
    else if (subtype === 'AT_DropConstraint') dropConstraint(context, name, part);
    else if (subtype === 'AT_AttachPartition' || subtype === 'AT_DetachPartition')
      changePartition(context, name, command);
    else if (/^AT_(?:Set|Reset|Replace)RelOptions$|^AT_SetTableSpace$/.test(subtype ?? ''))
      changeStorage(context, name, command);
    else if (table !== undefined) changeTable(context, table, command);
  }
}

function changeTable(
  context: ApplyContext,
  table: SchemaTable,
  { subtype, name = '', def }: AlterTableCmd,
): void {
  const { schema } = context;
  if (def === undefined) return;
  if (subtype === 'AT_AddColumn' && 'ColumnDef' in def) addColumn(context, table, def.ColumnDef);
  else if (subtype === 'AT_AlterColumnType' && 'ColumnDef' in def)
    changeType(context, table, name, def.ColumnDef);
  else if (subtype === 'AT_AddConstraint' && 'Constraint' in def)
    addConstraint(context, table, def.Constraint);
  else if ((subtype === 'AT_AddInherit' || subtype === 'AT_DropInherit') && 'RangeVar' in def) {
    const parent = keyOf(schema.nameOf(def.RangeVar));
    const others = table.inherits.filter((one) => one !== parent);
    schema.inherit(table, subtype === 'AT_AddInherit' ? [...others, parent] : others);
    table.inheritedColumns = undefined;
  }
}

function changePartition(context: ApplyContext, parent: Named, { subtype, def }: AlterTableCmd): void {
  const { schema } = context;
  if (def === undefined || !('PartitionCmd' in def)) return;
  const name = schema.nameOf(def.PartitionCmd.name);
  const index = schema.index(name);
  if (index !== undefined) {
    schema.attachIndex(index, parent);
    return;
  }
  const partition = schema.table(name);
  const own = schema.indexesOf(name);
  // Whether they belong to the partitioned table decides whether they are imported.
  if (schema.doubt !== null) for (const one of own) schema.isInDoubt(one);
  if (partition === undefined || schema.doubt !== null) return;
  if (subtype === 'AT_AttachPartition') {
    schema.attachTable(partition, parent);
    addAllParts(schema, partition);
  } else {
    detachParts(schema, partition, keyOf(parent));
    schema.attachTable(partition, null);
    // From now on these columns are its own.
    partition.inheritedColumns = undefined;
  }
}

/** ALTER INDEX … SET: the statement of the index gets the same WITH or TABLESPACE. */
function changeStorage({ schema, statement }: ApplyContext, name: Named, command: AlterTableCmd): void {
  const index = schema.index(name);
  if (index === undefined || index.written === null || schema.isInDoubt(index)) return;
  index.written = withStorage(index.written, command, statement.sql);
}

/** A column of another type can change what an expression or a predicate means, and PostgreSQL writes it differently then. */
function changeType(
  context: ApplyContext,
  table: SchemaTable,
  column: string,
  { typeName }: ColumnDef,
): void {
  const { schema, place } = context;
  const before = table.columnTypes.get(column);
  const after = schema.typeOf(stringsIn(typeName?.names));
  for (const one of [table, ...schema.heirsOf(table)]) {
    if (schema.doubt === null) {
      if (!one.columnTypes.has(column)) markInherited(one, column);
      one.columnTypes.set(column, after);
    }
    for (const index of schema.indexesOf(one)) {
      if (!computesWith(index, column) || familyOf(before) === familyOf(after)) continue;
      const reason = `ALTER TABLE ${table.name} ALTER COLUMN ${column} TYPE changes what its expression or its predicate means`;
      schema.inDoubt({ place, reason }, () => schema.isInDoubt(index));
    }
  }
}

/** Types whose values and constants mean the same: an expression with one of them can stay as it is. */
const FAMILIES: Readonly<Record<string, string>> = {
  ...{ text: 'text', varchar: 'text', bpchar: 'text' },
  ...{ int2: 'integer', int4: 'integer', int8: 'integer', numeric: 'integer' },
};

/** Undefined, and so different from any other, for an unknown type. */
function familyOf(type: readonly string[] | undefined): string | symbol {
  const name = type?.at(-1);
  return name === undefined ? Symbol('unknown') : (FAMILIES[name] ?? (type ?? []).join('.'));
}

function dropConstraint({ schema, place }: ApplyContext, table: Named, constraint: string): void {
  const named = schema.index({ schema: table.schema, name: constraint });
  const own = named?.table === table.name && named.constraint === constraint ? named : undefined;
  if (own !== undefined)
    schema.dropIndex(own, place, `ALTER TABLE ${table.name} DROP CONSTRAINT ${constraint}`);
  const foreign = schema.table(table);
  if (foreign !== undefined) schema.dropForeignKeys(foreign, (key) => key.name === constraint);
}

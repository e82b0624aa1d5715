import type { StatementNode } from '../read-sql.ts';
import { addConstraint } from './constraints.ts';
import { nameOf } from './names.ts';
import { keyOf, type ObjectName, type StatementPlace } from './objects.ts';
import type { Schema } from './schema.ts';
import { addColumn } from './tables.ts';

/** ALTER TABLE, and ALTER INDEX … ATTACH PARTITION, which the parser takes for one. */
export function applyAlterTable(
  schema: Schema,
  { relation, cmds }: NonNullable<StatementNode['AlterTableStmt']>,
  place: StatementPlace,
): void {
  const name = nameOf(schema, relation);
  const table = schema.table(name);
  for (const node of cmds ?? []) {
    if (!('AlterTableCmd' in node)) continue;
    const { subtype, name: part = '', def } = node.AlterTableCmd;
    if (subtype === 'AT_DropColumn') schema.dropColumn(name, part, place);
    else if (subtype === 'AT_DropConstraint') dropConstraint(schema, name, part, place);
    else if (subtype === 'AT_AttachPartition' && def !== undefined && 'PartitionCmd' in def) {
      const attached = nameOf(schema, def.PartitionCmd.name);
      const index = schema.index(attached);
      const partition = schema.table(attached);
      if (index !== undefined) index.attachedTo = keyOf(name);
      if (partition !== undefined) partition.partitionOf = keyOf(name);
    } else if (subtype === 'AT_DetachPartition' && def !== undefined && 'PartitionCmd' in def) {
      const partition = schema.table(nameOf(schema, def.PartitionCmd.name));
      if (partition !== undefined) partition.partitionOf = null;
    } else if (table === undefined || def === undefined) continue;
    else if (subtype === 'AT_AddColumn' && 'ColumnDef' in def) addColumn(schema, table, def.ColumnDef, place);
    else if (subtype === 'AT_AddConstraint' && 'Constraint' in def) {
      addConstraint(schema, table, def.Constraint, place);
    }
  }
}

function dropConstraint(schema: Schema, table: ObjectName, constraint: string, place: StatementPlace): void {
  const own = schema.indexesOf(table).find((index) => index.constraint === constraint);
  if (own !== undefined)
    schema.dropIndex(own, place, `ALTER TABLE ${table.name} DROP CONSTRAINT ${constraint}`);
  const foreign = schema.table(table);
  if (foreign !== undefined) {
    foreign.foreignKeys = foreign.foreignKeys.filter((key) => key.name !== constraint);
  }
}

import type { Named } from '../../../lambdas/postgres/identifiers.ts';
import type { StatementNode } from '../parse-tree.ts';
import { addConstraint } from './apply-constraint.ts';
import { addColumn } from './apply-create-table.ts';
import type { ApplyContext } from './schema-model.ts';

/** Applies ALTER TABLE, and ALTER INDEX … ATTACH PARTITION, which has the same node in the parse tree. */
export function applyAlterTable(
  context: ApplyContext,
  { relation, cmds }: NonNullable<StatementNode['AlterTableStmt']>,
): void {
  const { schema, place } = context;
  const name = schema.nameOf(relation);
  const table = schema.table(name);
  for (const node of cmds ?? []) {
    if (!('AlterTableCmd' in node)) continue;
    const { subtype, name: part = '', def } = node.AlterTableCmd;
    if (subtype === 'AT_DropColumn') schema.dropColumn(name, part, place);
    else if (subtype === 'AT_DropConstraint') dropConstraint(context, name, part);
    else if (subtype === 'AT_AttachPartition' && def !== undefined && 'PartitionCmd' in def) {
      const attached = schema.nameOf(def.PartitionCmd.name);
      const index = schema.index(attached);
      const partition = schema.table(attached);
      if (index !== undefined) schema.attachIndex(index, name);
      if (partition !== undefined) schema.attachTable(partition, name);
    } else if (subtype === 'AT_DetachPartition' && def !== undefined && 'PartitionCmd' in def) {
      const partition = schema.table(schema.nameOf(def.PartitionCmd.name));
      if (partition !== undefined) schema.attachTable(partition, null);
    } else if (table === undefined || def === undefined) continue;
    else if (subtype === 'AT_AddColumn' && 'ColumnDef' in def) addColumn(context, table, def.ColumnDef);
    else if (subtype === 'AT_AddConstraint' && 'Constraint' in def) {
      addConstraint(context, table, def.Constraint);
    }
  }
}

function dropConstraint({ schema, place }: ApplyContext, table: Named, constraint: string): void {
  const named = schema.index({ schema: table.schema, name: constraint });
  const own = named?.table === table.name && named.constraint === constraint ? named : undefined;
  if (own !== undefined)
    schema.dropIndex(own, place, `ALTER TABLE ${table.name} DROP CONSTRAINT ${constraint}`);
  const foreign = schema.table(table);
  if (foreign !== undefined) schema.dropForeignKeys(foreign, (key) => key.name === constraint);
}

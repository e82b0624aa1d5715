import type { Node, RangeVar } from 'libpg-query';
import { NamePool } from '../name-pool.ts';
import type { StatementNode } from '../parse-tree.ts';
import { addConstraint } from './apply-constraint.ts';
import type { ApplyContext, Schema } from './schema-model.ts';
import type { SchemaTable } from './schema-objects.ts';

export function newTable(
  { schema, place }: ApplyContext,
  relation: RangeVar,
  columns: string[] | null,
): SchemaTable {
  const temporary = relation.relpersistence === 't' || relation.schemaname === 'pg_temp';
  const foreignKeyNames = new NamePool();
  return {
    ...schema.nameOf(relation),
    place,
    temporary,
    columns,
    foreignKeys: [],
    foreignKeyNames,
    partitioned: false,
    partitionOf: null,
  };
}

export function applyCreateTable(
  context: ApplyContext,
  { relation, tableElts, inhRelations, partbound, partspec }: NonNullable<StatementNode['CreateStmt']>,
): void {
  const { schema } = context;
  if (relation === undefined || schema.isTaken(schema.nameOf(relation))) return;
  const columns = inheritedColumns(schema, inhRelations);
  const table = { ...newTable(context, relation, columns), partitioned: partspec !== undefined };
  schema.addTable(table);
  const parent = inhRelations?.[0];
  if (partbound !== undefined && parent !== undefined && 'RangeVar' in parent) {
    schema.attachTable(table, schema.nameOf(parent.RangeVar));
  }
  for (const element of tableElts ?? []) {
    if ('ColumnDef' in element) addColumn(context, table, element.ColumnDef);
    else if ('Constraint' in element) addConstraint(context, table, element.Constraint);
    else if ('TableLikeClause' in element) {
      const like = schema.table(schema.nameOf(element.TableLikeClause.relation));
      table.columns ??= [];
      for (const column of like?.columns ?? []) table.columns.push(column);
    }
  }
}

function inheritedColumns(schema: Schema, parents: readonly Node[] | undefined): string[] {
  return (parents ?? []).flatMap(
    (parent) => ('RangeVar' in parent && schema.table(schema.nameOf(parent.RangeVar))?.columns) || [],
  );
}

export function addColumn(
  context: ApplyContext,
  table: SchemaTable,
  { colname = '', constraints }: { colname?: string; constraints?: Node[] },
): void {
  table.columns ??= [];
  table.columns.push(colname);
  for (const constraint of constraints ?? []) {
    if ('Constraint' in constraint) addConstraint(context, table, constraint.Constraint, colname);
  }
}

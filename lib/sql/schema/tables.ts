import type { Node, RangeVar } from 'libpg-query';
import type { StatementNode } from '../read-sql.ts';
import { addConstraint } from './constraints.ts';
import { nameOf } from './names.ts';
import { keyOf, type SchemaTable, type StatementPlace } from './objects.ts';
import type { Schema } from './schema.ts';

export function newTable(
  schema: Schema,
  relation: RangeVar,
  place: StatementPlace,
  columns: string[] | null,
): SchemaTable {
  const temporary = relation.relpersistence === 't' || relation.schemaname === 'pg_temp';
  return { ...nameOf(schema, relation), place, temporary, columns, foreignKeys: [], partitionOf: null };
}

export function createTable(
  schema: Schema,
  { relation, tableElts, inhRelations, partbound }: NonNullable<StatementNode['CreateStmt']>,
  place: StatementPlace,
): void {
  if (relation === undefined || schema.isTaken(nameOf(schema, relation))) return;
  const table = newTable(schema, relation, place, inherited(schema, inhRelations));
  schema.addTable(table);
  const parent = inhRelations?.[0];
  if (partbound !== undefined && parent !== undefined && 'RangeVar' in parent) {
    table.partitionOf = keyOf(nameOf(schema, parent.RangeVar));
  }
  for (const element of tableElts ?? []) {
    if ('ColumnDef' in element) addColumn(schema, table, element.ColumnDef, place);
    else if ('Constraint' in element) addConstraint(schema, table, element.Constraint, place);
    else if ('TableLikeClause' in element) {
      const like = schema.table(nameOf(schema, element.TableLikeClause.relation));
      table.columns = [...(table.columns ?? []), ...(like?.columns ?? [])];
    }
  }
}

function inherited(schema: Schema, parents: readonly Node[] | undefined): string[] {
  return (parents ?? []).flatMap(
    (parent) => ('RangeVar' in parent && schema.table(nameOf(schema, parent.RangeVar))?.columns) || [],
  );
}

export function addColumn(
  schema: Schema,
  table: SchemaTable,
  { colname = '', constraints }: { colname?: string; constraints?: Node[] },
  place: StatementPlace,
): void {
  table.columns = [...(table.columns ?? []), colname];
  for (const constraint of constraints ?? []) {
    if ('Constraint' in constraint) addConstraint(schema, table, constraint.Constraint, place, colname);
  }
}

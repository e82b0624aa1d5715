import type { Constraint } from 'libpg-query';
import { constraintName } from '../index-name.ts';
import { placeWithin, type SourcePlace } from '../places.ts';
import { offsetOfLocation } from '../read-sql.ts';
import { nameOf, strings } from './names.ts';
import type { SchemaIndex, SchemaTable, StatementPlace } from './objects.ts';
import type { Schema } from './schema.ts';

/** Takes up a constraint of a table or of one of its columns: a foreign key, or one with an index of its own. */
export function addConstraint(
  schema: Schema,
  table: SchemaTable,
  constraint: Constraint,
  place: StatementPlace,
  column?: string,
): void {
  const { contype, conname, indexname } = constraint;
  if (contype === 'CONSTR_FOREIGN') {
    const columns = column === undefined ? strings(constraint.fk_attrs) : [column];
    const taken = (name: string) => table.foreignKeys.some((key) => key.name === name);
    const name = conname ?? constraintName('foreign', table.name, columns, taken);
    table.foreignKeys.push({
      ...{ name, columns },
      references: nameOf(schema, constraint.pktable),
      place: placeOf(place, constraint),
    });
    return;
  }
  if (contype !== 'CONSTR_PRIMARY' && contype !== 'CONSTR_UNIQUE' && contype !== 'CONSTR_EXCLUSION') return;
  if (indexname !== undefined) {
    const name = conname ?? indexname;
    const index = schema.index({ schema: table.schema, name: indexname });
    // The index takes the constraint's name.
    schema.moveIndex({ schema: table.schema, name: indexname }, { name });
    if (index !== undefined) index.constraint = name;
    return;
  }
  schema.addIndex(ownIndex(schema, table, constraint, place, column));
}

const KINDS = {
  CONSTR_PRIMARY: 'primary',
  CONSTR_UNIQUE: 'unique',
  CONSTR_EXCLUSION: 'exclusion',
} as const;

function ownIndex(
  schema: Schema,
  table: SchemaTable,
  constraint: Constraint,
  place: StatementPlace,
  column: string | undefined,
): SchemaIndex {
  const kind = KINDS[constraint.contype as keyof typeof KINDS];
  const columns = column === undefined ? columnsOf(constraint) : [column];
  const named = [...columns.map((one) => one ?? 'expr'), ...strings(constraint.including)];
  const taken = (name: string) => schema.isTaken({ schema: table.schema, name });
  const name = constraint.conname ?? constraintName(kind, table.name, named, taken);
  return {
    schema: table.schema,
    name,
    table: table.name,
    place: placeOf(place, constraint),
    written: null,
    columns,
    unique: kind !== 'exclusion',
    partial: constraint.where_clause !== undefined,
    constraint: name,
    attachedTo: null,
    description: null,
    comments: [],
  };
}

function columnsOf({ keys, exclusions }: Constraint): (string | null)[] {
  if (keys !== undefined) return strings(keys);
  return (exclusions ?? []).map((pair) => {
    const element = 'List' in pair ? pair.List.items?.[0] : undefined;
    return element !== undefined && 'IndexElem' in element ? (element.IndexElem.name ?? null) : null;
  });
}

function placeOf({ file, sql, ...statement }: StatementPlace, { location }: Constraint): SourcePlace {
  return { file, ...placeWithin(statement, sql, offsetOfLocation(sql, location ?? 0)) };
}

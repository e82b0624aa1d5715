import type { Constraint } from 'libpg-query';
import { constraintName, distinctNames } from '../index-name.ts';
import { stringsIn } from '../parse-tree.ts';
import type { SourcePlace } from '../places.ts';
import { addParts } from './partition-indexes.ts';
import type { ApplyContext } from './schema-model.ts';
import type { SchemaIndex, SchemaTable } from './schema-objects.ts';

/**
 * Adds a foreign key, or the index of a PRIMARY KEY, UNIQUE or EXCLUDE constraint.
 * @param column the column of a column constraint; undefined for a table constraint
 */
export function addConstraint(
  context: ApplyContext,
  table: SchemaTable,
  constraint: Constraint,
  column?: string,
): void {
  const { schema } = context;
  const { contype, conname, indexname } = constraint;
  if (contype === 'CONSTR_FOREIGN') {
    const columns = column === undefined ? stringsIn(constraint.fk_attrs) : [column];
    const name = conname ?? constraintName('foreign', table.name, columns, table.foreignKeyNames);
    schema.addForeignKey(table, {
      ...{ name, columns },
      references: schema.nameOf(constraint.pktable),
      place: placeOf(context, constraint),
    });
    return;
  }
  if (contype !== 'CONSTR_PRIMARY' && contype !== 'CONSTR_UNIQUE' && contype !== 'CONSTR_EXCLUSION') return;
  if (indexname !== undefined) {
    const name = conname ?? indexname;
    const index = schema.index({ schema: table.schema, name: indexname });
    if (index === undefined || schema.isInDoubt(index)) return;
    // USING INDEX renames the index to the name of the constraint.
    schema.moveIndex({ schema: table.schema, name: indexname }, { name });
    index.constraint = name;
    index.constraintKind = KINDS[contype];
    return;
  }
  const index = indexOfConstraint(context, table, constraint, column);
  if (schema.addIndex(index, true)) addParts(schema, index);
}

const KINDS = {
  CONSTR_PRIMARY: 'primary',
  CONSTR_UNIQUE: 'unique',
  CONSTR_EXCLUSION: 'exclusion',
} as const;

function indexOfConstraint(
  context: ApplyContext,
  table: SchemaTable,
  constraint: Constraint,
  column: string | undefined,
): SchemaIndex {
  const kind = KINDS[constraint.contype as keyof typeof KINDS];
  const columns = column === undefined ? columnsOf(constraint) : [column];
  const named = [...columns.map((one) => one ?? 'expr'), ...stringsIn(constraint.including)];
  const taken = context.schema.namesIn(table.schema);
  const name = constraint.conname ?? constraintName(kind, table.name, named, taken);
  const include = stringsIn(constraint.including);
  return {
    schema: table.schema,
    name,
    table: table.name,
    place: placeOf(context, constraint),
    written: null,
    columns,
    attributes: distinctNames(named),
    unique: kind !== 'exclusion',
    partial: constraint.where_clause !== undefined,
    ...(include.length > 0 && { include }),
    nullsNotDistinct: constraint.nulls_not_distinct ?? false,
    deferrable: constraint.deferrable ?? false,
    constraint: name,
    constraintKind: kind,
    attachedTo: null,
    isCopy: false,
    doubt: null,
    description: null,
    comments: NO_COMMENTS,
  };
}

const NO_COMMENTS: SchemaIndex['comments'] = [];

function columnsOf({ keys, exclusions }: Constraint): (string | null)[] {
  if (keys !== undefined) return stringsIn(keys);
  return (exclusions ?? []).map((pair) => {
    const element = 'List' in pair ? pair.List.items?.[0] : undefined;
    return element !== undefined && 'IndexElem' in element ? (element.IndexElem.name ?? null) : null;
  });
}

function placeOf({ place, statement }: ApplyContext, { location }: Constraint): SourcePlace {
  return { file: place.file, ...statement.placeAt(location ?? 0) };
}

import type { Constraint, IndexStmt, Node, RangeVar } from 'libpg-query';
import type { EntryConstraint, IndexEntry } from '../../registry/define-indexes.ts';
import type { RegistryMatch } from '../../registry/registered-indexes.ts';
import { columnConstraints } from '../../sql/column-constraints.ts';
import { constraintName } from '../../sql/index-name.ts';
import { type StatementNode, stringsIn } from '../../sql/parse-tree.ts';
import { quoteWhereNeeded } from '../../sql/quote-where-needed.ts';
import type { Schema } from '../../sql/schema/schema-model.ts';
import type { SchemaTable } from '../../sql/schema/schema-objects.ts';
import { statementText } from '../../sql/statement-text.ts';
import { tokensOf } from '../../sql/tokens.ts';

/** A constraint that a statement adds to an existing table, and whose index PostgreSQL builds then. */
export interface AddedConstraint {
  readonly kind: EntryConstraint['type'] | 'exclusion';
  readonly name: string;
  readonly table: { readonly schema: string; readonly name: string };
  /** Undefined: no migration creates the table. */
  readonly known: SchemaTable | undefined;
  /** The column that the statement adds with the constraint. Null: the columns exist. */
  readonly newColumn: string | null;
  readonly constraint: Constraint;
  readonly columns: readonly string[];
}

/** The constraints of ALTER TABLE that need a new index. @param schema the schema before the statement */
export function addedConstraints(
  { AlterTableStmt: alter }: StatementNode,
  schema: Schema,
): AddedConstraint[] {
  if (alter === undefined) return [];
  const added = (alter.cmds ?? []).flatMap((command): [Constraint, string | null][] => {
    const { subtype, def } = 'AlterTableCmd' in command ? command.AlterTableCmd : {};
    if (def === undefined) return [];
    if (subtype === 'AT_AddConstraint' && 'Constraint' in def) return [[def.Constraint, null]];
    if (subtype !== 'AT_AddColumn' || !('ColumnDef' in def)) return [];
    const { colname = '', constraints } = def.ColumnDef;
    return columnConstraints(constraints).map((one): [Constraint, string] => [one, colname]);
  });
  return added.flatMap(([constraint, newColumn]) =>
    ofConstraint({ constraint, newColumn }, alter.relation, schema),
  );
}

const KINDS = {
  CONSTR_UNIQUE: { kind: 'unique', label: 'unique' },
  CONSTR_PRIMARY: { kind: 'primary key', label: 'primary' },
  CONSTR_EXCLUSION: { kind: 'exclusion', label: 'exclusion' },
} as const;

function ofConstraint(
  { constraint, newColumn }: Pick<AddedConstraint, 'constraint' | 'newColumn'>,
  relation: RangeVar | undefined,
  schema: Schema,
): AddedConstraint[] {
  const { contype, indexname } = constraint;
  if (!(contype === 'CONSTR_UNIQUE' || contype === 'CONSTR_PRIMARY' || contype === 'CONSTR_EXCLUSION'))
    return [];
  // USING INDEX takes an index that exists.
  if (indexname !== undefined) return [];
  const table = schema.nameOf(relation);
  const { kind, label } = KINDS[contype];
  const columns = newColumn === null ? stringsIn(constraint.keys) : [newColumn];
  const named = [
    ...(contype === 'CONSTR_EXCLUSION' ? excludedColumns(constraint) : columns),
    ...stringsIn(constraint.including),
  ];
  const name = constraint.conname ?? constraintName(label, table.name, named, schema.namesIn(table.schema));
  const isExclusion = kind === 'exclusion' || constraint.without_overlaps === true;
  const known = schema.table(table);
  return [{ kind: isExclusion ? 'exclusion' : kind, name, table, known, newColumn, constraint, columns }];
}

function excludedColumns({ exclusions }: Constraint): string[] {
  return (exclusions ?? []).map((pair) => {
    const element = 'List' in pair ? pair.List.items?.[0] : undefined;
    return (element !== undefined && 'IndexElem' in element ? element.IndexElem.name : undefined) ?? 'expr';
  });
}

/** The entry that makes the deploy build the index and add the constraint. Null: PostgreSQL or the registry cannot do that. */
export function entryOfConstraint(
  added: AddedConstraint,
  { description, firstSchema }: { readonly description: string; readonly firstSchema: string },
): IndexEntry | null {
  const { kind, name, constraint, known } = added;
  if (kind === 'exclusion' || isDeferrable(constraint)) return null;
  // PostgreSQL does not add a constraint to a partitioned table with an existing index, but a unique index protects the rows too.
  if (known?.partitioned === true && kind === 'primary key') return null;
  const text = statementText({ IndexStmt: indexOf(added, firstSchema) });
  if (text === null) return null;
  const entry = { name, sql: withLowerKeywords(text), critical: true, description };
  return known?.partitioned === true ? entry : { ...entry, constraint: { name, type: kind } };
}

export function isDeferrable({ deferrable }: Constraint): boolean {
  return deferrable === true;
}

/** The fields are in the order of the parser, which statementText compares. */
function indexOf({ name, table, constraint, columns }: AddedConstraint, firstSchema: string): IndexStmt {
  const { including, options, indexspace, nulls_not_distinct } = constraint;
  return {
    idxname: name,
    relation: {
      ...(table.schema !== firstSchema && { schemaname: table.schema }),
      ...{ relname: table.name, inh: true, relpersistence: 'p' },
    },
    accessMethod: 'btree',
    ...(indexspace !== undefined && { tableSpace: indexspace }),
    indexParams: columns.map(element),
    ...(including !== undefined && { indexIncludingParams: stringsIn(including).map(element) }),
    ...(options !== undefined && { options }),
    ...{ unique: true, ...(nulls_not_distinct === true && { nulls_not_distinct }) },
    ...{ concurrent: true, if_not_exists: true },
  };
}

function element(name: string): Node {
  return { IndexElem: { name, ordering: 'SORTBY_DEFAULT', nulls_ordering: 'SORTBY_NULLS_DEFAULT' } };
}

/** In the style of a registry. Outside of quotes, only keywords have upper-case letters. */
function withLowerKeywords(sql: string): string {
  const parts: string[] = [];
  let copied = 0;
  for (const { start, end, text, isString } of tokensOf(sql)) {
    parts.push(sql.slice(copied, start), isString || text.startsWith('"') ? text : text.toLowerCase());
    copied = end;
  }
  return parts.join('') + sql.slice(copied);
}

/** What is wrong with a constraint, and what to do instead. @param match what the registry contains under the name */
export function constraintMessage(
  added: AddedConstraint,
  entry: IndexEntry | null,
  match: RegistryMatch,
): string {
  return `${constraintDanger(added)} ${constraintAdvice(added, entry, match)}`;
}

/** What the constraint does to the table. */
export function constraintDanger({ kind, name, table }: AddedConstraint): string {
  const what = {
    unique: 'unique constraint',
    'primary key': 'primary key',
    exclusion: 'exclusion constraint',
  }[kind];
  return (
    `A migration adds ${what} ${quoteWhereNeeded(name)} to the existing table ${quoteWhereNeeded(table.name)}. PostgreSQL builds its ` +
    'index while reads and writes of the table wait, until the migrations are committed.'
  );
}

function constraintAdvice(added: AddedConstraint, entry: IndexEntry | null, match: RegistryMatch): string {
  const { kind, name, newColumn, constraint, known } = added;
  if (match === 'same') return `The registry lists ${name} already: remove the constraint here.`;
  if (match === 'different')
    return `The registry lists ${name} with another definition: check which one is correct, and remove the constraint here.`;
  if (kind === 'exclusion') {
    return (
      'PostgreSQL cannot build such an index concurrently. Add the constraint with its table, or while the application may wait, ' +
      'and allow it with a comment.'
    );
  }
  if (isDeferrable(constraint)) {
    return (
      'The registry has no deferrable constraints. Build a unique index on the same columns with CREATE UNIQUE INDEX CONCURRENTLY ' +
      'before the deploy, and write ADD CONSTRAINT … USING INDEX … DEFERRABLE here.'
    );
  }
  if (entry === null) return 'Allow it with a comment if the table is small.';
  const column = newColumn === null ? '' : ` Add column ${quoteWhereNeeded(newColumn)} without it.`;
  if (known?.partitioned === true)
    return `Remove it here.${column} On a partitioned table, the registry can build a unique index, which protects the rows too.`;
  const notNull =
    kind === 'primary key'
      ? ' The columns of a primary key must be NOT NULL before: do that in the migration.'
      : '';
  return (
    `Remove it here, and add this entry to the registry: the deploy builds the index concurrently, and then adds the constraint under ` +
    `a short lock.${column}${notNull}`
  );
}

/** The message about a constraint that a later statement would fail without on a new database. @param reason what needs it */
export function neededConstraintMessage(added: AddedConstraint, reason: string): string {
  return (
    `${constraintDanger(added)} Leave it here: ${reason}. If the table is large, build the index before this deploy with CREATE UNIQUE ` +
    'INDEX CONCURRENTLY, and write CREATE UNIQUE INDEX IF NOT EXISTS and ADD CONSTRAINT … USING INDEX here.'
  );
}

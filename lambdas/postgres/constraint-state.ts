import { type CompiledConstraint, indexId, tableId } from '../shared/registry.ts';
import { quoted } from '../shared/visible-text.ts';
import type { Client } from './client.ts';
import { indexKey, quotedTable, quoteIdentifier } from './identifiers.ts';
import type { NotBuildable, Obstacle } from './index-properties.ts';
import {
  DUPLICATE_TABLE,
  FEATURE_NOT_SUPPORTED,
  INVALID_TABLE_DEFINITION,
  NOT_NULL_VIOLATION,
  WRONG_OBJECT_TYPE,
} from './sqlstate.ts';
import {
  type ConstraintEntry,
  describeRelation,
  readTableConstraints,
  type TableConstraints,
} from './table-constraints.ts';

/*
 * The state of an entry with a constraint. ADD CONSTRAINT … USING INDEX renames the index to the name of the constraint. So the
 * index has the entry's name until then, and the name of the constraint afterwards.
 */

/**
 * - `present`: the constraint exists, with these columns;
 * - `equivalent`: another constraint of the table is the same;
 * - `drifted`: the constraint or the index exists with another definition;
 * - `invalid`: the index exists and is invalid;
 * - `attachable`: the index is valid, and only the constraint is missing;
 * - `missing`: none of these.
 */
export interface ConstraintState {
  readonly state: 'present' | 'equivalent' | 'drifted' | 'invalid' | 'attachable' | 'missing';
  /** Name that the index has, or that its build gives it. */
  readonly indexName: string;
  /** `equivalent`: name of the other constraint. `drifted`: the definition, unless it is that of an index. */
  readonly detail: string | null;
  /** `drifted`: why the deploy changes nothing. */
  readonly obstacle: Obstacle | null;
  /** `invalid`, `attachable` or `missing`: why the constraint cannot be added at all. Null: it can. */
  readonly notBuildable: NotBuildable | null;
}

/** Reads the states of entries, by `indexKey`, in one query. It waits for no lock. */
export async function readConstraintStates(
  client: Client,
  entries: readonly ConstraintEntry[],
): Promise<Map<string, ConstraintState>> {
  const tables = await readTableConstraints(client, entries);
  return new Map(entries.map((entry) => [indexKey(entry), stateOf(entry, tables.get(indexKey(entry)))]));
}

/** Reads the state of one entry. */
export async function readConstraintState(client: Client, entry: ConstraintEntry): Promise<ConstraintState> {
  return stateOf(entry, (await readTableConstraints(client, [entry])).get(indexKey(entry)));
}

const NOTHING = { detail: null, obstacle: null, notBuildable: null };

/** @param table undefined: the table does not exist */
function stateOf(entry: ConstraintEntry, table: TableConstraints | undefined): ConstraintState {
  const { constraint } = entry;
  const missing: ConstraintState = { ...NOTHING, state: 'missing', indexName: entry.name };
  if (table === undefined) return missing;
  const own = table.constraints.find(({ name }) => name === constraint.name);
  if (own !== undefined) return stateOfConstraint(entry, own);
  const same = table.constraints.find((one) => isEquivalent(constraint, one));
  if (same !== undefined) return { ...missing, state: 'equivalent', indexName: same.name, detail: same.name };

  // An earlier registry can have given the index the name of the constraint.
  const renamed = table.relations.find(({ name }) => name === constraint.name);
  const relation = renamed ?? table.relations.find(({ name }) => name === entry.name);
  const indexName = renamed?.index ? constraint.name : entry.name;
  const notBuildable = whyNotBuildable(entry, table);
  if (!relation?.index) return { ...missing, notBuildable };
  const found = { ...NOTHING, indexName };
  if (!relation.index.valid) return { ...found, state: 'invalid', notBuildable };
  const used = table.constraints.find(({ name }) => name === indexName);
  if (used !== undefined) return { ...found, state: 'drifted', ...describeDrift(used) };
  if (relation.index.usable && hasColumnsOf(constraint, relation.index))
    return { ...found, state: 'attachable', notBuildable };
  const obstacle = {
    reason: `cannot be the index of constraint ${quoted(constraint.name)}`,
    fix: 'correct the registry, or drop the index in a migration',
  };
  return { ...found, state: 'drifted', obstacle };
}

type ConstraintOfTable = TableConstraints['constraints'][number];

/** The state of an entry whose constraint, or another one of its name, exists. */
function stateOfConstraint(entry: ConstraintEntry, own: ConstraintOfTable): ConstraintState {
  const { constraint } = entry;
  const found = { ...NOTHING, indexName: own.index === null ? entry.name : constraint.name };
  const { index } = own;
  const isSame = index?.immediate && own.type === TYPES[constraint.type] && hasColumnsOf(constraint, index);
  if (!isSame) return { ...found, state: 'drifted', ...describeDrift(own) };
  return { ...found, state: index.valid ? 'present' : 'invalid' };
}

const TYPES: Record<CompiledConstraint['type'], string> = { unique: 'u', 'primary key': 'p' };

/** A primary key is unique, too, so a second constraint on its columns would only slow down writes. */
function isEquivalent(wanted: CompiledConstraint, { type, index }: ConstraintOfTable): boolean {
  const isOfType = type === 'p' || type === TYPES[wanted.type];
  return isOfType && index?.valid === true && index.immediate && hasColumnsOf(wanted, index);
}

type IndexOfTable = NonNullable<ConstraintOfTable['index']>;

function hasColumnsOf(wanted: CompiledConstraint, index: IndexOfTable): boolean {
  const isSame = (some: readonly (string | null)[], others: readonly (string | null)[]) =>
    some.length === others.length && some.every((name, at) => name === others[at]);
  return (
    isSame(wanted.columns, index.columns) &&
    isSame(wanted.include, index.include) &&
    wanted.nullsNotDistinct === index.nullsNotDistinct
  );
}

const OTHER_TYPES: Readonly<Record<string, string>> = {
  c: 'CHECK',
  f: 'FOREIGN KEY',
  n: 'NOT NULL',
  x: 'EXCLUDE',
};

function describeDrift({ name, type, definition }: ConstraintOfTable): {
  detail: string;
  obstacle: Obstacle;
} {
  return {
    detail: definition ?? OTHER_TYPES[type] ?? 'another type',
    obstacle: {
      reason: `is the constraint ${quoted(name)}`,
      fix: 'correct the registry, or drop the constraint in a migration',
    },
  };
}

const TABLE = 'r';
const PARTITIONED_TABLE = 'p';

/** Why PostgreSQL would refuse the constraint, or lock the table for long to add it. Null: it would not. */
function whyNotBuildable(
  entry: ConstraintEntry,
  { kind, constraints, relations, nullable }: TableConstraints,
): NotBuildable | null {
  const { constraint } = entry;
  const refusal = (sqlstate: string, reason: string): NotBuildable => ({
    ...{ sqlstate, isMigratable: true },
    message: `Index ${indexId(entry)}: constraint ${quoted(constraint.name)} cannot be added, because ${reason}`,
  });
  const table = tableId(entry);
  if (kind === PARTITIONED_TABLE)
    return refusal(
      FEATURE_NOT_SUPPORTED,
      `${table} is a partitioned table, on which PostgreSQL does not support ADD CONSTRAINT … USING INDEX. Remove "constraint" ` +
        'from the entry: the deploy then builds the unique index on each partition, which ON CONFLICT and foreign keys can use, ' +
        'too. Or remove the entry, and add the constraint in a migration',
    );
  if (kind !== TABLE)
    return refusal(
      WRONG_OBJECT_TYPE,
      `${table} is not a table, and only tables have constraints. Remove "constraint" from the entry: a unique index is enough`,
    );
  const taken = relations.find(({ name, index }) => name === constraint.name && index === null);
  if (taken !== undefined)
    return refusal(
      DUPLICATE_TABLE,
      `the name is already used by ${describeRelation(taken)}, and the index of a constraint has the name of the constraint. ` +
        'Rename that relation, or choose another name for the constraint in the registry',
    );
  if (constraint.type !== 'primary key') return null;
  const primaryKey = constraints.find(({ type }) => type === 'p');
  if (primaryKey !== undefined)
    return refusal(
      INVALID_TABLE_DEFINITION,
      `table ${table} already has the primary key ${quoted(primaryKey.name)} (${primaryKey.definition}), and a table has only ` +
        'one. Correct the registry, or drop that primary key in a migration',
    );
  return nullable.length === 0
    ? null
    : refusal(
        NOT_NULL_VIOLATION,
        describeNullable(
          entry,
          nullable.map(({ column }) => column),
          nullable,
        ),
      );
}

/**
 * PostgreSQL would set the columns NOT NULL. For that it reads the whole table under ACCESS EXCLUSIVE, or evaluates CHECK
 * constraints of the owner of the table with the rights of the deploy role.
 */
function describeNullable(
  entry: ConstraintEntry,
  columns: readonly string[],
  nullable: TableConstraints['nullable'],
): string {
  const alter = `ALTER TABLE ${quotedTable(entry)}`;
  const statements = nullable.flatMap(({ column, unvalidated }) => {
    if (unvalidated !== null) return [`${alter} VALIDATE CONSTRAINT ${quoteIdentifier(unvalidated)};`];
    const check = quoteIdentifier(`${column}_is_not_null`);
    const quotedColumn = quoteIdentifier(column);
    return [
      `${alter} ADD CONSTRAINT ${check} CHECK (${quotedColumn} IS NOT NULL) NOT VALID;`,
      `${alter} VALIDATE CONSTRAINT ${check};`,
      `${alter} ALTER COLUMN ${quotedColumn} SET NOT NULL;`,
      `${alter} DROP CONSTRAINT ${check};`,
    ];
  });
  return (
    `NULL is allowed in ${columns.map((column) => quoted(column)).join(', ')} of table ${tableId(entry)}: PostgreSQL would read the whole table while it ` +
    `blocks every other session. Run these statements first, each in a transaction of its own: ${statements.join(' ')}`
  );
}

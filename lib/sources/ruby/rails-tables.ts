import { listFrom, quoteName, quoteTable } from './rails-index.ts';
import {
  addColumns,
  addForeignKey,
  addIndex,
  addReference,
  addUniqueConstraint,
  indexIn,
  type RailsCall,
  type RailsContext,
  removeIndex,
  singularOf,
} from './rails-statements.ts';
import { type RubyHash, textOf } from './ruby-values.ts';

type Handler = (context: RailsContext, table: string, call: RailsCall) => void;

/** Methods of the block of create_table and change_table that are no types of columns. */
const TABLE_METHODS: Readonly<Record<string, Handler>> = {
  index: addIndex,
  remove_index: removeIndex,
  references: addReference,
  belongs_to: addReference,
  unique_constraint: addUniqueConstraint,
  column: (context, table, call) => addColumns(context, table, { ...call, args: call.args.slice(0, 1) }),
  timestamps: (context, table, call) =>
    addColumns(context, table, { ...call, args: ['created_at', 'updated_at'] }),
  remove: removeColumns,
  rename: renameColumn,
  rename_index: renameIndex,
  foreign_key: foreignKey,
  check_constraint: nothing,
  exclusion_constraint: nothing,
  change: nothing,
  change_default: nothing,
  change_null: nothing,
  remove_references: nothing,
  remove_belongs_to: nothing,
  remove_timestamps: nothing,
  remove_foreign_key: nothing,
  remove_check_constraint: nothing,
};

/** Methods of a migration whose first argument is a table. */
const MIGRATION_METHODS: Readonly<Record<string, Handler>> = {
  add_index: addIndex,
  remove_index: removeIndex,
  // The helpers of GitLab, which have the arguments of Rails.
  add_concurrent_index: (context, table, call) => addIndex(context, table, concurrently(call)),
  remove_concurrent_index: (context, table, call) => removeIndex(context, table, concurrently(call)),
  remove_concurrent_index_by_name: (context, table, call) =>
    removeIndex(context, table, named(concurrently(call))),
  add_reference: addReference,
  add_belongs_to: addReference,
  add_column: (context, table, call) => addColumns(context, table, { ...call, args: call.args.slice(0, 1) }),
  add_timestamps: (context, table, call) =>
    addColumns(context, table, { ...call, args: ['created_at', 'updated_at'] }),
  remove_column: (context, table, call) =>
    removeColumns(context, table, { ...call, args: call.args.slice(0, 1) }),
  remove_columns: removeColumns,
  rename_column: renameColumn,
  rename_index: renameIndex,
  add_foreign_key: foreignKey,
  add_unique_constraint: addUniqueConstraint,
  rename_table: renameTable,
};

/** Runs a method of a migration on a table. @returns false: it is another method */
export function runOnTable(context: RailsContext, call: RailsCall): boolean {
  const [table = null, ...args] = call.args;
  if (call.name === 'drop_table') {
    for (const name of call.args.map(textOf))
      context.emit(`drop table if exists ${quoteTable(name)}`, call.node);
    return true;
  }
  const handler = Object.hasOwn(MIGRATION_METHODS, call.name) ? MIGRATION_METHODS[call.name] : undefined;
  handler?.(context, textOf(table), { ...call, args });
  return handler !== undefined;
}

/** Runs a method of the block's variable `t`; every other name is the type of a column. */
export function runInTable(context: RailsContext, table: string, call: RailsCall): void {
  const handler = Object.hasOwn(TABLE_METHODS, call.name) ? TABLE_METHODS[call.name] : addColumns;
  handler?.(context, table, call);
}

/** The table itself. Its columns are added one by one, so that each has its own place. */
export function createTable(context: RailsContext, table: string, { options, node }: RailsCall): void {
  const id = options.get('id');
  const given = options.get('primary_key');
  const key = listFrom(given).length > 0 ? listFrom(given) : ['id'];
  const hasKey = id !== false;
  const isComposite = Array.isArray(given);
  const columns = hasKey && !isComposite ? [`${quoteName(key[0] ?? 'id')} bigint primary key`] : [];
  const temporary = options.get('temporary') === true ? 'temporary ' : '';
  const ifNotExists = options.get('if_not_exists') === true ? 'if not exists ' : '';
  if (options.get('force') === true) context.emit(`drop table if exists ${quoteTable(table)}`, node);
  context.emit(`create ${temporary}table ${ifNotExists}${quoteTable(table)} (${columns.join(', ')})`, node);
}

/** create_join_table: the names of both tables in alphabetical order, and a column for each. @returns the table */
export function createJoinTable(context: RailsContext, call: RailsCall): string {
  const names = call.args.slice(0, 2).map(textOf);
  const given = call.options.get('table_name');
  const table = given ? textOf(given) : names.toSorted().join('_');
  createTable(context, table, { ...call, options: new Map([...call.options, ['id', false]]) });
  addColumns(context, table, {
    ...call,
    args: names.map((name) => `${singularOf(name)}_id`),
    options: new Map(),
  });
  return table;
}

function foreignKey(
  context: RailsContext,
  table: string,
  { args: [to = null], options, node }: RailsCall,
): void {
  const target = textOf(to);
  addForeignKey(context, table, textOf(options.get('column') ?? `${singularOf(target)}_id`), target, node);
}

function removeColumns(context: RailsContext, table: string, { args, node }: RailsCall): void {
  for (const name of args.map(textOf)) {
    context.emit(`alter table ${quoteTable(table)} drop column ${quoteName(name)}`, node);
  }
}

function renameColumn(
  context: RailsContext,
  table: string,
  { args: [from = null, to = null], node }: RailsCall,
): void {
  const [old, fresh] = [from, to].map(textOf);
  context.emit(
    `alter table ${quoteTable(table)} rename column ${quoteName(old ?? '')} to ${quoteName(fresh ?? '')}`,
    node,
  );
}

function renameIndex(
  context: RailsContext,
  table: string,
  { args: [from = null, to = null], node }: RailsCall,
): void {
  const [old, fresh] = [from, to].map(textOf);
  context.emit(`alter index ${indexIn(table, old ?? '')} rename to ${quoteName(fresh ?? '')}`, node);
}

function renameTable(context: RailsContext, table: string, { args: [to = null], node }: RailsCall): void {
  const name = textOf(to);
  context.emit(`alter table ${quoteTable(table)} rename to ${quoteName(name)}`, node);
  for (const [old, fresh] of context.indexes.renameTable(table, name)) {
    context.emit(`alter index ${indexIn(table, old)} rename to ${quoteName(fresh)}`, node);
  }
}

function concurrently(call: RailsCall): RailsCall {
  const options: RubyHash = new Map([...call.options, ['algorithm', 'concurrently']]);
  return { ...call, options };
}

/** The second argument is the name. */
function named({ args: [name = null], ...call }: RailsCall): RailsCall {
  const options: RubyHash = new Map([...call.options, ['name', name]]);
  return { ...call, args: [], options };
}

function nothing(): void {
  // It changes no index and no name.
}

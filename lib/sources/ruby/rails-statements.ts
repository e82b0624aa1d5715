import type { RubyNode } from './parse-ruby.ts';
import {
  columnsFrom,
  createIndexSql,
  listFrom,
  quoteName,
  quoteTable,
  railsIndexName,
} from './rails-index.ts';
import { type RubyHash, type RubyValue, textOf, UNKNOWN_OPTIONS } from './ruby-values.ts';

/** A call of a migration, with the values of its arguments. */
export interface RailsCall {
  readonly name: string;
  readonly args: readonly RubyValue[];
  readonly options: RubyHash;
  readonly node: RubyNode;
}

/** The indexes that the migrations have created so far, for calls that name their columns. */
export class RailsIndexes {
  private readonly byTable = new Map<string, { name: string; columns: string }[]>();

  add(table: string, name: string, columns: string): void {
    this.byTable.set(table, [...this.of(table), { name, columns }]);
  }

  /** The name of the index on columns. Undefined: no migration has created one. */
  find(table: string, columns: string): string | undefined {
    return this.of(table).findLast((index) => index.columns === columns)?.name;
  }

  remove(table: string, name: string): void {
    this.byTable.set(
      table,
      this.of(table).filter((index) => index.name !== name),
    );
  }

  /** Rails renames the indexes with default names too. @returns their old and new names */
  renameTable(from: string, to: string): [string, string][] {
    const renamed: [string, string][] = [];
    const indexes = this.of(from).map((index) => {
      const start = `index_${from}_on_`;
      if (!index.name.startsWith(start)) return index;
      const name = `index_${to}_on_${index.name.slice(start.length)}`;
      renamed.push([index.name, name]);
      return { ...index, name };
    });
    this.byTable.delete(from);
    this.byTable.set(to, indexes);
    return renamed;
  }

  private of(table: string): { name: string; columns: string }[] {
    return this.byTable.get(table) ?? [];
  }
}

/** What the statements of one file depend on. */
export interface RailsContext {
  /** Version of `ActiveRecord::Migration[7.1]`. */
  readonly version: number;
  readonly indexes: RailsIndexes;
  readonly emit: (sql: string, node: RubyNode) => void;
}

export function addIndex(
  context: RailsContext,
  table: string,
  { args: [on = null, more], options: given, node }: RailsCall,
): void {
  // Options in a variable of which nothing is known are one more argument.
  const options: RubyHash = more === undefined ? given : new Map([...given, [UNKNOWN_OPTIONS, more]]);
  const index = { table, columns: columnsFrom(on), options, version: context.version };
  const name = railsIndexName(index);
  if (name !== null) context.indexes.add(table, name, keyOf(on));
  context.emit(createIndexSql(index), node);
  const comment = options.get('comment');
  if (comment && name !== null) {
    context.emit(
      `comment on index ${indexIn(table, name)} is '${textOf(comment).replaceAll("'", "''")}'`,
      node,
    );
  }
}

/** A placeholder: the migration names the index in another way. */
// biome-ignore lint/suspicious/noTemplateCurlyInString: this is a placeholder of SQL
const UNKNOWN_INDEX = '${index}';

export function removeIndex(
  context: RailsContext,
  table: string,
  { args: [on], options, node }: RailsCall,
): void {
  const columns = on ?? options.get('column') ?? null;
  const byColumns = columns === null ? undefined : context.indexes.find(table, keyOf(columns));
  const name =
    options.get('name') ??
    byColumns ??
    railsIndexName({ table, columns: columnsFrom(columns), options: new Map(), version: context.version });
  context.indexes.remove(table, textOf(name));
  const concurrently = textOf(options.get('algorithm') ?? null) === 'concurrently' ? ' concurrently' : '';
  const ifExists = options.get('if_exists') === true ? ' if exists' : '';
  context.emit(`drop index${concurrently}${ifExists} ${indexIn(table, textOf(name) || UNKNOWN_INDEX)}`, node);
}

/** `t.references :owner, polymorphic: true, index: { unique: true }`, also as add_reference. */
export function addReference(context: RailsContext, table: string, call: RailsCall): void {
  const { options, node, version } = { ...call, version: context.version };
  for (const name of call.args.map(textOf)) {
    const isPolymorphic = options.get('polymorphic') === true || options.get('polymorphic') instanceof Map;
    const columns = isPolymorphic ? [`${name}_type`, `${name}_id`] : [`${name}_id`];
    for (const column of columns)
      context.emit(`alter table ${quoteTable(table)} add column ${quoteName(column)} text`, node);
    const index = options.get('index') ?? version >= 5;
    if (index !== false && index !== null) {
      const given: RubyHash = index instanceof Map ? (index as RubyHash) : new Map();
      const isShort = isPolymorphic && version > 6 && !given.has('name');
      const named = isShort ? new Map([...given, ['name', `index_${table}_on_${name}`]]) : given;
      addIndex(context, table, { ...call, args: [columns], options: named });
    }
    const key = options.get('foreign_key');
    if (key !== undefined && key !== false && key !== null) {
      const target = key instanceof Map ? (key as RubyHash).get('to_table') : undefined;
      addForeignKey(context, table, `${name}_id`, textOf(target ?? pluralOf(name)), node);
    }
  }
}

export function addForeignKey(
  context: RailsContext,
  ...[table, column, target, node]: [string, string, string, RubyNode]
): void {
  context.emit(
    `alter table ${quoteTable(table)} add foreign key (${quoteName(column)}) references ${quoteTable(target)}`,
    node,
  );
}

/** `t.unique_constraint` and add_unique_constraint. */
export function addUniqueConstraint(
  context: RailsContext,
  table: string,
  { args, options, node }: RailsCall,
): void {
  const name = options.get('name');
  const using = options.get('using_index');
  const what = using
    ? `using index ${quoteName(textOf(using))}`
    : `(${listFrom(args[0]).map(quoteName).join(', ')})`;
  context.emit(
    `alter table ${quoteTable(table)} add${name ? ` constraint ${quoteName(textOf(name))}` : ''} unique ${what}`,
    node,
  );
}

/** `t.string :email, :name, null: false, index: { unique: true }`. */
export function addColumns(context: RailsContext, table: string, call: RailsCall): void {
  for (const name of call.args.map(textOf)) {
    context.emit(`alter table ${quoteTable(table)} add column ${quoteName(name)} text`, call.node);
    const index = call.options.get('index');
    if (!index) continue;
    const options: RubyHash = index instanceof Map ? (index as RubyHash) : new Map();
    addIndex(context, table, { ...call, args: [[name]], options });
  }
}

/** The index of a table: it is in the schema of the table. */
export function indexIn(table: string, name: string): string {
  const schema = table.includes('.') ? `${quoteName(table.slice(0, table.indexOf('.')))}.` : '';
  return schema + quoteName(name);
}

function keyOf(columns: RubyValue): string {
  const list = columnsFrom(columns);
  return typeof list === 'string' ? list : list.join(',');
}

/** The table of a name, for the words whose plural has a rule. */
function pluralOf(name: string): string {
  if (/[^aeiou]y$/.test(name)) return `${name.slice(0, -1)}ies`;
  return /(?:s|x|ch|sh)$/.test(name) ? `${name}es` : `${name}s`;
}

/** The name of one row of a table, for the words whose plural has a rule. */
export function singularOf(table: string): string {
  if (table.endsWith('ies')) return `${table.slice(0, -3)}y`;
  if (/(?:ss|x|ch|sh)es$/.test(table)) return table.slice(0, -2);
  return table.endsWith('s') ? table.slice(0, -1) : table;
}

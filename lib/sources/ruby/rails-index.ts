import { createHash } from 'node:crypto';
import { clipBytes } from '../../../lambdas/postgres/identifiers.ts';
import { quoteWhereNeeded } from '../../sql/quote-where-needed.ts';
import { isUnknown, type RubyHash, type RubyValue, textOf, UNKNOWN_OPTIONS } from './ruby-values.ts';

/** An index as a migration of Rails defines it. */
export interface RailsIndex {
  /** `schema.table`, or the table alone. */
  readonly table: string;
  /** Names of columns, or one text with expressions. */
  readonly columns: string | readonly string[];
  /** The options of add_index. */
  readonly options: RubyHash;
  /** Version of `ActiveRecord::Migration[7.1]`: older versions have other default names. */
  readonly version: number;
}

/** Length of the names that Rails generates, in bytes, from version 7.1 on. */
const LONGEST_NAME = 62;

/** The name that Rails gives an index. Null: it depends on code that runs. */
export function railsIndexName({ table, columns, options, version }: RailsIndex): string | null {
  const given = options.get('name');
  if (given !== undefined && given !== null) return textOf(given);
  const parts = typeof columns === 'string' ? (columns.match(/\w+/g) ?? []) : columns;
  const on = typeof columns === 'string' ? parts.join('_') : parts.join('_and_');
  const name = `index_${table}_on_${on}`;
  if (isUnknown(table) || (typeof columns === 'string' ? isUnknown(columns) : columns.some(isUnknown)))
    return null;
  if (version < 7.1 || Buffer.byteLength(name) <= LONGEST_NAME) return name;
  const hash = `_${createHash('sha256').update(name).digest('hex').slice(0, 10)}`;
  const short = `idx_on_${typeof columns === 'string' ? on : columns.join('_')}`;
  return clipBytes(short, LONGEST_NAME - Buffer.byteLength(hash)) + hash;
}

/** The CREATE INDEX statement that Rails runs, without its semicolon. */
export function createIndexSql(index: RailsIndex): string {
  const { table, options } = index;
  const name = railsIndexName(index);
  const using = options.get('using');
  const where = options.get('where');
  const include = listFrom(options.get('include'));
  return [
    `create ${options.get('unique') === true ? 'unique ' : ''}index`,
    ...(textOf(options.get('algorithm') ?? null) === 'concurrently' ? ['concurrently'] : []),
    ...(name === null
      ? []
      : [...(options.get('if_not_exists') === true ? ['if not exists'] : []), quoteName(name)]),
    `on ${quoteTable(table)}`,
    ...(using ? [`using ${textOf(using)}`] : []),
    `(${columnsOf(index)})`,
    ...(include.length > 0 ? [`include (${include.map(quoteName).join(', ')})`] : []),
    ...(options.get('nulls_not_distinct') === true ? ['nulls not distinct'] : []),
    ...(where ? [`where ${textOf(where)}`] : []),
  ].join(' ');
}

/** What the code decides about an index beside its columns. It stands among them, so that the index counts as unknown. */
function unknownParts(options: RubyHash): string[] {
  return [UNKNOWN_OPTIONS, 'unique', 'nulls_not_distinct']
    .map((option) => textOf(options.get(option) ?? null))
    .filter(isUnknown);
}

function columnsOf(index: RailsIndex): string {
  return [columnList(index), ...unknownParts(index.options)].join(', ');
}

function columnList({ columns, options }: RailsIndex): string {
  if (typeof columns === 'string') return columns;
  return columns
    .map((column) => {
      const parts = ['opclass', 'order'].map((option) => textOf(optionFor(options.get(option), column)));
      const name =
        /\W/.test(column) && !isUnknown(column) && column.includes('(') ? column : quoteName(column);
      return [name, ...parts].filter((part) => part !== '').join(' ');
    })
    .join(', ');
}

/** Rails takes one value for all columns, or a hash with a value for each. */
function optionFor(option: RubyValue | undefined, column: string): RubyValue {
  if (option instanceof Map) return (option as RubyHash).get(column) ?? null;
  return option ?? null;
}

/** The columns of an argument: a name, a list of names, or one text with an expression. */
export function columnsFrom(value: RubyValue): string | readonly string[] {
  if (Array.isArray(value)) return value.map(textOf);
  const text = textOf(value);
  return /\W/.test(text) ? text : [text];
}

export function listFrom(value: RubyValue | undefined): string[] {
  if (Array.isArray(value)) return value.map(textOf);
  return value === undefined || value === null ? [] : [textOf(value as RubyValue)];
}

export function quoteName(name: string): string {
  return isUnknown(name) ? name : quoteWhereNeeded(name);
}

export function quoteTable(table: string): string {
  return table.split('.').map(quoteName).join('.');
}

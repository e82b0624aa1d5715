import { textsIn, visitValues } from '../parse-tree.ts';
import type { Schema } from './schema-model.ts';
import type { Doubt, SchemaIndex } from './schema-objects.ts';
import type { WrittenStatement } from './written-statement.ts';

/**
 * Puts the indexes in doubt whose statement contains a name: that of a function, a type, a collation, an operator class or a
 * schema, or a value of an enum.
 */
export function doubtUsesOf(schema: Schema, name: string, doubt: Doubt): void {
  putInDoubt(schema, doubt, ({ written }) => written !== null && namesIn(written).has(name));
}

/** Puts the indexes in doubt that use a column of a type. */
export function doubtColumnsOf(schema: Schema, type: string, doubt: Doubt): void {
  for (const table of schema.tables) {
    if (![...table.columnTypes.values()].some((names) => names.at(-1) === type)) continue;
    for (const [column, names] of table.columnTypes) {
      if (names.at(-1) !== type) continue;
      schema.inDoubt(doubt, () => schema.dropColumn(table, column, doubt.place, true));
    }
  }
}

/** Puts the indexes in doubt that need more than the types, functions and operator classes of PostgreSQL itself. */
export function doubtExtensionUses(schema: Schema, doubt: Doubt): void {
  putInDoubt(schema, doubt, (index) => {
    const { written, columns } = index;
    const types = schema.table({ schema: index.schema, name: index.table })?.columnTypes;
    const isOwn = columns.some((column) => column !== null && types?.get(column)?.[0] !== 'pg_catalog');
    return written === null ? isOwn : isOwn || usesOwnNames(written);
  });
}

/** Puts the indexes in doubt that have one of the names, or whose table has it. A name can be a pattern of LIKE: `idx_old%`. */
export function doubtNamed(schema: Schema, names: readonly string[], doubt: Doubt): void {
  const whole = new Set(names);
  const patterns = names.filter((name) => PATTERN.test(name)).slice(0, MOST_PATTERNS);
  const isNamed = (name: string) => whole.has(name) || patterns.some((pattern) => isLike(name, pattern));
  putInDoubt(schema, doubt, ({ name, table }) => isNamed(name) || isNamed(table));
}

const PATTERN = /^%?[\w$-]+%?$/;
const MOST_PATTERNS = 20;

/** The same as LIKE, for a pattern with `%` at its ends only; `_` is any character. */
function isLike(name: string, pattern: string): boolean {
  const [isEnd, isStart] = [pattern.startsWith('%'), pattern.endsWith('%')];
  const text = pattern.slice(isEnd ? 1 : 0, isStart ? -1 : undefined);
  const most = name.length - text.length;
  for (let at = isEnd ? 0 : Math.min(0, most); at <= (isEnd ? most : 0); at += 1) {
    if (at < 0 || (!isStart && at !== most)) continue;
    if (Array.from(text).every((character, offset) => character === '_' || character === name[at + offset]))
      return true;
  }
  return false;
}

export function doubtAll(schema: Schema, doubt: Doubt): void {
  putInDoubt(schema, doubt, () => true);
}

function putInDoubt(schema: Schema, doubt: Doubt, concerns: (index: SchemaIndex) => boolean): void {
  schema.inDoubt(doubt, () => {
    for (const index of schema.indexes) if (index.doubt === null && concerns(index)) schema.isInDoubt(index);
  });
}

/** Nodes with names of functions, types, collations and operator classes. */
const NAMING = new Set(['FuncCall', 'opclass', 'collation']);

function usesOwnNames({ statement }: WrittenStatement): boolean {
  let isNaming = false;
  visitValues([statement.indexParams, statement.whereClause], (_, key) => {
    isNaming ||= NAMING.has(key);
  });
  return isNaming || !/^(?:btree|hash|gist|gin|spgist|brin)?$/.test(statement.accessMethod ?? '');
}

/** Each statement is read once, however many names change. */
const names = new WeakMap<WrittenStatement, ReadonlySet<string>>();

function namesIn(written: WrittenStatement): ReadonlySet<string> {
  const known = names.get(written);
  if (known !== undefined) return known;
  const { indexParams, whereClause } = written.statement;
  const found = new Set(textsIn([indexParams, whereClause]));
  names.set(written, found);
  return found;
}

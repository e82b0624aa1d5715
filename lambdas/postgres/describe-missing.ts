import { indexId, tableId } from '../shared/registry.ts';
import { counted, listed } from '../shared/text.ts';
import { quoted, visible } from '../shared/visible-text.ts';
import { identifierList, quoteIdentifier } from './identifiers.ts';
import type { FoundTable, IncompleteIndex, MissingObject, ObjectKind } from './missing-objects.ts';
import type { SearchPath } from './search-path.ts';

/** Sentences in a message. */
const MOST_SENTENCES = 5;
/** Names in a sentence. */
const MOST_NAMES = 3;
/** Columns of a table in a sentence. */
const MOST_COLUMNS = 10;

/**
 * What a database does not have, in sentences: one for each object, at most five and one that counts the others, and what to do.
 * @param role the deploy role
 */
export function describeMissing(
  incomplete: readonly IncompleteIndex[],
  { path, role }: { path: SearchPath; role: string },
): string {
  const sentences = describeEach(incomplete);
  const more = sentences.length - MOST_SENTENCES;
  return [
    ...sentences.slice(0, MOST_SENTENCES),
    ...(more > 0 ? [`And ${counted(more, 'more object')}.`] : []),
    ...advice(incomplete, { path, role }),
  ].join(' ');
}

/** What is missing in sentences, without what to do. */
export function describeObjects(incomplete: readonly IncompleteIndex[]): string {
  return describeEach(incomplete).slice(0, MOST_SENTENCES).join(' ');
}

/** A sentence for each object that is missing. */
function describeEach(incomplete: readonly IncompleteIndex[]): string[] {
  const byObject = Map.groupBy(
    incomplete.flatMap(({ index, missing }) => missing.map((object) => ({ index, object }))),
    ({ object }) => keyOf(object),
  );
  return [...byObject.values()].flatMap(([first, ...others]) => {
    if (first === undefined) return [];
    const names = [first, ...others].map(({ index }) => indexId(index));
    return [
      `${describe(first.object)} (${names.length === 1 ? 'index' : 'indexes'} ${listed(names, MOST_NAMES)}).`,
    ];
  });
}

function keyOf(object: MissingObject): string {
  if ('name' in object) return JSON.stringify([object.kind, object.name]);
  return JSON.stringify([object.kind, object.table, object.kind === 'column' ? object.column : '']);
}

/** What is missing, and what is there instead: a sentence without its end. */
function describe(object: MissingObject): string {
  switch (object.kind) {
    case 'table':
      return `The table ${tableText(object.table)} does not exist${whereTables(object.table.table, object.elsewhere)}`;
    case 'not-a-table':
      return `${tableText(object.table)} is ${relationKind(object.relkind)}, which cannot have an index`;
    case 'column': {
      const { column, table, existing } = object;
      return `The table ${tableText(table)} has no column ${quoted(column)}: ${columnsLike(column, existing)}`;
    }
    default:
      return `The ${object.kind} ${quoted(object.name.join('.'))} does not exist${whereObjects(object)}`;
  }
}

function tableText(table: { schema: string; table: string }): string {
  return quoted(tableId(table));
}

function whereTables(name: string, elsewhere: readonly FoundTable[]): string {
  const same = elsewhere.filter(({ table }) => table === name);
  if (same.length > 0) return `; a table of this name is in ${schemas(same.map(({ schema }) => schema))}`;
  const [similar] = elsewhere;
  if (similar === undefined) return ', and no other schema has a table of this name';
  return (
    `; ${quoted(tableId(similar))} differs in upper and lower case: write the name in double quotes, ` +
    `${quoteIdentifier(similar.table)}`
  );
}

function whereObjects({ elsewhere, kind }: { elsewhere: readonly string[]; kind: ObjectKind }): string {
  if (elsewhere.length > 0) return ` in the search path; it is in ${schemas(elsewhere)}`;
  const isOfExtension = kind === 'operator class' || kind === 'access method';
  return isOfExtension ? ' in this database; an extension that has it is not installed' : ' in this database';
}

function schemas(names: readonly string[]): string {
  return `the schema${names.length === 1 ? '' : 's'} ${listed(
    names.map((name) => quoted(name)),
    MOST_NAMES,
  )}`;
}

const RELATION_KINDS: Readonly<Record<string, string>> = {
  v: 'a view',
  f: 'a foreign table',
  S: 'a sequence',
  i: 'an index',
  I: 'an index',
  c: 'a composite type',
  t: 'a TOAST table',
};

function relationKind(relkind: string): string {
  return RELATION_KINDS[relkind] ?? `a relation of the kind ${quoted(relkind)}`;
}

/** The columns with a similar name, otherwise the first ones of the table. */
function columnsLike(column: string, existing: readonly string[]): string {
  const similar = existing.filter((one) => isSimilar(one.toLowerCase(), column.toLowerCase()));
  if (similar.length === 0)
    return `it has ${listed(
      existing.map((one) => quoted(one)),
      MOST_COLUMNS,
    )}`;
  const inCase = similar.find((one) => one.toLowerCase() === column.toLowerCase());
  const quotes = inCase === undefined ? '' : ', which must be in double quotes';
  return `it has ${listed(
    (inCase === undefined ? similar : [inCase]).map((one) => quoted(one)),
    MOST_COLUMNS,
  )}${quotes}`;
}

/** Whether one name contains the other, or at most two characters differ. */
function isSimilar(one: string, other: string): boolean {
  const [short, long] = one.length < other.length ? [one, other] : [other, one];
  return (short.length > 2 && long.includes(short)) || distance(one, other) <= Math.min(2, short.length - 1);
}

/** The number of characters to insert, delete or replace (Levenshtein). */
function distance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (let at = 1; at <= one.length; at += 1) {
    const next = [at];
    for (let to = 1; to <= other.length; to += 1) {
      const replaced = (row[to - 1] ?? 0) + (one[at - 1] === other[to - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[to] ?? 0) + 1, (next[to - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}

/** What a schema has to do with it: the search path, the rights of the role. */
function advice(
  incomplete: readonly IncompleteIndex[],
  { path, role }: { path: SearchPath; role: string },
): string[] {
  const objects = incomplete.flatMap(({ missing }) => missing);
  const tables = [
    ...new Map(
      objects.flatMap((object) => (object.kind === 'table' ? [[keyOf(object), object] as const] : [])),
    ).values(),
  ];
  const hidden = new Set(
    tables.flatMap(({ elsewhere, table }) =>
      elsewhere.flatMap((one) =>
        !one.usable && one.table === table.table && path.schemas.includes(one.schema) ? [one.schema] : [],
      ),
    ),
  );
  const grants = [...hidden].map(
    (schema) =>
      `The deploy role may not use the schema ${quoted(schema)} of the search path. As its owner run: ` +
      `GRANT USAGE, CREATE ON SCHEMA ${quoteIdentifier(schema)} TO ${quoteIdentifier(role)};`,
  );
  const isAboutPath =
    tables.length > 0 || objects.some((object) => 'name' in object && object.elsewhere.length > 0);
  if (!isAboutPath) return grants;
  const shared = schemasOfAll(tables);
  const isElsewhere = objects.some((object) => 'elsewhere' in object && object.elsewhere.length > 0);
  return [
    ...grants,
    `Names without a schema are looked up in the search path ${visible(identifierList(path.schemas))} (of the ${path.source}).`,
    ...(tables.length > 1 && shared.length > 0
      ? [`All ${tables.length} tables are in ${schemas(shared)}.`]
      : []),
    ...(isElsewhere && grants.length === 0 ? [CHANGE_PATH] : []),
  ];
}

const CHANGE_PATH =
  'Set database.searchPath (run --search-path) to the schemas of the application, or write the schema in the statement.';

/** The schemas that have all of the missing tables. */
function schemasOfAll(
  tables: readonly { table: { table: string }; elsewhere: readonly FoundTable[] }[],
): string[] {
  const [first, ...others] = tables.map(
    ({ table, elsewhere }) =>
      new Set(elsewhere.flatMap((one) => (one.table === table.table ? [one.schema] : []))),
  );
  return [...(first ?? [])].filter((schema) => others.every((set) => set.has(schema)));
}

import { indexId, tableId } from './registry.ts';
import { countOf, describeSchemas, failedSchemas } from './report-names.ts';
import type { IndexReport } from './report-schema.ts';
import { counted, shortened } from './text.ts';
import { oneLine } from './visible-text.ts';

/** Failed indexes that have the same cause. */
export interface FailureGroup {
  /** Null: the error does not come from PostgreSQL, or is unknown. */
  readonly sqlstate: string | null;
  /** The message of the first index, in one line. */
  readonly message: string;
  /** The critical ones first, otherwise in the given order. Never empty. */
  readonly indexes: readonly [IndexReport, ...IndexReport[]];
  /** Number of critical indexes. */
  readonly critical: number;
}

/** What distinguishes causes: the error, and the names that are specific to the index. */
export interface Cause {
  readonly sqlstate: string | null;
  readonly message: string;
  /** Names that occur in the message without quotes and do not belong to the cause: index, table, schema. */
  readonly names: readonly string[];
}

/**
 * Groups failed indexes by cause. Groups with critical indexes come first, then those with the most indexes. Each index is in
 * exactly one group.
 */
export function groupFailures(failed: readonly IndexReport[]): FailureGroup[] {
  const groups = Map.groupBy(failed.flatMap(byCause), (index) => causeKey(causeOf(index)));
  return [...groups.values()]
    .map(toGroup)
    .toSorted(
      (a, b) => Number(b.critical > 0) - Number(a.critical > 0) || failedIn(b.indexes) - failedIn(a.indexes),
    );
}

/** An entry with `schemas` can have failed for several causes: one report for each. */
function byCause(index: IndexReport): IndexReport[] {
  const { schemas } = index;
  if (schemas === undefined || schemas.causes.length === 0) return [index];
  return schemas.causes.map(({ sqlstate, message, count, schemas: failedSchemas }) => ({
    ...index,
    error: { sqlstate, message },
    schemas: { ...schemas, failed: count, failedSchemas },
  }));
}

/** Number of failed indexes. */
function failedIn(indexes: readonly IndexReport[]): number {
  return indexes.reduce((sum, index) => sum + countOf(index, 'failed'), 0);
}

function toGroup(members: readonly IndexReport[]): FailureGroup {
  const indexes = members.toSorted((a, b) => Number(b.critical) - Number(a.critical));
  const [first] = indexes;
  if (first === undefined) throw new Error('A group of failures is empty.');
  return {
    sqlstate: first.error?.sqlstate ?? null,
    message: failureMessage(first),
    indexes: [first, ...indexes.slice(1)],
    critical: failedIn(indexes.filter((index) => index.critical)),
  };
}

const UNKNOWN = 'unknown error';

/** The message of a failed index, in one line, without the index's name in front. */
function failureMessage(index: IndexReport): string {
  const message = oneLine(index.error?.message ?? UNKNOWN);
  const first = index.schemas?.failedSchemas[0];
  const id = first === undefined ? indexId(index) : indexId({ schema: first, name: index.name });
  return withoutIndexName(message, id) || UNKNOWN;
}

/** Functions begin their messages with `Index NAME: `. In a list the name is already there. */
export function withoutIndexName(message: string, id: string): string {
  const prefix = `Index ${id}: `;
  return message.startsWith(prefix) ? message.slice(prefix.length) : message;
}

function causeOf(index: IndexReport): Cause {
  return {
    sqlstate: index.error?.sqlstate ?? null,
    message: index.error?.message ?? '',
    names: [indexId(index), tableId(index), index.name, index.table, index.schema, ...namesOfSchemas(index)],
  };
}

/** The message of an entry with `schemas` is that of its first schema. */
function namesOfSchemas({ schemas, name, table }: IndexReport): string[] {
  const schema = schemas?.failedSchemas[0];
  return schema === undefined ? [] : [indexId({ schema, name }), tableId({ schema, table }), schema];
}

const VARIABLE = '◦';

/** Text in quotes, as PostgreSQL writes names and values, also in other languages than English. */
const QUOTED =
  /"[^"]*"|“[^”]*”|„[^“”]*[“”]|«[^»]*»|»[^«]*«|「[^」]*」|(?<![\p{L}\p{N}])'[^']*'(?![\p{L}\p{N}])/gu;
/** Parts of a message that are about one row, one object or one request: details, hints, ids. */
const SPECIFIC_PARTS =
  /\(SQLSTATE \w{5}\)|\b(?:Detail|Hint): .*$|\barn:\S+|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/giu;
/** The argument types of a function, and values: `f(text)`, `Key (a)=(1)`. */
const PARENTHESISED = /\([^()]*\)/gu;
const KINDS = [
  ...[
    'table',
    'relation',
    'index',
    'view',
    'sequence',
    'schema',
    'column',
    'function',
    'procedure',
    'aggregate',
  ],
  ...['operator', 'type', 'domain', 'collation', 'role', 'database', 'tablespace', 'extension', 'constraint'],
  'partition',
];
/** PostgreSQL writes some names without quotes: `must be owner of table orders`, `permission denied for schema crm`. */
const KIND_AND_NAME = new RegExp(
  `\\b(${KINDS.join('|')}) (?!${VARIABLE})[^\\s,;:.${VARIABLE}]+(?:\\.[^\\s,;:${VARIABLE}]+)?`,
  'giu',
);
const WORD = /[\p{L}\p{N}_$.-]+/gu;
const DIGIT_OR_UNDERSCORE = /[\p{N}_]/u;
/** Characters of a message that decide. The rest of a longer one is a detail: a value, a statement. */
const DECISIVE = 1_000;
const BLOCKED_BY = /\bBlocked by (.*)$/u;

/** A text that is equal for two failures of the same cause: the SQLSTATE, and the message without names, values and numbers. */
export function causeKey({ sqlstate, message, names }: Cause): string {
  const text = oneLine(shortened(message, DECISIVE));
  const code = sqlstate ?? /\(SQLSTATE (\w{5})\)/.exec(message)?.[1] ?? '';
  // A message about one partition of an index begins with "Index NAME @ PARTITION: ".
  const [prefix = '', item = ''] = /^Index (.+?): /u.exec(text) ?? [];
  const partition = item.split(' @ ').slice(1);
  const [sentence = '', blockers] = text.slice(prefix.length).split(BLOCKED_BY);
  const general = withoutNames(sentence.replace(SPECIFIC_PARTS, '').replace(QUOTED, VARIABLE), [
    ...names,
    ...partition,
  ])
    .replace(PARENTHESISED, '')
    .replace(KIND_AND_NAME, `$1 ${VARIABLE}`)
    // Identifiers and numbers.
    .replace(WORD, (word) => (DIGIT_OR_UNDERSCORE.test(word) ? VARIABLE : word))
    .trim();
  return [code, general, blockers === undefined ? '' : firstBlocker(blockers)].join('|');
}

/** The first blocker, without its age and state, which change from one check to the next. */
function firstBlocker(blockers: string): string {
  return /^pid \d+/.exec(blockers)?.[0] ?? blockers.split(/ \(|, /, 1)[0] ?? '';
}

/** Replaces names that stand alone. A name that is also a kind of object stays: `lock on table table`. */
function withoutNames(text: string, names: readonly string[]): string {
  return names
    .filter((name) => name !== '' && !KINDS.includes(name.toLowerCase()))
    .toSorted((a, b) => b.length - a.length)
    .reduce((rest, name) => withoutName(rest, oneLine(name)), text);
}

const WORD_CHARACTER = /[\p{L}\p{N}_$]/u;

function withoutName(text: string, name: string): string {
  const [first = '', ...others] = name === '' ? [text] : text.split(name);
  // The characters around the name decide. A surrogate is half of a letter, so it counts as one.
  const isWord = (character: string | undefined) =>
    character !== undefined && (WORD_CHARACTER.test(character) || /[\ud800-\udfff]/.test(character));
  return others.reduce(
    (before, after) => before + (isWord(before.at(-1)) || isWord(after[0]) ? name : VARIABLE) + after,
    first,
  );
}

/** Names of one group that a line shows. */
const SHOWN_NAMES = 3;

/** The first indexes of a group for a message: `a on t, b on u, c on v`. */
export function firstNames({ indexes }: FailureGroup): string {
  return indexes
    .slice(0, SHOWN_NAMES)
    .map((index) => oneLine(nameOf(index)))
    .join(', ');
}

/** `idx_orders_status on orders`, or of an entry with `schemas` `idx_orders_status: 4,998 of 5,000 schemas, 2 failed (tenant_7, tenant_9)`. */
function nameOf(index: IndexReport): string {
  const { schemas } = index;
  if (schemas === undefined) return `${indexId(index)} on ${tableId(index)}`;
  return `${index.name}: ${describeSchemas(schemas)} (${failedSchemas(schemas)})`;
}

/** The size of a group: `1 critical index`, `198 indexes`, `198 indexes, 4 of them critical`. */
export function sizeOf({ indexes, critical }: FailureGroup): string {
  const count = failedIn(indexes);
  if (critical === 0) return counted(count, 'index');
  if (critical === count) return counted(count, 'critical index');
  return `${counted(count, 'index')}, ${critical} of them critical`;
}

/** The attempts of a group: `1 attempt`, `10 attempts each`, `at most 10 attempts each`. */
export function describeAttempts({ indexes }: FailureGroup): string {
  const attempts = indexes.map((index) => index.attempts);
  const most = Math.max(...attempts);
  if (indexes.length === 1) return counted(most, 'attempt');
  return `${Math.min(...attempts) === most ? '' : 'at most '}${counted(most, 'attempt')} each`;
}

/** Characters of a message in a list. */
const LONGEST_MESSAGE = 600;

/** A group in one line: `MESSAGE: 198 indexes, 4 of them critical, the first: a on t, b on u, c on v`. */
export function describeGroup(group: FailureGroup): string {
  const message = shortened(group.message, LONGEST_MESSAGE);
  const names = firstNames(group);
  if (group.indexes.length === 1) return `${names}${group.critical > 0 ? ' (critical)' : ''}: ${message}`;
  return `${message}: ${sizeOf(group)}, the first: ${names}`;
}

/** The space for a list of groups. */
interface Room {
  readonly lines: number;
  /** In UTF-8, with a line end for each line. @default unlimited */
  readonly bytes?: number;
}

/**
 * The lines of as many whole groups as there is room for. A last line counts the indexes of the other groups, so that the
 * counts of all lines add up.
 * @param linesOf the lines of one group @default describeGroup
 */
export function groupLines(
  groups: readonly FailureGroup[],
  room: Room,
  linesOf: (group: FailureGroup) => readonly string[] = (group) => [describeGroup(group)],
): string[] {
  const shown: string[] = [];
  for (const [at, group] of groups.entries()) {
    const lines = linesOf(group);
    const rest = groups.slice(at + 1);
    const end = rest.length === 0 ? [] : [describeRest(rest)];
    if (!fits([...shown, ...lines, ...end], room)) return [...shown, describeRest(groups.slice(at))];
    shown.push(...lines);
  }
  return shown;
}

function fits(lines: readonly string[], { lines: most, bytes = Number.POSITIVE_INFINITY }: Room): boolean {
  return lines.length <= most && lines.reduce((sum, line) => sum + Buffer.byteLength(line) + 3, 0) <= bytes;
}

function describeRest(groups: readonly FailureGroup[]): string {
  const indexes = failedIn(groups.flatMap((group) => group.indexes));
  const critical = groups.reduce((sum, group) => sum + group.critical, 0);
  const suffix = critical === 0 ? '' : `, ${critical} of them critical`;
  return `and ${counted(groups.length, 'more cause')}: ${counted(indexes, 'index')}${suffix}`;
}

import { causeKey } from '../shared/failure-groups.ts';
import { type CompiledRegistry, entryId, indexId } from '../shared/registry.ts';
import type { IndexReport, IndexStatus } from '../shared/report-schema.ts';
import { shortened } from '../shared/text.ts';
import { oneLine } from '../shared/visible-text.ts';

/*
 * With a schema per tenant, an entry of the registry has thousands of indexes. The report has one element for the entry, which
 * counts its schemas, names the first failed ones and has a message for each cause. The ledger has a row for each index.
 */

/** Names of failed schemas in an element of the report. */
const MOST_SCHEMAS = 10;
/** Causes in an element of the report. */
const MOST_CAUSES = 5;
/** Characters of a message. */
const LONGEST_MESSAGE = 300;

/** The report of one index, and the entry that it belongs to. */
export interface EntryIndexReport extends IndexReport {
  /** Id of its entry, if that has `schemas`. Undefined: the index is the only one of its entry. */
  readonly perSchemaEntry?: string | undefined;
  /** Of its attempts, in milliseconds since 1970. Undefined: it has none. */
  readonly span?: { readonly first: number; readonly last: number } | undefined;
}

/** Combines the reports of an entry with `schemas` into one, at the place of its first index. The others stay as they are. */
export function reportsOfEntries(
  indexes: readonly EntryIndexReport[],
  registry: CompiledRegistry,
): IndexReport[] {
  const patterns = new Map(registry.map((entry) => [entryId(entry), entry.schemas ?? []]));
  const groups = Map.groupBy(indexes, (index) => index.perSchemaEntry ?? index);
  return [...groups].flatMap(([entry, members]) => {
    if (typeof entry === 'string') return combined(members, patterns.get(entry) ?? []);
    return members.map(withoutGroup);
  });
}

function withoutGroup({ perSchemaEntry: _entry, span: _span, ...report }: EntryIndexReport): IndexReport {
  return report;
}

/** The most important status of all schemas comes first. */
const RANKS: readonly IndexStatus[] = [
  ...([
    'failed',
    'missing',
    'building',
    'drifted',
    'repaired',
    'built',
    'equivalent',
    'present',
    'kept',
    'retired',
  ] as const),
];

function combined(members: readonly EntryIndexReport[], patterns: readonly string[]): IndexReport[] {
  const [first] = members;
  if (first === undefined) return [];
  const having = (...statuses: IndexStatus[]) => members.filter(({ status }) => statuses.includes(status));
  const failed = having('failed');
  const causes = causesOf(failed);
  const status = RANKS.find((rank) => having(rank).length > 0) ?? first.status;
  const sizes = members.flatMap(({ sizeBytes }) => sizeBytes ?? []);
  const terminated = new Set(members.flatMap((one) => one.terminated ?? []));
  const shown = having(status)[0] ?? first;
  return [
    {
      ...{
        name: first.name,
        schema: patterns.join(', '),
        table: first.table,
        critical: first.critical,
        status,
      },
      attempts: members.reduce((most, { attempts }) => Math.max(most, attempts), 0),
      durationMs: durationOf(members),
      sizeBytes: sizes.length === 0 ? null : sizes.reduce((sum, size) => sum + size, 0),
      error: causes[0] === undefined ? null : { sqlstate: causes[0].sqlstate, message: causes[0].message },
      // The other schemas can be built.
      detail:
        status === 'missing' && having(status).some(({ detail }) => detail === null) ? null : shown.detail,
      blockedBy: members.findLast(({ blockedBy }) => blockedBy !== null)?.blockedBy ?? null,
      terminated: terminated.size === 0 ? null : shortened([...terminated].join('; '), LONGEST_MESSAGE),
      partitions: null,
      ...(shown.restoreStatement && { restoreStatement: shown.restoreStatement }),
      constraint: first.constraint && {
        ...first.constraint,
        attached: members.every(({ constraint }) => constraint?.attached === true),
        indexValid: members.every(({ constraint }) => constraint?.indexValid === true),
      },
      schemas: {
        total: members.length,
        built: having('built', 'repaired').length,
        present: having('present', 'equivalent', 'drifted').length,
        failed: failed.length,
        remaining: having('building', 'missing').length,
        failedSchemas: failed.slice(0, MOST_SCHEMAS).map(({ schema }) => schema),
        causes,
      },
    },
  ];
}

function durationOf(members: readonly EntryIndexReport[]): number | null {
  const spans = members.flatMap(({ span }) => span ?? []);
  if (spans.length === 0) return null;
  const first = spans.reduce((least, span) => Math.min(least, span.first), Number.POSITIVE_INFINITY);
  return Math.max(0, Math.round(spans.reduce((most, span) => Math.max(most, span.last), 0) - first));
}

type Causes = NonNullable<IndexReport['schemas']>['causes'];

/** The causes of failures, the most frequent first. The last one that fits contains all others. */
function causesOf(failed: readonly IndexReport[]): Causes {
  // Most messages differ in names only, and to compare them thoroughly takes long.
  const alike = Map.groupBy(failed, (index) => {
    const message = (index.error?.message ?? '').replaceAll(indexId(index), '').replaceAll(index.schema, '');
    return JSON.stringify([index.error?.sqlstate, message]);
  });
  const groups = Map.groupBy([...alike.values()], ([index]) =>
    index === undefined
      ? ''
      : causeKey({
          sqlstate: index.error?.sqlstate ?? null,
          message: index.error?.message ?? '',
          names: [indexId(index), index.name, index.table, index.schema],
        }),
  );
  const sorted = [...groups.values()].map((some) => some.flat()).toSorted((a, b) => b.length - a.length);
  const shown = sorted.slice(0, MOST_CAUSES - 1);
  const others = sorted.slice(MOST_CAUSES - 1);
  return [...shown, others.flat()].flatMap((indexes) => {
    const [first] = indexes;
    if (first === undefined) return [];
    const { sqlstate = null, message = 'unknown' } = first.error ?? {};
    const text = shortened(oneLine(message), LONGEST_MESSAGE);
    return [
      {
        sqlstate,
        message: text,
        count: indexes.length,
        schemas: indexes.slice(0, 3).map((one) => one.schema),
      },
    ];
  });
}

import { readPartitionedSizes } from '../postgres/catalog.ts';
import type { Client } from '../postgres/client.ts';
import { describeObjects } from '../postgres/describe-missing.ts';
import type { Examined } from '../postgres/examined-index.ts';
import { indexKey } from '../postgres/identifiers.ts';
import { examine } from '../postgres/index-state.ts';
import { type Attempt, attemptsOf, currentTime } from '../postgres/ledger.ts';
import { isTableMissing, readMissingObjects } from '../postgres/missing-objects.ts';
import { resolveRegistry } from '../postgres/resolve-registry.ts';
import { type CompiledIndex, type CompiledRegistry, indexId } from '../shared/registry.ts';
import { countOf } from '../shared/report-names.ts';
import type { IndexReport, IndexStatus, Report } from '../shared/report-schema.ts';
import { requestedIndexes } from '../shared/requested-indexes.ts';
import { shortened } from '../shared/text.ts';
import type { EntryIndexReport } from './entry-reports.ts';

/** A sentence about one index. */
export interface IndexNote {
  readonly index: CompiledIndex;
  readonly text: string;
  /** Number of other schemas of the entry to which it applies. @default 0 */
  readonly otherSchemas?: number;
}

/** Of an entry with `schemas`, a sentence that is the same in many schemas is one note. */
function oneForEachEntry(notes: readonly IndexNote[]): IndexNote[] {
  const groups = Map.groupBy(notes, ({ index, text }) =>
    index.schemas === undefined ? index : JSON.stringify([index.entryId, text.replaceAll(index.schema, '')]),
  );
  return [...groups.values()].flatMap(([first, ...others]) =>
    first === undefined ? [] : [{ ...first, otherSchemas: others.length }],
  );
}

/** The report of each index, and a sentence for each drifted index and for each one that could not be compared. */
export async function readIndexReports(
  client: Client,
  deploy: string,
  registry: CompiledRegistry,
  names: readonly string[],
): Promise<{
  requested: readonly CompiledIndex[];
  indexes: EntryIndexReport[];
  drifted: IndexNote[];
  notCompared: IndexNote[];
}> {
  const { requested } = requestedIndexes(await resolveRegistry(client, registry), names);
  const attempts = await attemptsOf(client, deploy);
  const byIndex = Map.groupBy(attempts, indexKey);
  const all = await examine(client, requested);
  const sizes = await readPartitionedSizes(client, requested);
  const now = await currentTime(client);
  return {
    requested,
    indexes: all.map((examined) => {
      const key = indexKey(examined.index);
      const own = byIndex.get(key) ?? [];
      const report = reportOf(examined, { attempts: own, now, partitionedBytes: sizes.get(key) });
      return examined.index.schemas === undefined
        ? report
        : { ...report, perSchemaEntry: examined.index.entryId, span: spanOf(own, now) };
    }),
    drifted: oneForEachEntry(
      all.flatMap((examined) => {
        const { index, state } = examined;
        if (state === 'drifted') return { index, text: describeDrift(examined) };
        return state === 'kept'
          ? { index, text: describeKept(index, byIndex.get(indexKey(index))?.at(-1)?.message) }
          : [];
      }),
    ),
    notCompared: oneForEachEntry(
      all.flatMap((examined) => {
        const text = whyNotCompared(examined, byIndex.has(indexKey(examined.index)));
        return text === null ? [] : [{ index: examined.index, text }];
      }),
    ),
  };
}

/**
 * Why the definition of an index is unknown, so that only its name counts. Null: it is known, or the index does not exist.
 * @param isOwn this deploy has made an attempt to build it
 */
function whyNotCompared(
  { index, state, locked, notCompared, notBuildable }: Examined,
  isOwn: boolean,
): string | null {
  if (notBuildable !== null) return null;
  if (notCompared !== null) return notCompared;
  if (!locked || isOwn || state !== 'present') return null;
  return (
    `Index ${index.name} on ${index.table} is not compared with the registry, only its name, because another session has ` +
    'locked the table. Plan again when the lock is released.'
  );
}

function describeDrift({ index, detail, notSwappable }: Examined): string {
  const drift = `Drifted: ${index.name} on ${index.table} has the definition ${detail}, which differs from the registry.`;
  if (notSwappable !== null)
    return `${drift} It ${notSwappable.reason}, so it is not replaced: ${notSwappable.fix}.`;
  if (index.onDrift === 'rebuild') return `${drift} The next deploy replaces it.`;
  return `${drift} Correct the registry, or set onDrift: "rebuild" to replace the index.`;
}

function describeKept({ name, table }: CompiledIndex, reason: string | null | undefined): string {
  return `Kept: ${name} on ${table} is retired. ${reason ?? 'A deploy drops it when it is no longer scanned.'}`;
}

function spanOf(attempts: readonly Attempt[], now: Date): EntryIndexReport['span'] {
  const [first] = attempts;
  if (first === undefined) return undefined;
  const ends = attempts.map(({ finished }) => (finished ?? now).getTime());
  return { first: first.started.getTime(), last: Math.max(...ends) };
}

/** What the ledger and the catalog contain about one index. */
interface Records {
  readonly attempts: readonly Attempt[];
  /** The time of the database. */
  readonly now: Date;
  /** Undefined: the table is not partitioned. */
  readonly partitionedBytes: number | undefined;
}

/** The status comes from the catalog for an index that needs no work, and from the ledger for the others. */
function reportOf(examined: Examined, { attempts, now, partitionedBytes }: Records): IndexReport {
  const { index, entry, state } = examined;
  // An item is the index, or one of its partitions.
  const byItem = Map.groupBy(attempts, (one) => one.item);
  const last = [...byItem.values()].flatMap((some) => some.slice(-1));
  const status = statusOf(examined, last);
  const failed = last.find((one) => one.status === 'failed') ?? notBuilt(examined);
  const terminated = attempts.flatMap((one) => one.terminated ?? []);
  return {
    name: index.name,
    schema: index.schema,
    table: index.table,
    critical: index.critical,
    status,
    attempts: Math.max(
      0,
      ...[...byItem.values()].map((some) => some.filter((one) => one.attempt > 0).length),
    ),
    durationMs: durationOf(attempts, status, now),
    sizeBytes: entry?.valid ? (partitionedBytes ?? entry.bytes) : null,
    error:
      status === 'failed' && failed
        ? { sqlstate: failed.sqlstate, message: failed.message ?? 'unknown' }
        : null,
    detail: state === 'kept' ? (last[0]?.message ?? null) : examined.detail,
    ...(state === 'retired' && last[0] && { restoreStatement: last[0].message }),
    blockedBy: attempts.findLast((one) => one.blockedBy !== null)?.blockedBy ?? null,
    terminated: terminated.length === 0 ? null : terminated.join('; '),
    constraint:
      index.constraint && examined.constraint
        ? { name: index.constraint.name, type: index.constraint.type, ...examined.constraint }
        : null,
    partitions: partitionsOf(last.filter((one) => one.item !== indexId(index))),
  };
}

/** The failure of an index that the plan refuses. Undefined: it can be built. */
function notBuilt({ notBuildable }: Examined): Pick<Attempt, 'sqlstate' | 'message'> | undefined {
  return notBuildable ?? undefined;
}

/**
 * The reports of a plan. An index that cannot be built has not failed: it is missing, and `detail` has the reason.
 * @param mayAppear migrations may create what is missing
 */
export async function asPlanned(
  client: Client,
  { requested, indexes }: { requested: readonly CompiledIndex[]; indexes: readonly EntryIndexReport[] },
  mayAppear: boolean,
): Promise<EntryIndexReport[]> {
  const incomplete = await readMissingObjects(client, requested);
  const byKey = new Map(incomplete.map((one) => [indexKey(one.index), one]));
  return indexes.map((report): EntryIndexReport => {
    const one = byKey.get(indexKey(report));
    if (one !== undefined && isTableMissing(one))
      return { ...report, status: 'table-missing', detail: describeObjects([one]), error: null };
    if (one !== undefined && !mayAppear && report.status === 'missing')
      return { ...report, detail: describeObjects([one]) };
    return report.status === 'failed'
      ? { ...report, status: 'missing', detail: report.error?.message ?? null, error: null }
      : report;
  });
}

/** An attempt that is still recorded as building has built its index if the index is valid: its function ended earlier. */
function statusOf({ state, notBuildable }: Examined, last: readonly Attempt[]): IndexStatus {
  const has = (status: Attempt['status']) => last.some((one) => one.status === status);
  if (state === 'present') {
    if (has('repaired') || last.some((one) => one.status === 'building' && one.repairs)) return 'repaired';
    return has('built') || has('building') ? 'built' : 'present';
  }
  if (state === 'kept' || state === 'retired') return state;
  if (has('failed') || notBuildable !== null) return 'failed';
  if (state === 'equivalent' || state === 'drifted') return state;
  return has('building') ? 'building' : 'missing';
}

const CREATED: readonly IndexStatus[] = ['built', 'repaired'];
const ENDED: readonly IndexStatus[] = [...CREATED, 'failed'];

/**
 * From the start of the first attempt to the end of the last, in milliseconds. A function that was killed has recorded no end
 * of its attempt: for an index whose build has ended, it ended at `now` at the latest.
 * @returns null when no attempt was made or one still runs
 */
function durationOf(attempts: readonly Attempt[], status: IndexStatus, now: Date): number | null {
  const ended = ENDED.includes(status);
  if (attempts.length === 0) return ended ? 0 : null;
  const finished = attempts.flatMap((one) => one.finished?.getTime() ?? []);
  if (finished.length < attempts.length && !ended) return null;
  const end = finished.length === 0 ? now.getTime() : Math.max(...finished);
  return Math.max(0, Math.round(end - Math.min(...attempts.map((one) => one.started.getTime()))));
}

/** @param last the last attempt on each partition */
function partitionsOf(last: readonly Attempt[]): IndexReport['partitions'] {
  if (last.length === 0) return null;
  const count = (...statuses: Attempt['status'][]) =>
    last.filter((one) => statuses.includes(one.status)).length;
  return { built: count('built', 'repaired'), failed: count('failed') };
}

const REMAINING: readonly IndexStatus[] = ['building', 'missing', 'table-missing'];
const SKIPPED: readonly IndexStatus[] = ['present', 'equivalent', 'drifted'];

/** The totals of the summary: numbers of indexes, in all schemas. */
export function totalsOf(indexes: readonly IndexReport[]): Report['totals'] {
  const count = (statuses: readonly IndexStatus[], which: 'built' | 'present' | 'failed' | 'remaining') =>
    indexes
      .filter(({ schemas, status }) => schemas !== undefined || statuses.includes(status))
      .reduce((sum, index) => sum + countOf(index, which), 0);
  return {
    created: count(CREATED, 'built'),
    skipped: count(SKIPPED, 'present'),
    failed: count(['failed'], 'failed'),
    remaining: count(REMAINING, 'remaining'),
  };
}

/** Characters of a message or of a definition in a report that does not fit. */
const LONGEST_TEXT = 300;

/**
 * Shortens the list so that it fits into a payload: first the texts, then the number of entries. Failures are kept longest,
 * then builds, then indexes without work.
 * @param mostBytes of the list as JSON
 */
export function shortenedToFit(
  indexes: readonly IndexReport[],
  mostBytes: number,
): { indexes: IndexReport[]; omitted: number } {
  const size = (index: IndexReport) => Buffer.byteLength(JSON.stringify(index)) + 1;
  if (indexes.reduce((sum, index) => sum + size(index), 0) <= mostBytes)
    return { indexes: [...indexes], omitted: 0 };
  const kept: IndexReport[] = [];
  let bytes = 0;
  for (const index of indexes.map(withShortTexts).toSorted((a, b) => rankOf(a) - rankOf(b))) {
    bytes += size(index);
    if (bytes > mostBytes) break;
    kept.push(index);
  }
  return { indexes: kept, omitted: indexes.length - kept.length };
}

const ORDER: readonly IndexStatus[] = [
  'failed',
  'table-missing',
  'missing',
  'building',
  'drifted',
  'repaired',
  'built',
];

/** Position in a list that is cut at its end. */
function rankOf({ status, critical }: IndexReport): number {
  const rank = ORDER.includes(status) ? ORDER.indexOf(status) : ORDER.length;
  return status === 'failed' && critical ? -1 : rank;
}

function withShortTexts(index: IndexReport): IndexReport {
  const short = (text: string | null) => (text === null ? null : shortened(text, LONGEST_TEXT));
  const { error, detail, blockedBy, terminated } = index;
  return {
    ...index,
    error: error && { ...error, message: shortened(error.message, LONGEST_TEXT) },
    detail: short(detail),
    blockedBy: short(blockedBy),
    terminated: short(terminated),
  };
}

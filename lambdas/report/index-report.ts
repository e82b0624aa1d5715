import type { Client } from '../postgres/client.ts';
import { indexKey } from '../postgres/identifiers.ts';
import { type Examined, examine } from '../postgres/index-state.ts';
import { type Attempt, attemptsOf } from '../postgres/ledger.ts';
import { type CompiledRegistry, indexId } from '../shared/registry.ts';
import type { IndexReport, IndexStatus, Report } from '../shared/report-schema.ts';

/** The report of each index, the sessions that the deploy terminated, and a sentence for each drifted index. */
export async function readIndexReports(
  client: Client,
  deploy: string,
  registry: CompiledRegistry,
  requested: readonly string[],
): Promise<{ indexes: IndexReport[]; terminated: string[]; drifted: string[] }> {
  const indexes =
    requested.length === 0 ? registry : registry.filter((index) => requested.includes(indexId(index)));
  const attempts = await attemptsOf(client, deploy);
  const byIndex = Map.groupBy(attempts, indexKey);
  const all = await examine(client, indexes);
  return {
    indexes: all.map((examined) => reportOf(examined, byIndex.get(indexKey(examined.index)) ?? [])),
    terminated: attempts.flatMap((one) =>
      one.terminated === null ? [] : [`${one.terminated} (for ${one.item})`],
    ),
    drifted: all.filter((examined) => examined.state === 'drifted').map(describeDrift),
  };
}

function describeDrift({ index, detail, notSwappable }: Examined): string {
  const drift = `Drifted: ${index.name} on ${index.table} has the definition ${detail}, which differs from the registry.`;
  if (notSwappable !== null)
    return `${drift} It ${notSwappable.reason}, so it is not replaced: ${notSwappable.fix}.`;
  if (index.onDrift === 'rebuild') return `${drift} The next deploy replaces it.`;
  return `${drift} Correct the registry, or set onDrift: "rebuild" to replace the index.`;
}

/** The status comes from the catalog for an index that needs no work, and from the ledger for the others. */
function reportOf(examined: Examined, attempts: readonly Attempt[]): IndexReport {
  const { index, entry } = examined;
  // The last attempt at each item: one for the index, or one for each partition.
  const last = [...new Map(attempts.map((one) => [one.item, one])).values()];
  const status = statusOf(examined, last);
  const failed = last.find((one) => one.status === 'failed') ?? notBuilt(examined);
  return {
    name: index.name,
    schema: index.schema,
    table: index.table,
    critical: index.critical,
    status,
    attempts: attempts.length,
    durationMs: durationOf(attempts),
    sizeBytes: entry?.valid ? entry.bytes || sum(last.map((one) => one.bytes ?? 0)) : null,
    error:
      status === 'failed' && failed
        ? { sqlstate: failed.sqlstate, message: failed.message ?? 'unknown' }
        : null,
    detail: examined.detail,
    blockedBy: attempts.findLast((one) => one.blockedBy !== null)?.blockedBy ?? null,
  };
}

/** The failure of an index that the plan refuses. Undefined: it can be built. */
function notBuilt({ notBuildable }: Examined): Pick<Attempt, 'sqlstate' | 'message'> | undefined {
  return notBuildable ?? undefined;
}

/**
 * The report of an index in a plan. An index that cannot be built has not failed: it is missing, and `detail` has the reason.
 */
export function asPlanned(report: IndexReport): IndexReport {
  return report.status === 'failed'
    ? { ...report, status: 'missing', detail: report.error?.message ?? null, error: null }
    : report;
}

function statusOf({ state, notBuildable }: Examined, last: readonly Attempt[]): IndexStatus {
  const has = (status: Attempt['status']) => last.some((one) => one.status === status);
  if (state === 'present') return has('repaired') ? 'repaired' : has('built') ? 'built' : 'present';
  if (has('failed') || notBuildable !== null) return 'failed';
  if (state === 'equivalent' || state === 'drifted') return state;
  return has('building') ? 'building' : 'missing';
}

/** From the start of the first attempt to the end of the last, in milliseconds. Null: no attempt, or one still runs. */
function durationOf(attempts: readonly Attempt[]): number | null {
  if (attempts.length === 0 || attempts.some((one) => one.finished === null)) return null;
  const starts = attempts.map((one) => one.started.getTime());
  const ends = attempts.map((one) => one.finished?.getTime() ?? 0);
  return Math.round(Math.max(...ends) - Math.min(...starts));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

const CREATED: readonly IndexStatus[] = ['built', 'repaired'];
const SKIPPED: readonly IndexStatus[] = ['present', 'equivalent', 'drifted'];

/** The totals of the summary. */
export function totalsOf(indexes: readonly IndexReport[]): Report['totals'] {
  const count = (statuses: readonly IndexStatus[]) =>
    indexes.filter((index) => statuses.includes(index.status)).length;
  return {
    created: count(CREATED),
    skipped: count(SKIPPED),
    failed: count(['failed']),
    remaining: count(['building', 'missing']),
  };
}

/** Step Functions accepts 256 KiB. The rest of the report, the alert and the state need less than the difference. */
const MAX_BYTES = 120 * 1024;

/** Shortens the list so that the report fits into a payload: failures first, then builds, then indexes without work. */
export function shortenedToFit(indexes: readonly IndexReport[]): { indexes: IndexReport[]; omitted: number } {
  const size = (index: IndexReport) => Buffer.byteLength(JSON.stringify(index)) + 1;
  if (indexes.reduce((sum, index) => sum + size(index), 0) <= MAX_BYTES)
    return { indexes: [...indexes], omitted: 0 };
  const order: readonly IndexStatus[] = ['failed', 'missing', 'building', 'drifted', 'repaired', 'built'];
  const rank = (index: IndexReport) =>
    order.includes(index.status) ? order.indexOf(index.status) : order.length;
  const kept: IndexReport[] = [];
  let bytes = 0;
  for (const index of indexes.toSorted((a, b) => rank(a) - rank(b))) {
    bytes += size(index);
    if (bytes > MAX_BYTES) break;
    kept.push(index);
  }
  return { indexes: kept, omitted: indexes.length - kept.length };
}

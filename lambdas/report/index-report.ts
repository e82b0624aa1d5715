import { type CatalogEntry, indexKey, readCatalog } from '../postgres/catalog.ts';
import type { Client } from '../postgres/client.ts';
import { type Attempt, attemptsOf } from '../postgres/ledger.ts';
import { type CompiledIndex, type CompiledRegistry, indexId } from '../shared/registry.ts';
import type { IndexReport, IndexStatus, Report } from '../shared/report.ts';

/** What became of each index of a deploy: the catalog's word where it is valid, the ledger's where it is not. */
export async function readIndexReports(
  client: Client,
  deploy: string,
  registry: CompiledRegistry,
  asked: readonly string[],
): Promise<IndexReport[]> {
  const indexes = asked.length === 0 ? registry : registry.filter((index) => asked.includes(indexId(index)));
  const catalog = new Map((await readCatalog(client, indexes)).map((entry) => [indexKey(entry), entry]));
  const attempts = Map.groupBy(await attemptsOf(client, deploy), indexKey);
  return indexes.map((index) =>
    reportOf(index, catalog.get(indexKey(index)), attempts.get(indexKey(index)) ?? []),
  );
}

function reportOf(
  index: CompiledIndex,
  entry: CatalogEntry | undefined,
  attempts: readonly Attempt[],
): IndexReport {
  const last = attempts.at(-1);
  const status = statusOf(entry, last);
  return {
    name: index.name,
    schema: index.schema,
    table: index.table,
    critical: index.critical,
    status,
    attempts: attempts.length,
    durationMs: durationOf(attempts),
    sizeBytes: entry?.valid ? entry.bytes : null,
    error:
      status === 'failed' && last !== undefined
        ? { sqlstate: last.sqlstate, message: last.message ?? 'unknown' }
        : null,
  };
}

function statusOf(entry: CatalogEntry | undefined, last: Attempt | undefined): IndexStatus {
  if (last !== undefined && last.status !== 'retrying' && last.status !== 'building') return last.status;
  if (entry?.valid) {
    if (last === undefined) return 'present';
    return last.repairs ? 'repaired' : 'built';
  }
  return last?.status === 'building' ? 'building' : 'missing';
}

/** From the first attempt's start to the last one's end. Null: it was not touched, or it is not at its end. */
function durationOf(attempts: readonly Attempt[]): number | null {
  const first = attempts[0];
  const finished = attempts.at(-1)?.finished;
  return first === undefined || finished == null
    ? null
    : Math.round(finished.getTime() - first.started.getTime());
}

const CREATED: readonly IndexStatus[] = ['built', 'repaired'];
const SKIPPED: readonly IndexStatus[] = ['present', 'equivalent', 'drifted'];

/** The totals of the summary: created, already there, failed, and what is not there yet. */
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

/** Step Functions carries 256 KiB; the rest of the report, the alert and the state stay well below the difference. */
const MOST_BYTES = 120 * 1024;

/** Keeps the report under the size of a payload: what went wrong first, then what was done, then the uneventful. */
export function fitting(indexes: readonly IndexReport[]): { indexes: IndexReport[]; omitted: number } {
  const size = (index: IndexReport) => Buffer.byteLength(JSON.stringify(index)) + 1;
  if (indexes.reduce((sum, index) => sum + size(index), 0) <= MOST_BYTES)
    return { indexes: [...indexes], omitted: 0 };
  const interest: readonly IndexStatus[] = ['failed', 'missing', 'building', 'drifted', 'repaired', 'built'];
  const rank = (index: IndexReport) =>
    interest.includes(index.status) ? interest.indexOf(index.status) : interest.length;
  const kept: IndexReport[] = [];
  let bytes = 0;
  for (const index of indexes.toSorted((a, b) => rank(a) - rank(b))) {
    bytes += size(index);
    if (bytes > MOST_BYTES) break;
    kept.push(index);
  }
  return { indexes: kept, omitted: indexes.length - kept.length };
}

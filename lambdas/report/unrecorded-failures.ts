import { findItem } from '../shared/build-item.ts';
import type { ReportState } from '../shared/payloads.ts';
import { type CompiledRegistry, indexId } from '../shared/registry.ts';
import type { IndexStatus } from '../shared/report-schema.ts';
import type { UnrecordedFailure } from '../shared/unrecorded-failure.ts';
import type { EntryIndexReport } from './entry-reports.ts';

/** States in the catalog that show that an index did not fail after all. */
const VALID: readonly IndexStatus[] = ['present', 'equivalent', 'built', 'repaired'];

/** The failures that the ledger did not accept, from the outputs of all builds of a deploy. */
export function unrecordedFailures({ window, builds }: ReportState): UnrecordedFailure[] {
  return [...(window?.output.unrecordedFailures ?? []), ...(builds?.output.unrecordedFailures ?? [])];
}

/**
 * Adds the failures that are in the state and not in the ledger.
 * @param reports from the catalog and the ledger. An index that could not be read is missing
 */
export function withUnrecordedFailures(
  reports: readonly EntryIndexReport[],
  failures: readonly UnrecordedFailure[],
  registry: CompiledRegistry,
): EntryIndexReport[] {
  const byId = new Map(reports.map((report) => [indexId(report), report]));
  for (const { index: item, sqlstate, message } of failures) {
    const index = findItem(registry, item)?.index;
    if (index === undefined) continue;
    const { name, schema, table, critical } = index;
    const unread = { attempts: 0, sizeBytes: null, detail: null };
    const noSessions = { blockedBy: null, terminated: null, partitions: null, constraint: null };
    const report = byId.get(indexId(index));
    if (report !== undefined && [...VALID, 'failed'].includes(report.status)) continue;
    byId.set(indexId(index), {
      ...{ name, schema, table, critical, ...unread, ...noSessions, ...report },
      perSchemaEntry: index.schemas === undefined ? undefined : index.entryId,
      // The ledger has no end of the last attempt.
      durationMs: report?.durationMs ?? 0,
      status: 'failed',
      error: { sqlstate, message },
    });
  }
  return [...byId.values()];
}

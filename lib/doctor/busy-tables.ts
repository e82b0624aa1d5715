import { humanSize } from '../../lambdas/shared/human-units.ts';
import { tableId } from '../../lambdas/shared/registry.ts';
import { type Finding, finding } from './finding.ts';
import type { LiveDatabase } from './live-database.ts';
import type { DoctorLimits } from './options.ts';

/** Reads of all rows from which on the cause is a query, and not builds and reports. */
const MANY = 1000;

/** Finds large tables that queries read whole again and again. Builds of indexes count as such reads too, so a few are no finding. */
export function busyTables(
  { tables, statistics }: LiveDatabase,
  { leastRows, leastScans }: Pick<DoctorLimits, 'leastRows' | 'leastScans'>,
): Finding[] {
  return tables.flatMap((table): Finding[] => {
    const { sequentialScans, sequentialRows, indexScans } = table;
    const rows = table.rows ?? 0;
    if (table.kind === 'partitioned table' || rows < leastRows || sequentialScans < leastScans) return [];
    const reads = sequentialRows / rows;
    if (reads < leastScans) return [];
    return [
      finding({
        kind: 'sequential-scans',
        ...{ schema: table.schema, table: table.table },
        evidence:
          `${sequentialScans} sequential scans have read ${Math.round(sequentialRows)} rows since ` +
          `${statistics.since.toISOString().slice(0, 10)}: about ${Math.round(reads)} times all of its ${Math.round(rows)} rows ` +
          `(${humanSize(table.bytes)}). Indexes were scanned ${indexScans} times.`,
        fix: `Find the queries that filter ${tableId(table)} without an index: explain --queries DIR, or pg_stat_statements.`,
        confidence: reads >= MANY || sequentialScans > indexScans ? 'high' : 'medium',
        weight: sequentialRows,
      }),
    ];
  });
}

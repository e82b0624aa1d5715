import { estimateRebuiltBytes } from '../../lambdas/postgres/index-bloat.ts';
import { humanSize } from '../../lambdas/shared/human-units.ts';
import { type Finding, finding } from './finding.ts';
import type { LiveDatabase } from './live-database.ts';
import { reindexStatement } from './missing-indexes.ts';
import type { DoctorLimits } from './options.ts';

/** Free space from which on an estimate is beyond doubt. */
const LARGE_BYTES = 100 * 1024 * 1024;

/**
 * Finds B-trees of which a REINDEX would free a large part: as pgstattuple has measured it, otherwise by an estimate from the number of
 * rows and the width of the columns. The estimate is too low for columns of which the widths differ much, never exact.
 */
export function bloatedIndexes(
  live: LiveDatabase,
  { bloatPercent, bloatBytes }: Pick<DoctorLimits, 'bloatPercent' | 'bloatBytes'>,
): Finding[] {
  const byOid = new Map(live.indexes.map((index) => [index.oid, index]));
  return live.sizes.flatMap((size): Finding[] => {
    const index = byOid.get(size.oid);
    const measured = live.measured.get(size.oid);
    const bytes = measured?.bytes ?? size.pages * size.pageBytes;
    const rebuilt = measured === undefined ? estimateRebuiltBytes(size) : bytes - measured.freeBytes;
    if (index === undefined || rebuilt === null) return [];
    const free = bytes - rebuilt;
    const percent = Math.floor((100 * free) / bytes);
    if (free < bloatBytes || percent < bloatPercent) return [];
    const how = measured === undefined ? 'By estimate' : 'By measurement (pgstatindex)';
    return [
      finding({
        kind: 'bloated',
        ...{ schema: index.schema, table: index.table, index: index.name },
        columns: live.texts.get(index.oid)?.keys ?? index.keys.flatMap((key) => key ?? []),
        evidence: `${how}, ${percent} % of its ${humanSize(bytes)} is free space. Rebuilt it would have about ${humanSize(rebuilt)}.`,
        fix: reindexStatement(index),
        confidence: measured !== undefined || free >= LARGE_BYTES ? 'high' : 'medium',
        weight: free,
      }),
    ];
  });
}

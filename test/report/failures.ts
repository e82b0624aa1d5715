import type { IndexReport, Report } from '../../lambdas/shared/report-schema.ts';

/** The report of a failed index. */
export const failedIndex = (name: string, more: Partial<IndexReport> = {}): IndexReport => ({
  ...{ name, schema: 'public', table: 'deals', critical: false, status: 'failed', attempts: 1 },
  ...{
    durationMs: 10,
    sizeBytes: null,
    detail: null,
    blockedBy: null,
    partitions: null,
    terminated: null,
    constraint: null,
  },
  error: {
    sqlstate: '42P01',
    message: `Index ${name}: relation "public.deals" does not exist (SQLSTATE 42P01)`,
  },
  ...more,
});

/** As PostgreSQL reports missing tables: one index on each. */
export const onMissingTables = (
  count: number,
  critical: (n: number) => boolean = () => false,
): IndexReport[] =>
  Array.from({ length: count }, (_, n) =>
    failedIndex(`idx_missing_${n}`, {
      table: `missing_${n}`,
      critical: critical(n),
      error: {
        sqlstate: '42P01',
        message: `Index idx_missing_${n}: relation "public.missing_${n}" does not exist (SQLSTATE 42P01)`,
      },
    }),
  );

/** Failures of several causes, in turn. A cause has a message of its own, with the index's name in it. */
export function ofCauses(count: number, causes: number, more: Partial<IndexReport> = {}): IndexReport[] {
  const letters = (n: number) =>
    [...n.toString(26)].map((digit) => String.fromCodePoint(97 + Number.parseInt(digit, 26))).join('');
  return Array.from({ length: count }, (_, n) =>
    failedIndex(`idx_${n}`, {
      error: {
        sqlstate: 'XX000',
        message: `Index idx_${n}: cause ${letters(n % causes)} of "idx_${n}" (SQLSTATE XX000)`,
      },
      ...more,
    }),
  );
}

/** A report with failed indexes, of a deploy that succeeded. */
export const reportOf = (indexes: IndexReport[], more: Partial<Report> = {}): Report => ({
  ...{ deploy: 'd-1', mode: 'deploy', status: 'succeeded', failure: null, warnings: [] },
  ...{ startedAt: '2026-01-01T00:00:00.000Z', finishedAt: '2026-01-01T00:00:12.500Z' },
  ...{ services: [], downtimeMs: 0, indexes, indexesOmitted: 0 },
  migrations: { runner: 'sql', outcome: 'not-run', applied: [], pending: [], failure: null },
  searchPath: null,
  totals: { created: 0, skipped: 0, failed: indexes.length, remaining: 0 },
  ...more,
});

import { bloatedIndexes } from './bloated-indexes.ts';
import { busyTables } from './busy-tables.ts';
import { CONFIDENCES, type Finding, KINDS, type Unknown } from './finding.ts';
import { invalidIndexes } from './invalid-indexes.ts';
import type { LiveDatabase } from './live-database.ts';
import { type AcceptsColumns, missingIndexes } from './missing-indexes.ts';
import type { DoctorLimits } from './options.ts';
import { overlappingIndexes } from './overlapping-indexes.ts';
import { registryDifferences } from './registry-differences.ts';
import { sessionFindings } from './session-findings.ts';
import { slowStatements } from './slow-statements.ts';
import { tenantColumnOf } from './tenant-column.ts';
import { unusedIndexes } from './unused-indexes.ts';

/** The result of `doctor`. */
export interface Diagnosis {
  readonly database: string;
  readonly version: string;
  /** Since when the server has counted scans. */
  readonly statisticsSince: string;
  /** Null: the database has no tenants. */
  readonly tenantColumn: string | null;
  readonly findings: readonly Finding[];
  /** What could not be examined. */
  readonly unknown: readonly Unknown[];
  /** Entries of the registry whose table does not exist yet. */
  readonly tablesMissing: readonly string[];
}

interface DiagnosisOptions {
  /** Null: the database has none. @default found by the names of columns */
  readonly tenantColumn?: string | null | undefined;
  /** @default no column is accepted without an index */
  readonly accepts?: AcceptsColumns;
  readonly limits: DoctorLimits;
}

/** Decides what is wrong in a database that was read. */
export function diagnose(
  live: LiveDatabase,
  { tenantColumn: given, accepts = () => false, limits }: DiagnosisOptions,
): Diagnosis {
  const tenantColumn = tenantColumnOf(live, given);
  const overlapping = overlappingIndexes(live);
  // One index gets one piece of advice: what another one replaces is neither unused, nor to be added to the registry.
  const replaced = new Set(overlapping.map(({ schema, index }) => JSON.stringify([schema, index])));
  const isOpen = ({ kind, schema, index }: Finding) =>
    kind === 'not-in-database' || !replaced.has(JSON.stringify([schema, index]));
  const unused = unusedIndexes(live, {
    windowDays: limits.windowDays,
    tenantColumn: tenantColumn?.name ?? null,
  });
  const findings = [
    ...invalidIndexes(live),
    ...registryDifferences(live).filter(isOpen),
    ...missingIndexes(live, { tenantColumn, accepts }),
    ...busyTables(live, limits),
    ...slowStatements(live),
    ...overlapping,
    ...unused.filter(isOpen),
    ...bloatedIndexes(live, limits),
    ...sessionFindings(live, limits),
  ];
  return {
    database: live.name,
    version: live.version,
    statisticsSince: live.statistics.since.toISOString(),
    tenantColumn: tenantColumn?.name ?? null,
    findings: findings.toSorted(byImportance),
    unknown: live.unknown,
    tablesMissing: live.registry?.withoutTable ?? [],
  };
}

function byImportance(one: Finding, other: Finding): number {
  return (
    KINDS.indexOf(one.kind) - KINDS.indexOf(other.kind) ||
    CONFIDENCES.indexOf(one.confidence) - CONFIDENCES.indexOf(other.confidence) ||
    other.weight - one.weight
  );
}

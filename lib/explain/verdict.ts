import type { PlanNode } from '../../lambdas/postgres/plan-query.ts';
import { askedKey, type TableFacts } from '../../lambdas/postgres/table-facts.ts';
import type { Verdict } from '../../lambdas/shared/query-verdicts.ts';
import { type Scan, scansOf } from './plan-scans.ts';

/** A table that a query reads. */
export interface ReadTable {
  readonly schema: string;
  readonly table: string;
  readonly rows: number;
  /** False: the table was never analyzed, and the number follows from its size. */
  readonly counted: boolean;
  /** `seq`: the whole table is read. */
  readonly scan: 'seq' | 'index';
  /** The conditions on it, with the parameters of the query and without their values. Null: there are none. */
  readonly filter: string | null;
}

/** The verdict on one plan. */
export interface PlanVerdict {
  readonly verdict: Verdict;
  readonly index: string | null;
  readonly cost: number;
  readonly tables: readonly ReadTable[];
  /** All indexes of the plan. */
  readonly indexes: readonly string[];
}

export interface VerdictContext {
  readonly facts: ReadonlyMap<string, TableFacts>;
  /** Indexes of partitions with that of their table. */
  readonly rootIndexes: ReadonlyMap<string, string>;
  /** Names of the indexes that serve the query. */
  readonly serving: readonly string[];
  /** A scan of a table with fewer rows is too small to judge. Null: DEFAULT_MIN_ROWS, and only where no serving index is used. */
  readonly minRows: number | null;
  /** The plan for any values, whose conditions contain no values. Null: it is unknown. */
  readonly generic: PlanNode | null;
}

/** A scan of a table with fewer rows is too small to judge, if nothing else is asked for. */
export const DEFAULT_MIN_ROWS = 1000;

/** Judges a plan. The verdict is never `not-provable`: see `asGeneric`. */
export function judge(plan: PlanNode, context: VerdictContext): PlanVerdict {
  const { facts, rootIndexes, serving, minRows, generic } = context;
  const scans = scansOf(plan).filter((scan) => facts.has(askedKey(scan.schema, scan.table)));
  const indexes = unique(
    scans.flatMap((scan) =>
      scan.indexes.flatMap((name) =>
        name === 'ctid' ? [] : [rootIndexes.get(askedKey(scan.schema, name)) ?? name],
      ),
    ),
  );
  const filters = filtersOf(generic, facts);
  const tables = readTables(scans, facts, filters);
  const large = tables.filter(({ scan, rows }) => scan === 'seq' && rows >= (minRows ?? DEFAULT_MIN_ROWS));
  const served = indexes.find((name) => serving.includes(name));
  const base = { cost: plan['Total Cost'], tables, indexes };
  // Without a limit of its own, a join with all rows of another table is no reason against the index.
  const isAccepted = minRows === null && served !== undefined;
  if (large.length > 0 && !isAccepted)
    return { ...base, verdict: 'seq-scan', index: served ?? indexes[0] ?? null };
  if (served !== undefined) return { ...base, verdict: 'index', index: served };
  const [used] = indexes;
  const isRead = scans.some((scan) => scan.indexes.length > 0);
  if (!isRead) return { ...base, verdict: 'too-small', index: null };
  return { ...base, verdict: serving.length === 0 ? 'index' : 'other-index', index: used ?? null };
}

function unique<T>(items: readonly T[]): T[] {
  return [...new Set(items)];
}

/** One row for each table, the scans of the whole table first. */
function readTables(
  scans: readonly Scan[],
  facts: ReadonlyMap<string, TableFacts>,
  filters: ReadonlyMap<string, string>,
): ReadTable[] {
  const tables = new Map<string, ReadTable>();
  const seqFirst = scans.toSorted(
    (one, two) => Math.min(1, one.indexes.length) - Math.min(1, two.indexes.length),
  );
  for (const { schema, table, alias, indexes } of seqFirst) {
    const known = facts.get(askedKey(schema, table));
    if (known === undefined) continue;
    const scan = indexes.length === 0 ? 'seq' : 'index';
    const key = JSON.stringify([known.oid, known.partitioned ? null : alias]);
    if (tables.has(key)) continue;
    tables.set(key, {
      ...{
        schema: known.schema,
        table: known.table,
        rows: Math.round(known.rows),
        counted: known.counted,
        scan,
      },
      filter:
        filters.get(askedKey(String(known.oid), alias)) ??
        filters.get(askedKey(String(known.oid), '')) ??
        null,
    });
  }
  return [...tables.values()];
}

/** The conditions of each table of the generic plan, by table and alias. */
function filtersOf(generic: PlanNode | null, facts: ReadonlyMap<string, TableFacts>): Map<string, string> {
  const filters = new Map<string, string>();
  for (const { schema, table, alias, conditions } of generic === null ? [] : scansOf(generic)) {
    const known = facts.get(askedKey(schema, table));
    if (known === undefined || conditions.length === 0) continue;
    const text = conditions.join(' AND ');
    filters.set(askedKey(String(known.oid), alias), text);
    if (!filters.has(askedKey(String(known.oid), ''))) filters.set(askedKey(String(known.oid), ''), text);
  }
  return filters;
}

/**
 * The verdict on a generic plan. A scan of a table for which an index exists that only some values allow is not provable: a
 * generic plan cannot use a partial index whose predicate is compared with a parameter, nor any index for LIKE $1.
 */
export function asGeneric(verdict: PlanVerdict, dependsOnValues: (table: ReadTable) => boolean): PlanVerdict {
  if (verdict.verdict !== 'seq-scan') return verdict;
  const scanned = verdict.tables.filter(({ scan }) => scan === 'seq');
  return scanned.some(dependsOnValues) ? { ...verdict, verdict: 'not-provable' } : verdict;
}

/** The worst verdict comes first. */
const SEVERITY: readonly Verdict[] = [
  'error',
  'seq-scan',
  'not-provable',
  'other-index',
  'too-small',
  'index',
];

export function worst<T extends { readonly verdict: Verdict }>(items: readonly T[]): T | undefined {
  return items.toSorted((one, two) => SEVERITY.indexOf(one.verdict) - SEVERITY.indexOf(two.verdict))[0];
}

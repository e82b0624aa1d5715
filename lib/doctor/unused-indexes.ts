import { indexKey, tableKey } from '../../lambdas/postgres/identifiers.ts';
import { OWN_PREFIX } from '../../lambdas/postgres/index-names.ts';
import type { LiveIndex } from '../../lambdas/postgres/live-indexes.ts';
import type { StatisticsAge } from '../../lambdas/postgres/statistics-age.ts';
import { humanSize } from '../../lambdas/shared/human-units.ts';
import { counted } from '../../lambdas/shared/text.ts';
import { CoveredColumns } from './covered-columns.ts';
import { dropStatement, registryNote, restoreStatement } from './drop-index.ts';
import { type Finding, finding } from './finding.ts';
import { IndexTotals } from './index-totals.ts';
import type { LiveDatabase } from './live-database.ts';
import { RegisteredState } from './registry-state.ts';

/** Rows of a table that PostgreSQL reads whole instead of using an index. */
const SMALL = 1000;
const DAY_MS = 24 * 60 * 60 * 1000;

interface UnusedOptions {
  readonly windowDays: number;
  /** Null: the database has no tenants. */
  readonly tenantColumn: string | null;
}

/**
 * Finds indexes that no query has used. Only an index is reported that nothing else needs: no constraint, no uniqueness, no foreign
 * key, no replica identity, no query in `serves`. The confidence is `unknown` as long as anything says that the statistics do not
 * suffice.
 */
export function unusedIndexes(live: LiveDatabase, { windowDays, tenantColumn }: UnusedOptions): Finding[] {
  const registered = new RegisteredState(live.registry);
  const totals = new IndexTotals(live);
  const neededBy = new NeededIndexes(live, tenantColumn);
  const rows = new Map(live.tables.map((table) => [tableKey(table), table.rows]));
  const now = live.statistics.now.getTime();
  const windowStart = new Date(now - windowDays * DAY_MS);
  return live.indexes.flatMap((index): Finding[] => {
    if (isNeeded(index) || neededBy.foreignKey(index)) return [];
    const entry = registered.entryOf(index);
    if (entry !== undefined && entry.index.retired === undefined && entry.index.serves.length > 0) return [];
    const scans = totals.scansOf(index);
    const lastScan = totals.lastScanOf(index);
    const isOld = windowDays > 0 && lastScan !== null && lastScan < windowStart;
    const unchangedSince = totals.replicaScansOf(index) === 0 ? totals.unchangedSince(index) : null;
    const isUnchanged = windowDays > 0 && unchangedSince !== null && unchangedSince <= windowStart;
    if (scans !== 0 && !isOld && !isUnchanged) return [];
    const doubts = [
      ...serverDoubts(live, windowStart, windowDays),
      ...(isOld || isUnchanged || windowDays === 0 ? [] : ageDoubts(live, { index, totals, windowStart })),
      ...((rows.get(tableKey(index)) ?? SMALL) < SMALL
        ? ['its table is so small that PostgreSQL reads it whole']
        : []),
      ...(neededBy.tenants(index) ? [`no other index of its table starts with ${tenantColumn}`] : []),
    ];
    const bytes = totals.bytesOf(index);
    // The planner uses the statistics of an expression index also where it does not scan the index.
    const hasOtherUse = index.clustered || index.keys.includes(null);
    return [
      finding({
        kind: 'unused',
        ...{ schema: index.schema, table: index.table, index: index.name },
        columns: live.texts.get(index.oid)?.keys ?? index.keys.flatMap((key) => key ?? []),
        evidence:
          `${lastUse(live, { scans, lastScan, unchangedSince })}${serversOf(live)}, and every write updates it.` +
          (bytes === 0 ? '' : ` It has ${humanSize(bytes)}.`) +
          (doubts.length === 0 ? '' : ` Not proven: ${doubts.join('; ')}.`) +
          (index.keys.includes(null) ? ' The planner also uses its statistics about the expression.' : '') +
          registryNote(registered, index),
        fix: dropStatement(index),
        restore: restoreStatement(live, index),
        confidence: doubts.length > 0 ? 'unknown' : hasOtherUse ? 'medium' : 'high',
        weight: bytes,
      }),
    ];
  });
}

/** Uses that no statistics count. */
function isNeeded(index: LiveIndex): boolean {
  return (
    index.attached ||
    !index.valid ||
    index.unique ||
    index.constraint !== null ||
    index.foreignKeys > 0 ||
    index.replicaIdentity ||
    index.name.startsWith(OWN_PREFIX)
  );
}

/** Indexes without which `doctor` would report that an index is missing. */
class NeededIndexes {
  readonly #only: ReadonlySet<number>;
  readonly #firstOfTenants: ReadonlySet<number>;

  constructor(live: LiveDatabase, tenantColumn: string | null) {
    const covered = new CoveredColumns(live, tenantColumn);
    this.#only = onlyOf(live.foreignKeys.map((key) => covered.covering(key)));
    const tenants =
      tenantColumn === null ? [] : live.tables.filter(({ columns }) => columns.includes(tenantColumn));
    this.#firstOfTenants = onlyOf(
      tenants.map((table) => covered.covering({ ...table, columns: [tenantColumn ?? ''] })),
    );
  }

  /** It is the only index for a foreign key: deletes of referenced rows are rare, and slow without it. */
  foreignKey({ oid }: LiveIndex): boolean {
    return this.#only.has(oid);
  }

  tenants({ oid }: LiveIndex): boolean {
    return this.#firstOfTenants.has(oid);
  }
}

function onlyOf(coverings: readonly (readonly LiveIndex[])[]): Set<number> {
  return new Set(
    coverings.flatMap((some) => (some.length === 1 && some[0] !== undefined ? [some[0].oid] : [])),
  );
}

/** Why the statistics of the servers do not suffice for any index. */
function serverDoubts(live: LiveDatabase, windowStart: Date, windowDays: number): string[] {
  const { statistics, replicas } = live;
  const young = ({ since }: StatisticsAge, whose: string) =>
    windowDays > 0 && since > windowStart
      ? [`the statistics ${whose} began on ${dayOf(since)}, less than ${counted(windowDays, 'day')} ago`]
      : [];
  const off = ({ counting }: StatisticsAge, whose: string) =>
    counting ? [] : [`track_counts is off ${whose}, so scans are not counted`];
  const missing = statistics.standbys === null ? 0 : statistics.standbys - replicas.length;
  return [
    ...young(statistics, 'of this server'),
    ...off(statistics, 'on this server'),
    ...replicas.flatMap(({ name, statistics: own }) => [
      ...young(own, `of ${name}`),
      ...off(own, `on ${name}`),
    ]),
    ...(statistics.standbys === null
      ? ['this role may not see which standbys the server has: GRANT pg_read_all_stats']
      : []),
    ...(missing > 0
      ? [`${counted(missing, 'standby')} of this server may use it: give each with --replica`]
      : []),
  ];
}

/** Until when an index was scanned. */
function lastUse(
  { statistics }: LiveDatabase,
  seen: { scans: number | null; lastScan: Date | null; unchangedSince: Date | null },
): string {
  if (seen.lastScan !== null) return `The last scan was on ${dayOf(seen.lastScan)}`;
  if (seen.scans !== 0 && seen.unchangedSince !== null)
    return `Its ${counted(seen.scans ?? 0, 'scan')} are from before ${dayOf(seen.unchangedSince)}, as deploys have recorded`;
  return `No query has scanned it since ${dayOf(statistics.since)}`;
}

interface AgedIndex {
  readonly index: LiveIndex;
  readonly totals: IndexTotals;
  readonly windowStart: Date;
}

/** Why an index may be younger than the window. */
function ageDoubts({ history }: LiveDatabase, { index, totals, windowStart }: AgedIndex): string[] {
  const built = history.built.get(indexKey(index));
  const seenAt = totals.firstSeenAt(index);
  if ([built, seenAt, index.existedAt].some((time) => time != null && time <= windowStart)) return [];
  if (built !== undefined) return [`it was built on ${dayOf(built)}`];
  if (seenAt !== null) return [`deploys have found it only since ${dayOf(seenAt)}`];
  const why = history.problem === null ? '' : ` (${history.problem})`;
  return [`nothing shows that it existed on ${dayOf(windowStart)}${why}`];
}

function serversOf({ replicas }: LiveDatabase): string {
  return replicas.length === 0 ? '' : ` on this server and ${counted(replicas.length, 'replica')}`;
}

function dayOf(time: Date): string {
  return time.toISOString().slice(0, 10);
}

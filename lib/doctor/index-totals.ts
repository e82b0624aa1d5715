import { indexKey } from '../../lambdas/postgres/identifiers.ts';
import type { LiveIndex } from '../../lambdas/postgres/live-indexes.ts';
import type { LiveDatabase } from './live-database.ts';

/** What an index of a partitioned table and those of its partitions have together, on all servers. */
export class IndexTotals {
  readonly #children: ReadonlyMap<number | null, readonly LiveIndex[]>;
  readonly #live: LiveDatabase;

  constructor(live: LiveDatabase) {
    this.#live = live;
    this.#children = Map.groupBy(live.indexes, ({ parent }) => parent);
  }

  /** The index, and those of the partitions that belong to it. */
  partsOf(index: LiveIndex): LiveIndex[] {
    const children = this.#children.get(index.oid) ?? [];
    return [index, ...children.flatMap((child) => this.partsOf(child))];
  }

  bytesOf(index: LiveIndex): number {
    return sum(this.partsOf(index).map((part) => (part.partitioned ? 0 : part.bytes)));
  }

  /** Scans on this server and on all replicas. Null: one of the servers has no statistics of a part. */
  scansOf(index: LiveIndex): number | null {
    const parts = this.partsOf(index).filter((part) => !part.partitioned);
    const counts = [
      ...parts.map(({ scans }) => scans),
      ...this.#live.replicas.flatMap((replica) =>
        parts.map((part) => replica.scans.get(indexKey(part))?.scans ?? null),
      ),
    ];
    return counts.some((count) => count === null) ? null : sum(counts.map((count) => count ?? 0));
  }

  /** The last scan of any part on any server. Null: there was none, or the servers do not record it. */
  lastScanOf(index: LiveIndex): Date | null {
    const parts = this.partsOf(index);
    const times = [
      ...parts.map(({ lastScan }) => lastScan),
      ...this.#live.replicas.flatMap((replica) =>
        parts.map((part) => replica.scans.get(indexKey(part))?.lastScan ?? null),
      ),
    ].flatMap((time) => time?.getTime() ?? []);
    return times.length === 0 ? null : new Date(Math.max(...times));
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}

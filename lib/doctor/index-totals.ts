import { indexKey } from '../../lambdas/postgres/identifiers.ts';
import type { LiveIndex } from '../../lambdas/postgres/live-indexes.ts';
import { type RecordedScans, unchangedSince } from '../../lambdas/postgres/recorded-scans.ts';
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
    const own = this.#filesOf(index).map(({ scans }) => scans);
    return sumOfKnown([...own, this.replicaScansOf(index)]);
  }

  /** Scans on all replicas. Null: one of them has no statistics of a part. */
  replicaScansOf(index: LiveIndex): number | null {
    const parts = this.#filesOf(index);
    return sumOfKnown(
      this.#live.replicas.flatMap(({ scans }) =>
        parts.map((part) => scans.get(indexKey(part))?.scans ?? null),
      ),
    );
  }

  /**
   * Since when deploys have found no further scan on this server. Null: they have not recorded the number that it has now, or its
   * statistics were reset since.
   */
  unchangedSince(index: LiveIndex): Date | null {
    const { since } = this.#live.statistics;
    return this.#latest(index, (part, recorded) => unchangedSince(recorded, part.scans, since));
  }

  /** Since when deploys have found it. Null: they have not found all of its parts. */
  firstSeenAt(index: LiveIndex): Date | null {
    return this.#latest(index, (_, { firstSeenAt }) => firstSeenAt);
  }

  /** The latest time of all parts. Null: one of them has none. */
  #latest(index: LiveIndex, timeOf: (part: LiveIndex, recorded: RecordedScans) => Date | null): Date | null {
    const times = this.#filesOf(index).map((part) => {
      const recorded = this.#live.history.scans.get(indexKey(part));
      return recorded?.oid === part.oid ? timeOf(part, recorded) : null;
    });
    if (times.length === 0 || times.includes(null)) return null;
    return new Date(Math.max(...times.map((time) => time?.getTime() ?? 0)));
  }

  /** The parts that have files, and therefore statistics. */
  #filesOf(index: LiveIndex): LiveIndex[] {
    return this.partsOf(index).filter((part) => !part.partitioned);
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

function sumOfKnown(counts: readonly (number | null)[]): number | null {
  return counts.includes(null) ? null : sum(counts.map((count) => count ?? 0));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}

import { findItem } from '../../../lambdas/shared/build-item.ts';
import type { Lane } from '../../../lambdas/shared/build-payloads.ts';
import { type CompiledRegistry, tableId } from '../../../lambdas/shared/registry.ts';
import type { IndexStatus } from '../../../lambdas/shared/report-schema.ts';
import { Batches } from './batch-progress.ts';

export interface IndexProgress {
  /** The id that executions use. */
  readonly id: string;
  readonly critical: boolean;
  readonly description: string;
  /** Position in the order of starts, from 1. Null: not started. */
  number: number | null;
  /** `settling`: the last attempt failed and its leftovers are being removed. `left`: it is built after the start. */
  state: 'waiting' | 'building' | 'retrying' | 'settling' | 'left' | 'done' | 'failed';
  /** From 1; 0: none yet. */
  attempt: number;
  /** Milliseconds since 1970. */
  startedAt: number | null;
  endedAt: number | null;
  /** PostgreSQL's name for the phase of the build. Empty: not known. */
  phase: string;
  /** Progress within the phase, from 0 to 1. Null: PostgreSQL does not measure this phase. */
  fraction: number | null;
  /** The session that the running build waits for. Null: none. */
  waitsFor: string | null;
  /** The error of the last failed attempt. Null: none. */
  error: { readonly name: string; readonly message: string } | null;
  status: IndexStatus | null;
  /** Time of the last line about the running build, in milliseconds since 1970. */
  reportedAt: number;
}

/** A table and its builds, which run one at a time. */
export interface LaneProgress {
  readonly table: string;
  readonly indexes: IndexProgress[];
}

interface FoundIndex {
  readonly lane: LaneProgress;
  readonly index: IndexProgress;
}

/** The builds of one phase: the lanes and batches of all its rounds. */
export class Builds {
  readonly batches = new Batches();
  readonly #lanes = new Map<string, LaneProgress>();
  readonly #indexes = new Map<string, FoundIndex>();
  #started = 0;

  /** The lanes in planned order. */
  get lanes(): readonly LaneProgress[] {
    return [...this.#lanes.values()];
  }

  get total(): number {
    return this.#indexes.size;
  }

  count(...states: IndexProgress['state'][]): number {
    return [...this.#indexes.values()].filter(({ index }) => states.includes(index.state)).length;
  }

  /** The index that is being built on a table. */
  building(table: string): IndexProgress | undefined {
    return this.#lanes.get(table)?.indexes.find((index) => index.state === 'building');
  }

  /** Adds the lanes of a round. An index from an earlier round keeps its place. @returns the new ids */
  plan(lanes: readonly Lane[], registry: CompiledRegistry): string[] {
    const known = new Set(this.#indexes.keys());
    for (const { table, indexes } of lanes) {
      for (const id of indexes) this.ensure(id, table, registry);
    }
    return [...this.#indexes.keys()].filter((id) => !known.has(id));
  }

  /** Finds an index, or adds it if no plan contained it. */
  ensure(id: string, table: string | undefined, registry: CompiledRegistry): FoundIndex {
    const known = this.#indexes.get(id);
    if (known !== undefined) return known;
    const entry = findItem(registry, id)?.index;
    const laneTable = table ?? (entry === undefined ? 'unknown' : tableId(entry));
    const lane = this.#lanes.get(laneTable) ?? { table: laneTable, indexes: [] };
    this.#lanes.set(laneTable, lane);
    const index: IndexProgress = {
      id,
      critical: entry?.critical ?? false,
      description: entry?.description ?? '',
      number: null,
      state: 'waiting',
      attempt: 0,
      startedAt: null,
      endedAt: null,
      ...{ phase: '', fraction: null, waitsFor: null, error: null, status: null, reportedAt: 0 },
    };
    lane.indexes.push(index);
    const found = { lane, index };
    this.#indexes.set(id, found);
    return found;
  }

  /** `[2/20] name`: the second index that was started, of twenty. */
  label(index: IndexProgress): string {
    return `[${index.number ?? '-'}/${this.total}] ${index.id}`;
  }

  /** Begins the next attempt. @returns whether it is the first */
  begin(index: IndexProgress, now: number): boolean {
    const first = index.number === null;
    if (first) {
      this.#started += 1;
      index.number = this.#started;
      index.startedAt = now;
      index.reportedAt = now;
    }
    index.state = 'building';
    index.attempt += 1;
    clearLive(index);
    return first;
  }

  /** Records that an attempt failed and another one follows. */
  retry(index: IndexProgress, error: NonNullable<IndexProgress['error']>): void {
    index.state = 'retrying';
    index.error = error;
    clearLive(index);
  }

  /** Leaves an index to the phase after the start of the services. A running build continues in the database. */
  leave(index: IndexProgress, now: number): void {
    index.state = 'left';
    index.endedAt = now;
    clearLive(index);
  }

  end(index: IndexProgress, status: IndexStatus, now: number): void {
    index.state = status === 'failed' ? 'failed' : 'done';
    index.status = status;
    index.endedAt = now;
    clearLive(index);
  }
}

/** Clears the values that describe a running build. */
export function clearLive(index: IndexProgress): void {
  index.phase = '';
  index.fraction = null;
  index.waitsFor = null;
}

import { findOwner } from '../../../lambdas/shared/build-item.ts';
import type { Lane } from '../../../lambdas/shared/payloads.ts';
import { type CompiledRegistry, tableId } from '../../../lambdas/shared/registry.ts';
import type { IndexStatus } from '../../../lambdas/shared/report-schema.ts';

export interface IndexProgress {
  /** As executions name it. */
  readonly id: string;
  readonly critical: boolean;
  readonly description: string;
  /** Its place in the order of the starts, from 1. Null: it has not started. */
  number: number | null;
  /** `settling`: its last attempt failed and the leftovers are removed. `left`: the window is used up. */
  state: 'waiting' | 'building' | 'retrying' | 'settling' | 'left' | 'done' | 'failed';
  /** From 1; 0: none yet. */
  attempt: number;
  /** Milliseconds since 1970. */
  startedAt: number | null;
  endedAt: number | null;
  /** PostgreSQL's name for what the build is at. Empty: not known. */
  phase: string;
  /** Of the phase, 0 to 1. Null: no measure. */
  fraction: number | null;
  /** The session that a running build waits for. Null: none. */
  waitsFor: string | null;
  /** What the last attempt failed with. Null: nothing. */
  error: { readonly name: string; readonly message: string } | null;
  status: IndexStatus | null;
  /** When people were last told that it is still building, in milliseconds since 1970. */
  toldAt: number;
}

/** A table and its builds, one at a time. */
export interface LaneProgress {
  readonly table: string;
  readonly indexes: IndexProgress[];
}

/** The builds of one phase: the lanes of all its rounds. */
export class BuildsProgress {
  readonly #lanes = new Map<string, LaneProgress>();
  readonly #indexes = new Map<string, { lane: LaneProgress; index: IndexProgress }>();
  #started = 0;

  /** The lanes in the order in which they were planned. */
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

  /** Adds the lanes of a round; an index that an earlier round had keeps its place. @returns how many are new. */
  plan(lanes: readonly Lane[], registry: CompiledRegistry): number {
    const before = this.total;
    for (const { table, indexes } of lanes) {
      for (const id of indexes) this.ensure(id, table, registry);
    }
    return this.total - before;
  }

  /** The index of an event, also where the plan was not seen. */
  ensure(
    id: string,
    table: string | undefined,
    registry: CompiledRegistry,
  ): { lane: LaneProgress; index: IndexProgress } {
    const known = this.#indexes.get(id);
    if (known !== undefined) return known;
    const entry = findOwner(registry, id)?.index;
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
      ...{ phase: '', fraction: null, waitsFor: null, error: null, status: null, toldAt: 0 },
    };
    lane.indexes.push(index);
    const found = { lane, index };
    this.#indexes.set(id, found);
    return found;
  }

  /** `[2/20] name`: the second that was started of twenty. */
  label(index: IndexProgress): string {
    return `[${index.number ?? '-'}/${this.total}] ${index.id}`;
  }

  /** Begins the next attempt. True: it is the first. */
  begin(index: IndexProgress, now: number): boolean {
    const first = index.number === null;
    if (first) {
      this.#started += 1;
      index.number = this.#started;
      index.startedAt = now;
      index.toldAt = now;
    }
    index.state = 'building';
    index.attempt += 1;
    clearLive(index);
    return first;
  }

  /** Leaves an index for after the start; a build that runs goes on unseen. */
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

/** What was read of a running build is of no use once it does not run. */
export function clearLive(index: IndexProgress): void {
  index.phase = '';
  index.fraction = null;
  index.waitsFor = null;
}

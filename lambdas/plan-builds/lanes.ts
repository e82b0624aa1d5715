import { pauseFor } from '../postgres/build-progress.ts';
import type { Lane } from '../shared/payloads.ts';
import { type CompiledIndex, tableId } from '../shared/registry.ts';

/** One statement to come. */
export interface Build {
  index: CompiledIndex;
  /** What executions call it: see build-item.ts. */
  item: string;
  /** What it is built on: the index's table, or a partition of it. */
  table: { schema: string; table: string };
  /** @default 0 */
  tableBytes?: number;
  /** Not to be tried a second time in one deploy. @default false */
  onlyOnce?: boolean;
}

/*
 * A standard execution ends at 25,000 history events. A task costs 5 (entered, scheduled, started, succeeded, exited), any
 * other state 2, an iteration of a Map 2 and a Map itself 4. A round is filled by what its builds are expected to cost,
 * with room left for retries (3 events each): also 500 builds that all fail after ten attempts fit, at 49 each.
 */
const EVENTS_A_ROUND = 15_000;
/** Build Index, a choice, the end, the iteration; and for a lane of its own a Map and an iteration more. */
const EVENTS_A_BUILD = 11 + 6;
/** Wait For Build, Check Index, a choice. */
const EVENTS_A_LOOK = 9;
/** Slower than a build on any current instance. */
const BYTES_A_SECOND = 20 * 1024 * 1024;
/** What Build Index waits for by itself, by default. */
const SECONDS_WITHOUT_LOOKS = 60;

function eventsOf(build: Build): number {
  return EVENTS_A_BUILD + EVENTS_A_LOOK * looksAt((build.tableBytes ?? 0) / BYTES_A_SECOND);
}

/** Looks at a build of so many seconds: the pauses grow with it, so that a week of looks is some 400. */
function looksAt(seconds: number): number {
  let looks = 0;
  for (
    let at = SECONDS_WITHOUT_LOOKS;
    at < seconds && looks < EVENTS_A_ROUND;
    at += pauseFor(undefined, at)
  ) {
    looks += 1;
  }
  return looks;
}

/**
 * One lane a table, because two concurrent builds on one table end in a deadlock. The lane with most to read comes first,
 * so that the longest one is not the last to start; where no size is known, the one with most builds. Within a lane the critical ones come first.
 * @param most builds in all the lanes; the rest comes with the next round
 */
export function toLanes(builds: readonly Build[], most: number): Lane[] {
  const byTable = Map.groupBy(builds, (build) => tableId(build.table));
  const lanes = [...byTable.entries()]
    .map(([table, members]) => ({
      table,
      work: members.reduce((bytes, build) => bytes + (build.tableBytes ?? 0), 0),
      members: members.toSorted((a, b) => Number(b.index.critical) - Number(a.index.critical)),
    }))
    .toSorted(
      (a, b) => b.work - a.work || b.members.length - a.members.length || a.table.localeCompare(b.table),
    );
  const chosen = firstThatFit(
    lanes.flatMap((lane) => lane.members),
    most,
  );
  return lanes
    .map(({ table, members }) => ({
      table,
      indexes: members.filter((build) => chosen.has(build)).map((build) => build.item),
    }))
    .filter((lane) => lane.indexes.length > 0);
}

/** The first ones whose number and events fit into a round; at least one, however long it takes. */
function firstThatFit(builds: readonly Build[], most: number): Set<Build> {
  const chosen = new Set<Build>();
  let events = 0;
  for (const build of builds.slice(0, most)) {
    events += eventsOf(build);
    if (events > EVENTS_A_ROUND && chosen.size > 0) break;
    chosen.add(build);
  }
  return chosen;
}

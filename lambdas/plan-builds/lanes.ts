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
 * A standard execution ends at 25,000 history events. An iteration of a build costs some 14, a look at one that goes on 9,
 * so a round is filled by what its builds are expected to cost, with room left for retries.
 */
const EVENTS_A_ROUND = 15_000;
const EVENTS_A_BUILD = 14;
const EVENTS_A_LOOK = 9;
/** Slower than a build on any current instance. */
const BYTES_A_SECOND = 20 * 1024 * 1024;
const SECONDS_A_LOOK = 30;
/** Looks at growing intervals until the longest one is reached. */
const FIRST_LOOKS = 16;
/** What Build Index waits for by itself. */
const SECONDS_WITHOUT_LOOKS = 60;

function eventsOf(build: Build): number {
  const seconds = (build.tableBytes ?? 0) / BYTES_A_SECOND;
  if (seconds <= SECONDS_WITHOUT_LOOKS) return EVENTS_A_BUILD;
  return EVENTS_A_BUILD + EVENTS_A_LOOK * (FIRST_LOOKS + Math.ceil(seconds / SECONDS_A_LOOK));
}

/**
 * One lane a table, because two concurrent builds on one table end in a deadlock. The lane with most to read comes first,
 * so that the longest one is not the last to start; within a lane the critical ones come first.
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
    .toSorted((a, b) => b.work - a.work || a.table.localeCompare(b.table));
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

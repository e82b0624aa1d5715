import type { PlannedBuild } from '../postgres/planned-build.ts';
import { pauseFor } from '../postgres/running-builds.ts';
import type { Lane } from '../shared/build-payloads.ts';
import { tableId } from '../shared/registry.ts';

/*
 * The history of a standard execution is limited to 25,000 events. A Task state adds 5 (entered, scheduled, started,
 * succeeded, exited), any other state 2, an iteration of a Map 2 and a Map 4. A round contains as many builds as fit by
 * their expected number of events. The rest is reserved for retries, 3 events each: even 500 builds that all fail after ten
 * attempts fit, with 49 events each.
 */
const EVENTS_PER_ROUND = 15_000;
/** Build Index, a Choice, the end and the iteration; and another Map and iteration if the lane has only this build. */
const EVENTS_PER_BUILD = 11 + 6;
/** Wait For Build, Check Index and a Choice. */
const EVENTS_PER_CHECK = 9;
/** Slower than a build on any current instance. */
const BYTES_PER_SECOND = 20 * 1024 * 1024;
/** How long Build Index itself waits for a build, by default. */
const SECONDS_WITHOUT_CHECKS = 60;

function eventsOf(build: PlannedBuild): number {
  return EVENTS_PER_BUILD + EVENTS_PER_CHECK * checksOf((build.tableBytes ?? 0) / BYTES_PER_SECOND);
}

/** Number of checks of a build. The pauses grow: a build of one week needs about 400. @param seconds its duration */
function checksOf(seconds: number): number {
  let checks = 0;
  for (
    let at = SECONDS_WITHOUT_CHECKS;
    at < seconds && checks < EVENTS_PER_ROUND;
    at += pauseFor(undefined, at)
  ) {
    checks += 1;
  }
  return checks;
}

/**
 * Divides builds into lanes, one for each table, because two concurrent builds on one table deadlock. The lane with the most
 * bytes to read comes first, so that the longest lane does not start last; if no size is known, the lane with the most
 * builds. Within a lane, critical indexes come first.
 * @param most largest number of builds in all lanes. The next round contains the others
 */
export function toLanes(builds: readonly PlannedBuild[], most: number): Lane[] {
  const byTable = Map.groupBy(builds, (build) => tableId(build.table));
  const lanes = [...byTable.entries()]
    .map(([table, members]) => ({
      table,
      bytes: members.reduce((bytes, build) => bytes + (build.tableBytes ?? 0), 0),
      members: members.toSorted((a, b) => Number(b.index.critical) - Number(a.index.critical)),
    }))
    .toSorted(
      (a, b) => b.bytes - a.bytes || b.members.length - a.members.length || a.table.localeCompare(b.table),
    );
  const round = firstThatFit(
    lanes.flatMap((lane) => lane.members),
    most,
  );
  return lanes
    .map(({ table, members }) => ({
      table,
      indexes: members.filter((build) => round.has(build)).map((build) => build.item),
    }))
    .filter((lane) => lane.indexes.length > 0);
}

/** The first builds whose number and events fit into a round. At least one, however long it takes. */
function firstThatFit(builds: readonly PlannedBuild[], most: number): Set<PlannedBuild> {
  const round = new Set<PlannedBuild>();
  let events = 0;
  for (const build of builds.slice(0, most)) {
    events += eventsOf(build);
    if (events > EVENTS_PER_ROUND && round.size > 0) break;
    round.add(build);
  }
  return round;
}

import { createHash } from 'node:crypto';
import type { Batch } from '../shared/build-payloads.ts';
import { type Table, tableKey } from './identifiers.ts';
import type { PlannedBuild } from './planned-build.ts';

/*
 * Batches of small builds. A build in a lane has three state transitions and an invocation of its own, which is too much for a
 * schema per tenant: 5,000 schemas with 20 indexes each. So builds that are expected to take less than a second are built in a
 * batch, one after the other in one invocation. Their names do not fit into a state either, so each batch plans for itself and
 * takes the tables whose hash belongs to its part.
 *
 * A build is in a batch at most once in a deploy. If it does not succeed at once, a lane makes the other attempts.
 */

/** Largest table of a small build, in bytes. It is read in less than a second. A wrong guess costs a wait, and no build. */
export const SMALL_TABLE_BYTES = 16 * 1024 * 1024;

/** Fewer small builds form no batch. */
const FEWEST_BUILDS = 10;

/** A part has at least this many builds, unless all builds are fewer. */
const FEWEST_BUILDS_OF_PART = 25;

/**
 * Divides builds into those of batches and those of lanes. The builds of one table are together, because two concurrent builds
 * on one table deadlock.
 * @param wasTried whether the deploy has made an attempt already
 */
export function splitBuilds(
  builds: readonly PlannedBuild[],
  wasTried: (build: PlannedBuild) => boolean,
): { batched: PlannedBuild[]; inLanes: PlannedBuild[] } {
  const ordinary = new Set(
    builds.filter((build) => build.isSmall !== true || wasTried(build)).map(({ table }) => tableKey(table)),
  );
  const { batched = [], inLanes = [] } = Object.groupBy(builds, ({ table }) =>
    ordinary.has(tableKey(table)) ? 'inLanes' : 'batched',
  );
  return { batched, inLanes };
}

/**
 * The parts of builds.
 * @param batched builds of which no table has another build in this round
 * @param most largest number of parts
 * @returns an empty list if there are too few builds for a batch
 */
export function partsOf(batched: readonly PlannedBuild[], most: number): Batch[] {
  if (batched.length < FEWEST_BUILDS) return [];
  const of = Math.max(1, Math.min(most, Math.floor(batched.length / FEWEST_BUILDS_OF_PART)));
  const builds = Array.from({ length: of }, () => 0);
  for (const { table } of batched) {
    const part = partOf(table, of);
    builds[part] = (builds[part] ?? 0) + 1;
  }
  return builds.map((count, part) => ({ part, of, builds: count })).filter((batch) => batch.builds > 0);
}

/** The builds of one part, the critical ones first. */
export function buildsOfPart(
  batched: readonly PlannedBuild[],
  { part, of }: Pick<Batch, 'part' | 'of'>,
): PlannedBuild[] {
  return batched
    .filter(({ table }) => partOf(table, of) === part)
    .toSorted((a, b) => Number(b.index.critical) - Number(a.index.critical));
}

/** The part of a table: the same in every invocation. */
function partOf(table: Table, of: number): number {
  return createHash('sha256').update(tableKey(table)).digest().readUInt32BE(0) % of;
}

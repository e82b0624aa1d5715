import { indexId, tableId } from '../../../lambdas/shared/registry.ts';
import type { BuildRow } from '../../local/watch-builds.ts';
import type { BuildsProgress } from './builds.ts';
import { line, type ProgressLine } from './line.ts';
import { humanDuration } from './units.ts';

/** Pauses between two lines about a build that goes on, in milliseconds: the first one comes sooner. */
const FIRST_STILL_MS = 10_000;
const STILL_EVERY_MS = 30_000;

/** Notes how far the builds are and tells now and then of the long ones. */
export function applyBuildRows(
  rows: readonly BuildRow[],
  builds: BuildsProgress,
  now: number,
): ProgressLine[] {
  const lines: ProgressLine[] = [];
  for (const row of rows) {
    const { schema } = row;
    const index = builds.building(tableId({ schema, table: row.table }));
    if (index === undefined) continue;
    // A partition's part of an index has a name of its own, and a table has one concurrent build at a time.
    const isPart = index.id.includes(' @ ');
    if (!isPart && row.index !== null && indexId({ schema, name: row.index }) !== index.id) continue;
    index.phase = row.phase;
    index.fraction = row.fraction;
    index.waitsFor = row.waitsFor;
    const pause = index.toldAt === index.startedAt ? FIRST_STILL_MS : STILL_EVERY_MS;
    if (now - index.toldAt < pause) continue;
    index.toldAt = now;
    const percent = row.fraction === null ? '' : `, ${Math.round(row.fraction * 100)} %`;
    const waits = row.waitsFor === null ? '' : `, waits for ${row.waitsFor}`;
    const since = humanDuration(now - (index.startedAt ?? now));
    lines.push(
      line('step', `${builds.label(index)} still building after ${since}: ${row.phase}${percent}${waits}`),
    );
  }
  return lines;
}

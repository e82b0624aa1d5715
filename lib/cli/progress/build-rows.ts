import { humanDuration } from '../../../lambdas/shared/human-units.ts';
import { indexId, tableId } from '../../../lambdas/shared/registry.ts';
import type { BuildRow } from '../../local/watch-builds.ts';
import { line, type ProgressLine } from './progress-line.ts';
import type { RunProgress } from './run-progress.ts';

/** Time until the first line about a long build, and between later lines, in milliseconds. */
const FIRST_LINE_MS = 10_000;
const NEXT_LINE_MS = 30_000;

/**
 * Records the progress of the running builds.
 * @param now milliseconds since 1970 @default the current time
 * @returns from time to time, a line about a build that takes long
 */
export function applyBuildRows(
  run: RunProgress,
  rows: readonly BuildRow[],
  now: number = Date.now(),
): ProgressLine[] {
  const builds = run.builds[run.buildPhase];
  const lines: ProgressLine[] = [];
  for (const row of rows) {
    const { schema } = row;
    const index = builds.building(tableId({ schema, table: row.table }));
    if (index === undefined) continue;
    // The index of a partition has a name of its own. Its table has no other concurrent build, so the name is not checked.
    const isPart = index.id.includes(' @ ');
    if (!isPart && row.index !== null && indexId({ schema, name: row.index }) !== index.id) continue;
    index.phase = row.phase;
    index.fraction = row.fraction;
    index.waitsFor = row.waitsFor;
    const pause = index.reportedAt === index.startedAt ? FIRST_LINE_MS : NEXT_LINE_MS;
    if (now - index.reportedAt < pause) continue;
    index.reportedAt = now;
    const percent = row.fraction === null ? '' : `, ${Math.round(row.fraction * 100)} %`;
    const waits = row.waitsFor === null ? '' : `, waits for ${row.waitsFor}`;
    const elapsed = humanDuration(now - (index.startedAt ?? now));
    lines.push(
      line('step', `${builds.label(index)} still building after ${elapsed}: ${row.phase}${percent}${waits}`),
    );
  }
  return lines;
}

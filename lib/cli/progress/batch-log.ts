import { BATCH_CONTINUES, batchProgressSchema } from '../../../lambdas/shared/build-payloads.ts';
import { grouped } from '../../../lambdas/shared/report-names.ts';
import { line, type ProgressLine } from './progress-line.ts';
import type { RunProgress } from './run-progress.ts';

/** Time between two lines about a batch, in milliseconds. The picture shows all numbers. */
const NEXT_LINE_MS = 30_000;

/**
 * Applies a line that a function wrote to its log.
 * @param now milliseconds since 1970 @default the current time
 * @returns from time to time, a line about a batch
 */
export function applyLogLine(run: RunProgress, text: string, now = Date.now()): ProgressLine[] {
  const progress = text.includes(BATCH_CONTINUES)
    ? batchProgressSchema.safeParse(jsonOf(text)).data
    : undefined;
  if (progress === undefined) return [];
  const { part, of, builds, built, failed } = progress;
  const batch = run.builds[run.buildPhase].batches.update(part, { builds, built, failed });
  if (batch === undefined || now - batch.reportedAt < NEXT_LINE_MS) return [];
  batch.reportedAt = now;
  const failures = failed > 0 ? `, ${grouped(failed)} failed` : '';
  return [
    line('step', `Batch ${part + 1} of ${of}: ${grouped(built)} of ${grouped(builds)} built${failures}`),
  ];
}

/** Undefined: the text is no JSON, because anything can write to the log. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

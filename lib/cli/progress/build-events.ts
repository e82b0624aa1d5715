import type { Batch, Lane } from '../../../lambdas/shared/build-payloads.ts';
import { withoutIndexName } from '../../../lambdas/shared/failure-groups.ts';
import { humanDuration } from '../../../lambdas/shared/human-units.ts';
import { grouped } from '../../../lambdas/shared/report-names.ts';
import type { IndexStatus } from '../../../lambdas/shared/report-schema.ts';
import { counted } from '../../../lambdas/shared/text.ts';
import type { EngineEvent } from '../../local/engine/events.ts';
import { BUILD_INDEXES } from '../../workflow/state-names.ts';
import { type Builds, clearLive, type IndexProgress } from './build-progress.ts';
import { errorOf, listAt, numberAt, textAt } from './event-payload.ts';
import { line, type ProgressLine } from './progress-line.ts';
import type { RunProgress } from './run-progress.ts';
import type { ShownCauses } from './shown-causes.ts';

/** States of `build-indexes` that work on one index. */
const INDEX_STATES: readonly string[] = [
  BUILD_INDEXES.buildIndex,
  BUILD_INDEXES.checkIndex,
  BUILD_INDEXES.settleIndex,
  BUILD_INDEXES.indexNotSettled,
];

const OUTCOMES: Partial<Record<IndexStatus, string>> = {
  present: 'already exists',
  equivalent: 'already exists under another name',
  drifted: 'exists with another definition',
  built: 'created',
  repaired: 'repaired',
  missing: 'is missing',
  retired: 'retired, and dropped',
  kept: 'retired, and kept',
};

/** An event of one index, with the index that it changes. */
interface IndexEvent {
  readonly event: EngineEvent;
  readonly builds: Builds;
  readonly shownCauses: ShownCauses;
  readonly table: string;
  readonly index: IndexProgress;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** Applies an event from a state of `build-indexes`. */
export function applyBuildEvent(run: RunProgress, event: EngineEvent): ProgressLine[] {
  const builds = run.builds[run.buildPhase];
  if (event.within.length > 1) {
    const id = textAt(event.input, 'index');
    if (!INDEX_STATES.includes(event.state ?? '') || id === '') return [];
    const { lane, index } = builds.ensure(id, undefined, run.registry);
    const { shownCauses } = run;
    return applyIndexEvent({
      ...{ event, builds, shownCauses, table: lane.table, index, now: Date.parse(event.at) },
    });
  }
  if (event.state === BUILD_INDEXES.plan && event.type === 'StateExited') {
    const nothing = textAt(event.output, 'decision') === 'done' && builds.total === 0;
    return nothing ? [line('step', `Nothing to build${presentCount(event.output)}`)] : [];
  }
  if (event.state === BUILD_INDEXES.buildBatches && event.type === 'StateEntered') {
    const batches = listAt(event.input, 'batches') as readonly Batch[];
    builds.batches.plan(batches, Date.parse(event.at));
    const count = batches.reduce((sum, batch) => sum + batch.builds, 0);
    return [
      line(
        'step',
        `${grouped(count)} small indexes to build in ${counted(batches.length, 'batch')}${presentCount(event.input)}`,
      ),
    ];
  }
  if (event.state === BUILD_INDEXES.buildBatch && event.type === 'StateExited')
    return batchEnded(builds, event.output);
  if (
    event.state === BUILD_INDEXES.buildLanes &&
    event.type === 'StateEntered' &&
    event.within.length === 0
  ) {
    const lanes = listAt(event.input, 'lanes') as readonly Lane[];
    const first = builds.total === 0;
    if (lanes.length === 0) return [];
    const added = builds.plan(lanes, run.registry);
    // A later round can consist of indexes that an earlier one has begun.
    if (added.length === 0 && !first) return [];
    const text = `${addedText(added, first ? 'index' : 'more index')} to build in ${counted(lanes.length, 'lane')}`;
    return [line('step', first ? `${text}${presentCount(event.input)}` : text)];
  }
  return [];
}

/** What a batch has built. One that failed has no counts: the next plan finds what is missing. */
function batchEnded(builds: Builds, output: unknown): ProgressLine[] {
  const [part, of, built = 0, failed = 0, left = 0] = ['part', 'of', 'built', 'failed', 'left'].map(
    (field) => numberAt(output, field) ?? undefined,
  );
  if (part === undefined || of === undefined)
    return [line('warning', 'A batch failed. The next plan finds what is missing')];
  builds.batches.update(part, { builds: built + failed, built, failed });
  const others = [
    ...(failed > 0 ? [`${grouped(failed)} failed`] : []),
    ...(left > 0 ? [`${grouped(left)} left for the next round`] : []),
  ];
  const text = [`${grouped(built)} done`, ...others].join(', ');
  return [line(failed > 0 ? 'warning' : 'done', `Batch ${part + 1} of ${of}: ${text}`)];
}

/** The builds that a plan has added: `2 indexes`, `300 partitions of 1 index`. */
function addedText(ids: readonly string[], noun: string): string {
  const partitioned = ids.flatMap((id) => (id.includes(' @ ') ? id.split(' @ ', 1) : []));
  const whole = ids.length - partitioned.length;
  const parts = `${counted(partitioned.length, 'partition')} of ${counted(new Set(partitioned).size, 'index')}`;
  if (partitioned.length === 0) return counted(whole, noun);
  return whole === 0 ? parts : `${counted(whole, noun)} and ${parts}`;
}

/** The number of indexes in a plan that need no work. */
function presentCount(plan: unknown): string {
  const present = numberAt(plan, 'present');
  return present === null ? '' : `, ${present} already present`;
}

function applyIndexEvent(indexEvent: IndexEvent): ProgressLine[] {
  const { event, index } = indexEvent;
  switch (event.type) {
    case 'StateEntered':
    case 'StateRetried':
      return event.state === BUILD_INDEXES.buildIndex ? begin(indexEvent) : [];
    case 'StateFailed':
      return failed(indexEvent);
    case 'StateCaught':
      index.state = 'settling';
      clearLive(index);
      return [];
    case 'StateExited':
      return exited(indexEvent);
    default:
      return [];
  }
}

function begin({ builds, table, index, now }: IndexEvent): ProgressLine[] {
  const first = builds.begin(index, now);
  if (!first) return [line('step', `${builds.label(index)} attempt ${index.attempt} begins`)];
  const critical = index.critical ? 'critical' : 'non-critical';
  const description = index.description === '' ? '' : `: ${index.description}`;
  return [line('step', `${builds.label(index)} on ${table} (${critical})${description}`)];
}

function failed(indexEvent: IndexEvent): ProgressLine[] {
  const { event, builds, index } = indexEvent;
  const { name, message } = errorOf(event);
  const error = { name, message: withoutIndexName(message, index.id) };
  if (event.state === BUILD_INDEXES.buildIndex) {
    builds.retry(index, error);
    // No retry follows this error. The line about the failed index shows it.
    return name === 'BuildFailed' ? [] : [attemptFailed(indexEvent, error)];
  }
  index.error = error;
  clearLive(index);
  return [failureLine(indexEvent, event.state ?? '', error)];
}

function exited(indexEvent: IndexEvent): ProgressLine[] {
  const { event, builds, index, now } = indexEvent;
  if (event.state === BUILD_INDEXES.indexNotSettled) return [ended(indexEvent, 'failed')];
  // A state that failed and was caught exits too, with the error as its output.
  const isCaught =
    event.state !== BUILD_INDEXES.settleIndex || textAt(event.output, 'settleError', 'Error') !== '';
  if (index.state === 'settling' && isCaught) return [];
  const state = textAt(event.output, 'build', 'output', 'state');
  if (state === 'interrupted') {
    const error = {
      name: 'BuildInterrupted',
      message: 'the session that built it ended before the build did',
    };
    builds.retry(index, error);
    return [attemptFailed(indexEvent, error)];
  }
  if (state === 'left') {
    builds.leave(index, now);
    return [line('step', `${builds.label(index)} will be built after the services start`)];
  }
  if (state !== 'done') return [];
  return [ended(indexEvent, textAt(event.output, 'build', 'output', 'status') as IndexStatus)];
}

function ended({ builds, shownCauses, table, index, now }: IndexEvent, status: IndexStatus): ProgressLine {
  builds.end(index, status, now);
  if (status === 'failed') {
    const message = index.error?.message ?? 'unknown error';
    const { sameAs, logOnly } = shownCauses.add('index', {
      ...index,
      ...{ table, message },
    });
    const why = sameAs === null ? `: ${message}` : ` for the same cause as ${sameAs}`;
    return line('failure', `${builds.label(index)} failed${why}`, logOnly);
  }
  const elapsed = index.startedAt === null ? 0 : now - index.startedAt;
  const duration = status === 'built' || status === 'repaired' ? ` in ${humanDuration(elapsed)}` : '';
  const attempt = index.attempt > 1 ? ` at attempt ${index.attempt}` : '';
  return line('done', `${builds.label(index)} ${OUTCOMES[status] ?? status}${duration}${attempt}`);
}

interface BuildError {
  readonly name: string;
  readonly message: string;
}

function attemptFailed(indexEvent: IndexEvent, error: BuildError): ProgressLine {
  return failureLine(indexEvent, `attempt ${indexEvent.index.attempt} failed`, error);
}

/** The first index with a cause shows it, the others refer to that index. */
function failureLine(indexEvent: IndexEvent, what: string, { name, message }: BuildError): ProgressLine {
  const { builds, index, table, shownCauses } = indexEvent;
  const { sameAs, logOnly } = shownCauses.add('attempt', { ...index, table, message: `${name}: ${message}` });
  const why = sameAs === null ? `${name}: ${message}` : `${name}, for the same cause as ${sameAs}`;
  return line('warning', `${builds.label(index)} ${what}: ${why}`, logOnly);
}

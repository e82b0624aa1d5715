import type { Lane } from '../../../lambdas/shared/payloads.ts';
import type { IndexStatus } from '../../../lambdas/shared/report-schema.ts';
import { counted } from '../../../lambdas/shared/text.ts';
import type { EngineEvent } from '../../local/engine/events.ts';
import { BUILD_INDEXES } from '../../workflow/state-names.ts';
import { type BuildsProgress, clearLive, type IndexProgress } from './builds.ts';
import { line, type ProgressLine } from './line.ts';
import type { RunProgress } from './model.ts';
import { errorOf, listAt, numberAt, textAt } from './payload.ts';
import { humanDuration } from './units.ts';

/** States of build-indexes that work on one index. */
const INDEX_STATES: readonly string[] = [
  BUILD_INDEXES.buildIndex,
  BUILD_INDEXES.checkIndex,
  BUILD_INDEXES.settleIndex,
];

const OUTCOMES: Partial<Record<IndexStatus, string>> = {
  present: 'already exists',
  equivalent: 'already exists under another name',
  drifted: 'exists with another definition',
  built: 'created',
  repaired: 'repaired',
  missing: 'is missing',
};

/** An event of the states of `build-indexes`. */
export function applyBuildMachine(run: RunProgress, event: EngineEvent): ProgressLine[] {
  const builds = run.builds[run.buildPhase];
  if (event.within.length > 1) {
    const id = textAt(event.input, 'index');
    if (!INDEX_STATES.includes(event.state ?? '') || id === '') return [];
    const { lane, index } = builds.ensure(id, undefined, run.registry);
    return applyIndexEvent(event, builds, lane.table, index);
  }
  if (event.state === BUILD_INDEXES.plan && event.type === 'StateExited') {
    const nothing = textAt(event.output, 'decision') === 'done' && builds.total === 0;
    return nothing ? [line('step', `Nothing to build${alreadyThere(event.output)}`)] : [];
  }
  if (
    event.state === BUILD_INDEXES.buildLanes &&
    event.type === 'StateEntered' &&
    event.within.length === 0
  ) {
    return planned(run, builds, event);
  }
  return [];
}

function planned(run: RunProgress, builds: BuildsProgress, event: EngineEvent): ProgressLine[] {
  const lanes = listAt(event.input, 'lanes') as readonly Lane[];
  const first = builds.total === 0;
  const count = builds.plan(lanes, run.registry);
  const text = `${first ? '' : 'Another '}${counted(count, 'index')} to build in ${counted(lanes.length, 'lane')}`;
  return [line('step', first ? `${text}${alreadyThere(event.input)}` : text)];
}

/** What a plan says of the indexes that need nothing. */
function alreadyThere(plan: unknown): string {
  const present = numberAt(plan, 'present');
  return present === null ? '' : `, ${present} already there`;
}

/** An event of the states that work on one index. */
function applyIndexEvent(
  event: EngineEvent,
  builds: BuildsProgress,
  table: string,
  index: IndexProgress,
): ProgressLine[] {
  const now = Date.parse(event.at);
  switch (event.type) {
    case 'StateEntered':
      return event.state === BUILD_INDEXES.buildIndex ? begin(builds, table, index, now) : [];
    case 'StateRetried':
      return event.state === BUILD_INDEXES.buildIndex ? begin(builds, table, index, now) : [];
    case 'StateFailed':
      return failed(event, builds, index);
    case 'StateCaught':
      index.state = 'settling';
      clearLive(index);
      return [];
    case 'StateExited':
      return exited(event, builds, index, now);
    default:
      return [];
  }
}

function begin(builds: BuildsProgress, table: string, index: IndexProgress, now: number): ProgressLine[] {
  const first = builds.begin(index, now);
  if (!first) return [line('step', `${builds.label(index)} attempt ${index.attempt} begins`)];
  const critical = index.critical ? 'critical' : 'non-critical';
  const description = index.description === '' ? '' : `: ${index.description}`;
  return [line('step', `${builds.label(index)} on ${table} (${critical})${description}`)];
}

function failed(event: EngineEvent, builds: BuildsProgress, index: IndexProgress): ProgressLine[] {
  const error = errorOf(event);
  index.error = { name: error.name, message: withoutName(error.message, index) };
  clearLive(index);
  if (event.state !== BUILD_INDEXES.buildIndex) {
    return [line('warning', `${builds.label(index)} ${event.state}: ${error.name}: ${index.error.message}`)];
  }
  index.state = 'retrying';
  // What no attempt can mend is told once, when the index is given up.
  if (error.name === 'BuildFailed') return [];
  return [
    line(
      'warning',
      `${builds.label(index)} attempt ${index.attempt} failed: ${error.name}: ${index.error.message}`,
    ),
  ];
}

function exited(
  event: EngineEvent,
  builds: BuildsProgress,
  index: IndexProgress,
  now: number,
): ProgressLine[] {
  // A failed state that was caught is exited as well, with the error as its output.
  if (index.state === 'settling' && event.state !== BUILD_INDEXES.settleIndex) return [];
  const state = textAt(event.output, 'build', 'output', 'state');
  if (state === 'interrupted') {
    index.error = { name: 'BuildInterrupted', message: 'the session that built it ended too soon' };
    index.state = 'retrying';
    clearLive(index);
    return [
      line(
        'warning',
        `${builds.label(index)} attempt ${index.attempt} failed: BuildInterrupted: ${index.error.message}`,
      ),
    ];
  }
  if (state === 'left') {
    builds.leave(index, now);
    return [line('step', `${builds.label(index)} is left for after the start`)];
  }
  if (state !== 'done') return [];
  const status = textAt(event.output, 'build', 'output', 'status') as IndexStatus;
  builds.end(index, status, now);
  if (status === 'failed')
    return [line('failure', `${builds.label(index)} failed: ${index.error?.message ?? 'unknown'}`)];
  const took = index.startedAt === null ? 0 : now - index.startedAt;
  const inTime = status === 'built' || status === 'repaired' ? ` in ${humanDuration(took)}` : '';
  const after = index.attempt > 1 ? ` at attempt ${index.attempt}` : '';
  return [line('done', `${builds.label(index)} ${OUTCOMES[status] ?? status}${inTime}${after}`)];
}

function withoutName(message: string, index: IndexProgress): string {
  const prefix = `Index ${index.id}: `;
  return message.startsWith(prefix) ? message.slice(prefix.length) : message;
}

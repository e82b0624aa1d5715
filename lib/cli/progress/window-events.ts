import { type MigrationFailure, placeOf } from '../../../lambdas/shared/migration-runner.ts';
import { counted } from '../../../lambdas/shared/text.ts';
import type { EngineEvent } from '../../local/engine/events.ts';
import { MIGRATIONS, WINDOW } from '../../workflow/state-names.ts';
import { line, type ProgressLine } from './line.ts';
import type { RunProgress } from './model.ts';
import { at, listAt, numberAt, textAt } from './payload.ts';
import type { PhaseKey } from './phases.ts';

/** The states of `maintenance-window` that are phases of their own. */
const PHASE_OF: Readonly<Record<string, PhaseKey>> = {
  [WINDOW.checkServices]: 'stop',
  [WINDOW.stopServices]: 'stop',
  [WINDOW.drain.begin]: 'drain',
  [WINDOW.drain.check]: 'drain',
  [MIGRATIONS.run]: 'migrate',
  [WINDOW.buildIndexes]: 'build',
};

/** Verdicts that tell of a phase that was exited well and failed all the same. */
const FAILURE_OF: Readonly<Record<string, PhaseKey>> = {
  [WINDOW.verdicts.servicesCannotBeStopped]: 'stop',
  [WINDOW.verdicts.servicesNotStopped]: 'stop',
  [WINDOW.verdicts.criticalIndexFailed]: 'build',
};

/** An event of the states of `maintenance-window`, those inside the Map of its services left out. */
export function applyWindow(run: RunProgress, event: EngineEvent): ProgressLine[] {
  const state = event.state ?? '';
  const failed = FAILURE_OF[state];
  if (failed !== undefined && event.type === 'StateEntered') run.phases.fail(failed);
  if (state === WINDOW.noSessionsLeft && event.type === 'StateExited') {
    run.end('drain', event, 'done', 'none left');
    return [line('done', 'No session of the application is left')];
  }
  if (state === WINDOW.verdicts.sessionsRemain && event.type === 'StateExited') {
    run.end('drain', event, 'failed');
    return [line('failure', `Sessions of the application remain: ${textAt(event.output, 'sessions')}`)];
  }
  const key = PHASE_OF[state];
  if (key === undefined) return [];
  if (event.type === 'StateEntered') return run.enter(key, event);
  if (event.type === 'StateCaught') {
    run.end(key, event, 'failed');
    return key === 'migrate' ? [line('failure', 'The migrations failed')] : [];
  }
  if (event.type !== 'StateExited' || run.phases.find(key)?.state === 'failed') return [];
  if (key === 'drain') return drained(run, event);
  // Checking them is the first half of the phase.
  if (state === WINDOW.checkServices) return [];
  if (key === 'migrate') return migrated(run, event);
  run.end(key, event);
  return [];
}

/** Tells of the sessions that are waited for, when they are others than at the last look. */
function drained(run: RunProgress, event: EngineEvent): ProgressLine[] {
  const sessions = textAt(event.output, 'sessions', 'output', 'sessions');
  const phase = run.phases.find('drain');
  const remaining = numberAt(event.output, 'sessions', 'output', 'remaining') ?? 0;
  if (phase === undefined || remaining === 0 || phase.result === sessions) return [];
  phase.result = sessions;
  return [line('step', `Waiting for ${counted(remaining, 'session')} of the application: ${sessions}`)];
}

function migrated(run: RunProgress, event: EngineEvent): ProgressLine[] {
  const runner = textAt(event.output, 'migrations', 'output', 'runner', 'name');
  const answer = at(event.output, 'migrations', 'output', 'answer');
  const failure = at(answer, 'failure') as MigrationFailure | null | undefined;
  if (failure != null && runner === 'sql') {
    const { file, statement, message } = failure;
    run.migrations.failure = `${placeOf(failure)} failed, nothing of it was applied: ${statement === null ? '' : `${statement}: `}${message}`;
    run.end('migrate', event, 'failed', `${file ?? 'they'} failed`);
    return [line('failure', run.migrations.failure)];
  }
  const applied = listAt(answer, 'applied').filter((name) => typeof name === 'string');
  run.migrations.applied = applied;
  const told = applied.length > 0 || runner === 'sql';
  if (!told) {
    run.end('migrate', event, 'done', `${WHO[runner] ?? 'they'} succeeded`);
    return [line('done', `The migration's ${WHO[runner] ?? 'run'} succeeded`)];
  }
  run.end('migrate', event, 'done', applied.length === 0 ? 'none pending' : `${applied.length} applied`);
  if (applied.length === 0) return [line('step', 'No migration is pending')];
  return [
    ...applied.map((file) => line('step', `${file} applied`)),
    line('done', `${counted(applied.length, 'migration')} applied`),
  ];
}

/** Who runs migrations that are not ours. */
const WHO: Readonly<Record<string, string>> = { 'ecs-task': 'task', lambda: 'function' };

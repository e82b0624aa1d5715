import {
  describeMigrationFailure,
  migrationFailureSchema,
} from '../../../lambdas/shared/migration-runner.ts';
import { counted } from '../../../lambdas/shared/text.ts';
import type { EngineEvent } from '../../local/engine/events.ts';
import { MIGRATIONS, WINDOW } from '../../workflow/state-names.ts';
import { at, listAt, numberAt, textAt } from './event-payload.ts';
import type { PhaseKey } from './phases.ts';
import { line, type ProgressLine } from './progress-line.ts';
import type { RunProgress } from './run-progress.ts';

/** The states of `maintenance-window` that are phases. */
const PHASE_OF: Readonly<Record<string, PhaseKey>> = {
  [WINDOW.checkServices]: 'stop',
  [WINDOW.stopServices]: 'stop',
  [WINDOW.drain.begin]: 'drain',
  [WINDOW.drain.check]: 'drain',
  [MIGRATIONS.run]: 'migrate',
  [WINDOW.buildIndexes]: 'build',
};

/** States for the verdict that a phase failed although its own states succeeded. */
const FAILURE_OF: Readonly<Record<string, PhaseKey>> = {
  [WINDOW.verdicts.servicesCannotBeStopped]: 'stop',
  [WINDOW.verdicts.servicesNotStopped]: 'stop',
  [WINDOW.verdicts.servicesStartedByOthers]: 'stop',
  [WINDOW.verdicts.criticalIndexFailed]: 'build',
};

/** Applies an event from a state of `maintenance-window`, except those inside its Maps over the services. */
export function applyWindowEvent(run: RunProgress, event: EngineEvent): ProgressLine[] {
  const state = event.state ?? '';
  const failed = FAILURE_OF[state];
  if (failed !== undefined && event.type === 'StateEntered') run.phases.fail(failed);
  if (state === WINDOW.noSessionsLeft && event.type === 'StateExited') {
    run.end('drain', event, 'done', 'none left');
    return [line('done', 'No sessions of the application are left')];
  }
  if (state === WINDOW.verdicts.sessionsRemain && event.type === 'StateExited') {
    run.end('drain', event, 'failed');
    return [line('failure', `Sessions of the application remain: ${textAt(event.output, 'sessions')}`)];
  }
  if (state === WINDOW.verdicts.servicesStartedByOthers && event.type === 'StateExited') {
    // Services that were started while they stopped have a line already.
    const names = listAt(event.output, 'raised', 'names');
    return names.length === 0 ? [] : [line('failure', `Someone else started services: ${names.join(', ')}`)];
  }
  const key = PHASE_OF[state];
  if (key === undefined) return [];
  if (event.type === 'StateEntered') return run.enter(key, event);
  if (event.type === 'StateCaught') {
    run.end(key, event, 'failed');
    return key === 'migrate' ? [line('failure', 'The migrations failed')] : [];
  }
  if (event.type !== 'StateExited' || run.phases.find(key)?.state === 'failed') return [];
  if (key === 'drain') return sessionsChecked(run, event);
  // The phase continues with Stop Services.
  if (state === WINDOW.checkServices) return [];
  if (key === 'migrate') return migrated(run, event);
  run.end(key, event);
  return [];
}

/** Reports the sessions that the drain waits for, if they have changed since the last check. */
function sessionsChecked(run: RunProgress, event: EngineEvent): ProgressLine[] {
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
  const failure = migrationFailureSchema.safeParse(at(answer, 'failure')).data;
  if (failure !== undefined && runner === 'sql') {
    run.migrations.failure = describeMigrationFailure(failure);
    run.end('migrate', event, 'failed', `${failure.file ?? 'they'} failed`);
    return [line('failure', run.migrations.failure)];
  }
  const applied = listAt(answer, 'applied').filter((name) => typeof name === 'string');
  run.migrations.applied = applied;
  if (applied.length === 0 && runner !== 'sql') {
    // Only the application's own tool knows what it applied.
    run.end('migrate', event, 'done', 'succeeded');
    return [line('done', `The migration ${RUNNERS[runner] ?? 'runner'} succeeded`)];
  }
  run.end('migrate', event, 'done', applied.length === 0 ? 'none pending' : `${applied.length} applied`);
  if (applied.length === 0) return [line('step', 'No migrations are pending')];
  return [
    ...applied.map((file) => line('step', `${file} applied`)),
    line('done', `${counted(applied.length, 'migration')} applied`),
  ];
}

/** Runners other than `sql`. */
const RUNNERS: Readonly<Record<string, string>> = { 'ecs-task': 'task', lambda: 'function' };

import type { EngineEvent } from '../../local/engine/events.ts';
import { applyBuildEvent } from './build-events.ts';
import { applyDeployEvent } from './deploy-events.ts';
import { errorOf } from './event-payload.ts';
import { line, type ProgressLine } from './progress-line.ts';
import type { RunProgress } from './run-progress.ts';
import { applyStartEvent, applyStopEvent } from './service-events.ts';
import { applyWindowEvent } from './window-events.ts';

/** Errors by which the definitions find out whether a service has saved state. They are expected. */
const EXPECTED_ERRORS = ['Ssm.ParameterAlreadyExistsException', 'Ssm.ParameterNotFoundException'];

const OUTCOMES: Partial<Record<EngineEvent['type'], NonNullable<RunProgress['outcome']>>> = {
  ExecutionSucceeded: 'succeeded',
  ExecutionFailed: 'failed',
  ExecutionAborted: 'aborted',
  ExecutionTimedOut: 'timed out',
};

/** Updates the progress of a run from an event. @returns the lines to show; most events make none */
export function applyEvent(run: RunProgress, event: EngineEvent): ProgressLine[] {
  if (event.state === null) return applyExecutionEvent(run, event);
  const { machines } = run;
  const insideMap = event.within.length > 0;
  switch (event.machine) {
    case machines.deploy:
      return [...applyDeployEvent(run, event), ...attemptLines(event)];
    case machines.maintenanceWindow:
      return [
        ...(insideMap ? applyStopEvent(run, event) : applyWindowEvent(run, event)),
        ...attemptLines(event),
      ];
    case machines.buildIndexes:
      // Inside a lane, the lines about the index say what failed.
      return [...applyBuildEvent(run, event), ...(event.within.length > 1 ? [] : attemptLines(event))];
    case machines.startServices: {
      const lines = insideMap ? [...applyStartEvent(run, event), ...attemptLines(event)] : [];
      return lines.length === 0 ? [] : [...run.enter('start', event), ...lines];
    }
    default:
      return [];
  }
}

/** Applies the start or the end of an execution. Only outermost executions count. */
function applyExecutionEvent(run: RunProgress, event: EngineEvent): ProgressLine[] {
  if (event.parent !== null) return [];
  const now = Date.parse(event.at);
  const outcome = OUTCOMES[event.type];
  if (outcome === undefined) {
    run.name ||= event.execution;
    run.startedAt ??= now;
    // After an aborted deploy, a second execution starts the services again.
    run.endedAt = null;
    if (event.machine === run.machines.startServices) return run.enter('start', event);
    if (event.machine === run.machines.buildIndexes) return run.enter('online', event);
    return [];
  }
  if (run.outcome === null || outcome !== 'succeeded') run.outcome = outcome;
  run.endedAt = now;
  run.phases.endAll(now, outcome === 'succeeded' ? 'done' : 'failed');
  if (outcome === 'aborted') return [line('warning', `Execution ${event.execution} was aborted`)];
  if (outcome === 'timed out') return [line('failure', `Execution ${event.execution} timed out`)];
  return [];
}

/** Failed and repeated attempts of Task states. */
function attemptLines(event: EngineEvent): ProgressLine[] {
  if (event.stateType !== 'Task') return [];
  if (event.type === 'StateRetried') {
    return [line('step', `${event.state}: attempt ${(event.attempt ?? 0) + 1} begins`)];
  }
  if (event.type !== 'StateFailed' || EXPECTED_ERRORS.includes(event.error ?? '')) return [];
  const { name, message } = errorOf(event);
  return [line('warning', `${event.state}: ${name}: ${message}`)];
}

import type { PreflightResult } from '../../../lambdas/shared/preflight-result.ts';
import type { EngineEvent } from '../../local/engine/events.ts';
import { DEPLOY } from '../../workflow/state-names.ts';
import { at, numberAt, textAt } from './event-payload.ts';
import type { PhaseKey } from './phases.ts';
import { line, type ProgressLine } from './progress-line.ts';
import type { RunProgress } from './run-progress.ts';

/** The states of `deploy` that are phases. */
const PHASE_OF: Readonly<Record<string, PhaseKey>> = {
  [DEPLOY.preflight]: 'preflight',
  [DEPLOY.applyOnline]: 'migrateOnline',
  [DEPLOY.startServices]: 'start',
  [DEPLOY.buildOnline]: 'online',
  [DEPLOY.report]: 'report',
  [DEPLOY.alert]: 'alert',
};

const DECISIONS: Record<PreflightResult['decision'], { result: string; text: string }> = {
  deploy: { result: 'deploy', text: 'deploy, with the services stopped for the maintenance window' },
  indexes: { result: 'indexes only', text: 'indexes only, built while the services run' },
  'start-services': { result: 'start services', text: 'start the services only' },
  plan: { result: 'plan only', text: 'plan only, nothing is changed' },
  nothing: { result: 'nothing to do', text: 'nothing to do, the services keep running' },
  refused: { result: 'refused', text: 'refused, nothing was stopped or changed' },
};

/** Applies an event from a state of `deploy`. */
export function applyDeployEvent(run: RunProgress, event: EngineEvent): ProgressLine[] {
  if (event.state === DEPLOY.hold.save && event.type === 'StateExited')
    return [line('step', 'The services stay stopped for your own deployment')];
  const key = PHASE_OF[event.state ?? ''];
  if (key === undefined) return [];
  // Without a window, there is usually no service to start. The first service that starts enters the phase.
  if (
    key === 'start' &&
    (run.decision === 'nothing' || run.decision === 'indexes') &&
    !run.phases.find(key) &&
    event.type !== 'StateCaught'
  ) {
    return [];
  }
  if (event.type === 'StateEntered') return run.enter(key, event);
  if (event.type === 'StateCaught') run.end(key, event, 'failed');
  // A state that failed and was caught exits too, with the error in its output.
  if (event.type !== 'StateExited' || run.phases.find(key)?.state === 'failed') return [];
  switch (key) {
    case 'preflight':
      return decided(run, event);
    case 'migrateOnline': {
      const status = textAt(event.output, 'onlineMigrations', 'output', 'status');
      // With `more`, the state is entered again.
      if (status !== 'more') run.end(key, event, status === 'failed' ? 'failed' : 'done');
      return [];
    }
    case 'report': {
      const totals = totalsText(event.output);
      run.end(key, event, 'done', totals);
      return totals === '' ? [] : [line('step', totals)];
    }
    case 'alert':
      run.end(key, event, 'done', 'sent');
      return [line('warning', `Alert sent: ${textAt(event.output, 'alert', 'subject')}`)];
    default:
      run.end(key, event);
      return [];
  }
}

function decided(run: RunProgress, event: EngineEvent): ProgressLine[] {
  const decision = textAt(event.output, 'decision') as PreflightResult['decision'];
  const { result, text } = DECISIONS[decision] ?? { result: decision, text: decision };
  run.end('preflight', event, decision === 'refused' ? 'failed' : 'done', result);
  run.decision = decision;
  run.phases.expect(decision);
  if (decision !== 'refused') return [line('step', `Decision: ${text}`)];
  return [line('failure', `Decision: ${text}. ${textAt(event.output, 'refusal')}`)];
}

/** The totals of the report. Empty: it contains no index, as after a refusal. */
function totalsText(output: unknown): string {
  const counts = ['created', 'skipped', 'failed', 'remaining'].map(
    (name) => numberAt(at(output, 'report', 'totals'), name) ?? 0,
  );
  if (counts.every((count) => count === 0)) return '';
  const [created, skipped, failed, remaining] = counts;
  return `${created} created, ${skipped} already present, ${failed} failed, ${remaining} remaining`;
}

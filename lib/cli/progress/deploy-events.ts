import type { PreflightResult } from '../../../lambdas/shared/payloads.ts';
import type { EngineEvent } from '../../local/engine/events.ts';
import { DEPLOY } from '../../workflow/state-names.ts';
import { line, type ProgressLine } from './line.ts';
import type { RunProgress } from './model.ts';
import { at, numberAt, textAt } from './payload.ts';
import type { PhaseKey } from './phases.ts';

/** The states of `deploy` that are phases of their own. */
const PHASE_OF: Readonly<Record<string, PhaseKey>> = {
  [DEPLOY.preflight]: 'preflight',
  [DEPLOY.startServices]: 'start',
  [DEPLOY.buildOnline]: 'online',
  [DEPLOY.report]: 'report',
  [DEPLOY.alert]: 'alert',
};

const DECISIONS: Record<PreflightResult['decision'], { result: string; text: string }> = {
  deploy: { result: 'a deploy', text: 'there is something to do: services stop for it' },
  indexes: { result: 'indexes only', text: 'indexes only, built while the services run' },
  'start-services': { result: 'start services', text: 'nothing is deployed, the services are started' },
  plan: { result: 'plan only', text: 'plan only, nothing is changed' },
  nothing: { result: 'nothing to do', text: 'nothing to do, the services go on' },
  refused: { result: 'refused', text: 'refused, nothing was stopped or changed' },
};

/** An event of the states of `deploy`. */
export function applyDeploy(run: RunProgress, event: EngineEvent): ProgressLine[] {
  const key = PHASE_OF[event.state ?? ''];
  if (key === undefined) return [];
  // With nothing to do there is mostly nothing to start either: the phase begins with the first service that does.
  if (
    key === 'start' &&
    run.decision === 'nothing' &&
    !run.phases.find(key) &&
    event.type !== 'StateCaught'
  ) {
    return [];
  }
  if (event.type === 'StateEntered') return run.enter(key, event);
  if (event.type === 'StateCaught') run.end(key, event, 'failed');
  // A state that was caught is exited as well, with the error in its output.
  if (event.type !== 'StateExited' || run.phases.find(key)?.state === 'failed') return [];
  switch (key) {
    case 'preflight':
      return decided(run, event);
    case 'report':
      run.end(key, event, 'done', totals(event.output));
      return totals(event.output) === '' ? [] : [line('step', totals(event.output))];
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

/** The report's totals. Empty: it looked at no index, as for a deploy that was refused. */
function totals(output: unknown): string {
  const counts = ['created', 'skipped', 'failed', 'remaining'].map(
    (name) => numberAt(at(output, 'report', 'totals'), name) ?? 0,
  );
  if (counts.every((count) => count === 0)) return '';
  const [created, skipped, failed, remaining] = counts;
  return `${created} created, ${skipped} already there, ${failed} failed, ${remaining} remaining`;
}

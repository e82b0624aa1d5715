import { describeCaught } from '../shared/caught-error.ts';
import type { ReportState } from '../shared/payloads.ts';
import { indexId } from '../shared/registry.ts';
import type { Report } from '../shared/report-schema.ts';

/** Why a deploy failed, for people. Null: it succeeded. */
export function deployFailure(
  state: ReportState,
  report: Pick<Report, 'indexes' | 'services' | 'migrations'>,
): string | null {
  if (state.refusal) return `Refused before anything was stopped or changed. ${state.refusal}`;
  if (state.preflightFailure)
    return `The preflight failed with an unexpected error. Nothing was stopped or changed: ${describeCaught(state.preflightFailure)}`;
  return (
    windowFailure(state, report) ??
    criticalIndexFailure(report) ??
    startFailure(state, report) ??
    buildsFailure(state)
  );
}

function windowFailure(state: ReportState, { migrations }: Pick<Report, 'migrations'>): string | null {
  if (state.windowFailure)
    return `The maintenance window failed with an unexpected error: ${describeCaught(state.windowFailure)}`;
  const window = state.window?.output;
  if (window === undefined) return null;
  switch (window.verdict) {
    case 'services-refused': {
      const refused = window.checked.filter((service) => !service.usable);
      const reasons = refused.map((service) => `${service.name}: ${service.reason ?? 'unknown'}`);
      return `Services cannot be stopped, so nothing was stopped or changed. ${reasons.join('; ')}. Correct "services" of the environment in cdk.json.`;
    }
    case 'services-not-stopped': {
      const running = window.stopped
        .filter((service) => service.outcome !== 'stopped')
        .map((service) => service.name);
      return `Services did not stop in time: ${running.join(', ')}. No migration ran and no index was built.`;
    }
    case 'sessions-remain':
      return `The services are stopped, but sessions of the application remain: ${window.sessions ?? 'unknown'}. No migration ran and no index was built. Find out which program opened these sessions, and end them.`;
    case 'migration-failed':
      return migrations.failure?.message ?? 'The migrations failed.';
    case 'critical-failed':
    case 'ok':
      return null;
  }
}

function criticalIndexFailure({ indexes }: Pick<Report, 'indexes'>): string | null {
  const failed = indexes.filter((index) => index.status === 'failed' && index.critical);
  if (failed.length === 0) return null;
  const reasons = failed.map(
    (index) => `${indexId(index)} on ${index.table}: ${index.error?.message ?? 'unknown'}`,
  );
  return `Critical ${failed.length === 1 ? 'index' : 'indexes'} not built: ${reasons.join('; ')}`;
}

function startFailure(state: ReportState, { services }: Pick<Report, 'services'>): string | null {
  if (state.startFailure) return `The services could not be started: ${describeCaught(state.startFailure)}`;
  const notSteady = (state.start?.output.services ?? []).filter(
    (service) => service.outcome === 'not-steady',
  );
  if (notSteady.length === 0) return null;
  const names = notSteady.map((service) => service.name);
  const steady = services.length - names.length;
  return `Services were started but did not become steady in time: ${names.join(', ')} (${steady} of ${services.length} are steady).`;
}

function buildsFailure(state: ReportState): string | null {
  return state.buildsFailure
    ? `The index builds failed with an unexpected error: ${describeCaught(state.buildsFailure)}`
    : null;
}

import { describeCaught } from '../shared/caught-error.ts';
import type { ReportState } from '../shared/payloads.ts';
import { indexId } from '../shared/registry.ts';
import type { IndexReport, MigrationsReport, ServiceReport } from '../shared/report-schema.ts';

/** Why a deploy failed, in one sentence for people. Null: it did not. */
export function failureOf(
  state: ReportState,
  indexes: readonly IndexReport[],
  services: readonly ServiceReport[],
  migrations: MigrationsReport,
): string | null {
  if (state.refusal) return `Refused before anything was stopped or changed. ${state.refusal}`;
  if (state.preflightFailure)
    return `The preflight broke, nothing was stopped or changed: ${describeCaught(state.preflightFailure)}`;
  return (
    windowFailure(state, migrations) ??
    criticalFailure(indexes) ??
    startFailure(state, services) ??
    buildsFailure(state)
  );
}

function windowFailure(state: ReportState, migrations: MigrationsReport): string | null {
  if (state.windowFailure) return `The maintenance window broke: ${describeCaught(state.windowFailure)}`;
  const window = state.window?.output;
  if (window === undefined) return null;
  switch (window.verdict) {
    case 'services-refused': {
      const refused = window.checked.filter((service) => !service.usable);
      const each = refused.map((service) => `${service.name}: ${service.reason ?? 'unknown'}`);
      return `Services cannot be stopped, so nothing was stopped or changed. ${each.join('; ')}. Correct "services" of the environment in cdk.json.`;
    }
    case 'services-not-stopped': {
      const late = window.stopped
        .filter((service) => service.outcome !== 'stopped')
        .map((service) => service.name);
      return `Services did not stop in time: ${late.join(', ')}. No migration was run and no index built.`;
    }
    case 'sessions-remain':
      return `The services are stopped, but sessions of the application remain: ${window.sessions ?? 'unknown'}. No migration was run and no index built. End them, or find out who opened them.`;
    case 'migration-failed':
      return migrations.failure?.message ?? 'The migrations failed.';
    case 'critical-failed':
    case 'ok':
      return null;
  }
}

function criticalFailure(indexes: readonly IndexReport[]): string | null {
  const lost = indexes.filter((index) => index.status === 'failed' && index.critical);
  if (lost.length === 0) return null;
  const each = lost.map(
    (index) => `${indexId(index)} on ${index.table}: ${index.error?.message ?? 'unknown'}`,
  );
  return `Critical ${lost.length === 1 ? 'index' : 'indexes'} not built: ${each.join('; ')}`;
}

function startFailure(state: ReportState, services: readonly ServiceReport[]): string | null {
  if (state.startFailure) return `The services could not be started: ${describeCaught(state.startFailure)}`;
  const late = (state.start?.output.services ?? []).filter((service) => service.outcome === 'not-steady');
  if (late.length === 0) return null;
  const names = late.map((service) => service.name);
  const up = services.length - names.length;
  return `Services were started but did not become steady in time: ${names.join(', ')} (${up} of ${services.length} are).`;
}

function buildsFailure(state: ReportState): string | null {
  return state.buildsFailure ? `Building the indexes broke: ${describeCaught(state.buildsFailure)}` : null;
}
